"""The model file's description of itself, and the checks of the contract."""

from __future__ import annotations

import json

import numpy as np
import pytest

from seg_node.classes import LANE, LANE_TYPES, ClassSet
from seg_node.errors import ConfigError, ModelError
from seg_node.model.runner import Port, RunOptions, check_contract
from seg_node.model.spec import CONTRACT, ModelSpec

FULL = ModelSpec(
    name='lane ünet',
    classes=LANE_TYPES,
    head='sigmoid',
    thresholds=(1, 100, 128, 200, 255),
    colour_order='rgb',
    resize='letterbox',
    interpolation='area',
    precision='int8',
    training_data=({'name': 'photos', 'licence': 'CC BY 4.0'},),
    metrics={'int8': {'road_iou': 0.9}},
    quantization={'method': 'ptq'},
    tools={'onnx': '1.0'},
    source_revision='abc',
)


def test_a_description_survives_the_trip_through_a_file():
    metadata = FULL.to_metadata()
    assert all(isinstance(v, str) for v in metadata.values())
    assert ModelSpec.from_metadata('m.onnx', {**metadata, 'unrelated': 'not json'}) == FULL


def test_metadata_can_be_read_without_this_package():
    metadata = {key: json.loads(value) for key, value in FULL.to_metadata().items()}
    assert metadata['classes'] == list(LANE_TYPES.names)
    assert metadata['colours'][1] == [0, 128, 0]
    assert metadata['contract'] == CONTRACT


def test_sigmoid_models_decide_at_one_half_when_nothing_is_said():
    assert ModelSpec('m', LANE, 'sigmoid').thresholds == (128, 128)


def test_every_impossible_field_is_listed_at_once():
    with pytest.raises(ModelError) as caught:
        ModelSpec('m', LANE, 'sigmoid', (0,), 'grey', 'crop')  # type: ignore[arg-type]
    message = str(caught.value)
    for words in ('colour_order', "'grey'", 'resize', "'crop'", 'for each of 2', '1 to 255'):
        assert words in message
    assert '\n' not in message


def test_every_broken_or_missing_key_is_listed_at_once():
    metadata = {'contract': json.dumps(CONTRACT), 'name': '{', 'head': '"sigmoid"', 'tools': 'x'}
    with pytest.raises(ModelError) as caught:
        ModelSpec.from_metadata('m.onnx', metadata)
    for words in ('m.onnx', 'name: expected JSON', 'tools: expected JSON', 'colours: missing'):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ('key', 'value', 'said'),
    [
        ('colours', '[[1], [2], [3]]', 'expected a list of three numbers from 0 to 255 each'),
        ('colours', '[{"r": 1}]', 'expected a list of three numbers'),
        ('colours', '[[1, 2, 256]]', 'expected a list of three numbers'),
        ('colours', '7', 'expected a list of three numbers'),
        ('classes', 'null', 'expected a list of texts, got None'),
        ('classes', '["only"]', '1'),
        ('classes', '[1, 2, 3]', 'expected a list of texts'),
        ('name', '{}', 'expected a text'),
        ('thresholds', '["a", "b"]', 'expected a list of integers'),
        ('thresholds', '[true, true]', 'expected a list of integers'),
        ('thresholds', '5', 'expected a list of integers'),
        ('head', '[]', 'expected one of sigmoid, softmax'),
        ('training_data', '3', 'expected a list of objects'),
        ('training_data', '["CamVid"]', 'expected a list of objects'),
        ('metrics', '[]', 'expected an object'),
        ('tools', '"torch"', 'expected an object'),
        ('source_revision', '1', 'expected a text'),
        ('patch', '1.0', 'expected an integer'),
        ('logit_scale', '"0.1"', 'expected a number'),
        ('logit_scale', 'NaN', 'expected a number'),
        ('logit_zero', 'false', 'expected an integer'),
        ('temperatures', '[1, Infinity]', 'expected a list of numbers'),
        ('metrics', '[' * 100_000, 'expected JSON'),
    ],
)
def test_metadata_of_the_wrong_form_is_one_line(key, value, said):
    metadata = ModelSpec('m', LANE, 'sigmoid', encoding='logits').to_metadata() | {key: value}
    with pytest.raises((ModelError, ConfigError)) as caught:
        ModelSpec.from_metadata('m.onnx', metadata)
    line = str(caught.value)
    assert key in line and said in line
    assert '\n' not in line and len(line) < 250


def test_null_is_nothing_where_nothing_may_stand():
    metadata = ModelSpec('m', LANE, 'sigmoid').to_metadata() | {'thresholds': 'null'}
    assert ModelSpec.from_metadata('m.onnx', metadata).thresholds == (128, 128)


def test_a_file_without_our_metadata_is_told_about_the_sidecar():
    with pytest.raises(ModelError, match=r'contract.*sidecar their\.onnx\.yaml'):
        ModelSpec.from_metadata('their.onnx', {'contract': 'other', 'producer': 'x'})


IMAGE = Port('image', 'uint8', (1, 20, 30, 3))
MASK = Port('mask', 'uint8', (1, 20, 30))
SCORES = Port('scores', 'uint8', (1, 2, 20, 30))


def test_contract_gives_the_networks_size():
    spec = ModelSpec('m', LANE, 'sigmoid')
    size = check_contract('m', [IMAGE], [MASK, SCORES], spec)
    assert (size.width, size.height) == (30, 20)
    check_contract('m', [IMAGE], [MASK], spec)


@pytest.mark.parametrize(
    ('inputs', 'outputs', 'words'),
    [
        ([IMAGE, IMAGE], [MASK], ['inputs']),
        ([Port('x', 'float32', (1, 3, -1, -1))], [], ["'image'", 'float32', 'mask', 'None']),
        ([IMAGE], [Port('mask', 'int64', (1, 20, 30))], ['int64']),
        ([IMAGE], [MASK, Port('scores', 'uint8', (1, 3, 20, 30))], ['[1, 2, H, W]', '3, 20']),
        ([Port('image', 'uint8', (1, -1, -1, 3))], [MASK], ['uint8 [1, -1, -1, 3]']),
        ([], [], ['inputs', 'image:', 'mask']),
    ],
)
def test_departures_from_the_contract_are_all_listed(inputs, outputs, words):
    with pytest.raises(ModelError) as caught:
        check_contract('m.onnx', inputs, outputs, ModelSpec('m', LANE, 'sigmoid'))
    for word in words:
        assert word in str(caught.value)


def test_impossible_options_are_all_listed():
    with pytest.raises(ConfigError) as caught:
        RunOptions(backend='tpu', precision='int3', device='fpga', threads=-1)  # type: ignore[arg-type]
    for word in ("'tpu'", "'int3'", "'fpga'", 'threads'):
        assert word in str(caught.value)


def test_a_palette_paints_ids_and_leaves_the_rest_black():
    classes = ClassSet(('a', 'b'), ((0, 0, 0), (10, 20, 30)))
    painted = classes.colourize(np.array([[1, 255]], np.uint8))
    np.testing.assert_array_equal(painted, [[[30, 20, 10], [0, 0, 0]]])
