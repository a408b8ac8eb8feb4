"""Heads whose graph hides what it does: the values of their answers tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from foreign_nets import (
    HEIGHT,
    PARTS,
    WIDTH,
    assert_mask,
    logits,
    run,
    save_net,
    save_sidecar,
    save_two_heads,
)
from onnx import TensorProto, helper, numpy_helper

from seg_node.errors import ModelError
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.model.sidecar import read_sidecar


def behind(path: Path, *operations: tuple[str, list[str]], output: str = 'y') -> None:
    """Put operations behind an output of the file; `_` among their inputs is what came before."""
    net = onnx.load(path)
    (maker,) = (node for node in net.graph.node if output in node.output)
    maker.output[0] = before = f'{output}_0'
    for number, (operation, inputs) in enumerate(operations, 1):
        name = output if number == len(operations) else f'{output}_{number}'
        given = [before if i == '_' else i for i in inputs]
        net.graph.node.append(helper.make_node(operation, given, [name]))
        before = name
    for name, value in (('one', 1.0), ('scale', 255.0)):
        if name not in {tensor.name for tensor in net.graph.initializer}:
            net.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    onnx.checker.check_model(net)
    onnx.save(net, path)


SIGMOID = (('Neg', ['_']), ('Exp', ['_']), ('Add', ['_', 'one']), ('Reciprocal', ['_']))
"""As some exporters write it: no operation of that name."""


def refused(path: Path, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        load_model(path, RunOptions('openvino'))
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_sigmoid_without_that_name_is_not_applied_again(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 2)
    behind(path, *SIGMOID)
    save_sidecar(path, 3, head='sigmoid')
    refused(path, 'its sigmoid is applied already: use head sigmoid_probabilities')
    save_sidecar(path, 3, head='sigmoid_probabilities', thresholds=[60, 200])
    _, scores, _ = run(path, tmp_path / 'cache', 'openvino')
    assert np.abs(scores - 255 / (1 + np.exp(-logits(2)))).max() <= 0.51


def test_a_softmax_that_is_followed_by_something_is_not_applied_again(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3, head='probabilities')
    behind(path, ('Mul', ['_', 'one']), ('Relu', ['_']))
    save_sidecar(path, 3, head='softmax')
    refused(path, 'its softmax is applied already: use head probabilities')


@pytest.mark.parametrize(
    ('head', 'channels', 'instead'),
    [('probabilities', 3, 'softmax'), ('sigmoid_probabilities', 2, 'sigmoid')],
)
def test_logits_are_no_probabilities(tmp_path, head, channels, instead):
    path = save_net(tmp_path / 'net.onnx', channels)
    save_sidecar(path, 3, head=head)
    refused(path, f'head {head}: expected 0 to 1, got -.*; for logits use head {instead}')


def test_scores_of_0_to_255_are_no_probabilities(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 2, head='sigmoid_probabilities')
    behind(path, ('Mul', ['_', 'scale']))
    save_sidecar(path, 3, head='sigmoid_probabilities')
    refused(path, r'expected 0 to 1, got .* to 2\d\d')


def test_class_ids_that_the_sidecar_does_not_have(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 19, head='class_ids')
    save_sidecar(path, 3, head='class_ids')
    refused(path, r'head class_ids with 3 classes: plain pictures give \d+ to 1\d')


def test_logits_are_no_class_ids(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3)
    save_sidecar(path, 3, head='class_ids')
    refused(path, 'head class_ids: output y has 3 channels, expected one')
    path = save_net(tmp_path / 'one.onnx', 1)
    save_sidecar(path, 3, head='class_ids')
    refused(path, 'head class_ids with 3 classes: plain pictures give -')


def test_answers_that_are_no_numbers(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3)
    behind(path, ('Log', ['_']))
    save_sidecar(path, 3)
    refused(path, 'NaN in its answers')


def test_an_answer_without_channels(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 1)
    net = onnx.load(path)
    net.graph.node[0].output[0] = 'whole'
    net.graph.initializer.append(numpy_helper.from_array(np.int64([1]), 'axis'))
    net.graph.node.append(helper.make_node('Squeeze', ['whole', 'axis'], ['y']))
    shape = [1, HEIGHT, WIDTH]
    net.graph.output[0].CopyFrom(helper.make_tensor_value_info('y', TensorProto.FLOAT, shape))
    onnx.save(net, path)
    save_sidecar(path, 2, head='sigmoid')
    refused(path, r'head sigmoid: output y has shape \[1, 12, 20\], expected 4 dimensions')
    del net.graph.output[0].type.tensor_type.shape.dim[:]  # says nothing
    onnx.save(net, path)
    refused(path, 'head sigmoid: expected 4 dimensions, got 3')


def test_class_ids_with_the_channel_last(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 5, 'nhwc', head='class_ids')
    net = onnx.load(path)
    (last,) = (node for node in net.graph.node if node.op_type == 'ArgMax')
    next(a for a in last.attribute if a.name == 'keepdims').i = 1
    shape = [1, HEIGHT, WIDTH, 1]
    net.graph.output[0].CopyFrom(helper.make_tensor_value_info('y', TensorProto.INT64, shape))
    onnx.save(net, path)
    save_sidecar(path, 5, head='class_ids', layout='nhwc')
    for backend in ('openvino', 'onnxruntime'):
        mask, _, _ = run(path, tmp_path / 'cache', backend)
        assert_mask(mask, logits(5), logits(5).argmax(0))


def test_two_heads_with_a_sigmoid_over_background_and_class(tmp_path):
    """As YOLOP has them: two channels each, and every one through a sigmoid."""
    path = save_two_heads(tmp_path / 'net.onnx')
    for output in ('da', 'll'):
        behind(path, ('Sigmoid', ['_']), output=output)
    save_sidecar(path, 3, head=None, parts=PARTS)
    with pytest.raises(ModelError, match=r'2 problems: .*output da .*use head probabilities'):
        load_model(path, RunOptions())
    parts = [{**part, 'head': 'probabilities'} for part in PARTS]
    save_sidecar(path, 3, head=None, parts=parts)
    _, scores, _ = run(path, tmp_path / 'cache', 'openvino')
    assert set(np.unique(scores)) > {0, 255}


def test_a_head_of_two_that_hides_its_sigmoid_is_named(tmp_path):
    path = save_two_heads(tmp_path / 'net.onnx')
    behind(path, *SIGMOID, output='ll')
    parts = [PARTS[0], {**PARTS[1], 'head': 'sigmoid_probabilities'}]
    save_sidecar(path, 3, head=None, parts=parts)
    refused(path, 'output ll has 2 channels, head sigmoid_probabilities with 2 classes needs 1')
    parts[1]['head'] = 'softmax'
    save_sidecar(path, 3, head=None, parts=parts)
    load_model(path, RunOptions('openvino'))  # its two channels do not add up to 1


@pytest.mark.parametrize(
    'change',
    [
        {'scale': 1.0, 'mean': [0.5] * 3, 'std': [0.5] * 3},
        {'scale': 1.0, 'mean': [0.485, 0.456, 0.406], 'std': [1.0] * 3},
    ],
)
def test_normalisation_of_0_to_1_with_pictures_of_0_to_255(tmp_path, change):
    with pytest.raises(ModelError, match='give scale: 255'):
        read_sidecar(save_sidecar(tmp_path / 'n.onnx', 3, **change))


@pytest.mark.parametrize(
    'values',
    [
        {'scale': 1.0, 'mean': [104.0, 117.0, 123.0], 'std': [1.0] * 3},  # Caffe
        {'scale': 127.5, 'mean': [1.0] * 3, 'std': [1.0] * 3},  # -1 to 1, as TensorFlow's
        {'scale': 1.0, 'mean': [127.5] * 3, 'std': [127.5] * 3},
        {'scale': 255.0, 'mean': [0.0] * 3, 'std': [1.0] * 3},
        {'scale': 1.0, 'mean': [0.0] * 3, 'std': [1.0] * 3},
    ],
)
def test_usual_normalisations_are_taken(tmp_path, values):
    assert read_sidecar(save_sidecar(tmp_path / 'n.onnx', 3, **values)).scale == values['scale']
