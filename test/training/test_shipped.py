"""The model file that ships: what it says of itself, and that it sees roads."""

from __future__ import annotations

import onnx
import pytest

from seg_node.classes import LANE_TYPES
from seg_node.model.loader import default_model
from seg_node.model.spec import ModelSpec
from seg_node_training.config import SetPart, load_recipe
from seg_node_training.evaluate.runtimes import onnxruntime_scorer
from seg_node_training.evaluate.sets import evaluate_sets, figures
from seg_node_training.export.calibrated import read_spec
from seg_node_training.export.graph import convolution_names, unquantized_convolutions
from seg_node_training.report.card import card_path
from seg_node_training.report.index import index_text

MODEL = default_model()


@pytest.mark.parametrize('name', ['lane_light_unet2', 'lane_small'])
def test_files_of_contract_2_are_int8_throughout_and_their_figures_are_in_the_card(name):
    beside = MODEL.with_name(f'{name}_int8.onnx')
    metadata = {p.key: p.value for p in onnx.load(beside).metadata_props}
    other = ModelSpec.from_metadata(str(beside), metadata)
    assert other.encoding == 'logits'
    assert unquantized_convolutions(beside) == []
    card = card_path(beside).read_text(encoding='utf-8')
    for key, value in other.metrics['int8'].items():
        assert other.metrics['fp32'][key] - value <= 0.005, key
        assert f'**{value:.3f}**' in card


def test_the_list_of_models_is_what_the_files_say():
    written = (MODEL.parent / 'README.md').read_text(encoding='utf-8')
    assert written == index_text(MODEL.parent)


@pytest.fixture(scope='module')
def spec() -> ModelSpec:
    metadata = {p.key: p.value for p in onnx.load(MODEL).metadata_props}
    return ModelSpec.from_metadata(str(MODEL), metadata)


def test_of_contract_1_everything_but_the_head_is_int8():
    earlier = MODEL.with_name('lane_light_unet_int8.onnx')
    assert unquantized_convolutions(earlier) == convolution_names(earlier)[-1:]
    assert earlier.stat().st_size < 8 * 2**20


def test_it_says_what_it_was_trained_on_and_how_good_it_is(spec):
    assert spec.precision == 'int8'
    assert spec.classes.names == ('background', 'road', 'lane_marking')
    assert spec.source_revision
    assert all(entry['licence'] for entry in spec.training_data)
    names = {entry['name'] for entry in spec.training_data}
    assert not names & {'camseq01', 'camvid_road', 'camvid_val', 'carla_samples'}
    fp32, int8 = spec.metrics['fp32'], spec.metrics['int8']
    assert set(fp32) == set(int8)
    for key, value in fp32.items():
        assert value - int8[key] <= 0.01, key
    card = card_path(MODEL).read_text(encoding='utf-8')
    for value in int8.values():
        assert f'**{value:.3f}**' in card


def test_it_sees_roads_on_photos_it_was_not_trained_on(spec, shared_data):
    recipe = load_recipe('lane_small')
    data = recipe.data.model_copy(update={'root': str(shared_data)})
    recipe = recipe.model_copy(update={'data': data})
    part = SetPart(
        name='photos',
        path='labelled/roboflow_road',
        split='val.txt',
        knows='road',
        limit=8,
    )
    result = figures(evaluate_sets(onnxruntime_scorer(MODEL), recipe, [part], spec.thresholds))
    assert result['photos/road'] >= 0.85


def test_the_model_of_lane_types_says_what_its_classes_are():
    spec = read_spec(MODEL.with_name('lane_types_int8.onnx'))
    assert spec.classes.names == LANE_TYPES.names
    assert (spec.head, spec.precision) == ('softmax', 'int8')
    card = card_path(MODEL.with_name('lane_types_int8.onnx')).read_text(encoding='utf-8')
    for value in spec.metrics['int8'].values():
        assert value > 0.6
        assert f'**{value:.3f}**' in card
