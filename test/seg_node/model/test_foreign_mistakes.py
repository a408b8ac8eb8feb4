"""Sidecars and files that do not fit, each told in one line."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from foreign_nets import (
    PARTS,
    save_net,
    save_sidecar,
    save_two_heads,
)
from onnx import TensorProto, helper, numpy_helper

from seg_node.errors import ModelError
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.model.sidecar import read_sidecar


def test_every_mistake_of_a_sidecar_is_listed_at_once(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3)
    save_sidecar(
        path,
        3,
        head='argmin',
        layout='chw',
        std=[0.1, 0.0, 0.1],
        mean=[0.5],
        sizes=[1, 2],
        licence=None,
    )
    with pytest.raises(ModelError) as caught:
        load_model(path, RunOptions(cache_dir=tmp_path))
    message = str(caught.value)
    for words in ('net.onnx.yaml', 'head', 'layout', 'std', 'mean', 'sizes', 'licence'):
        assert words in message
    assert '\n' not in message


def test_every_disagreement_of_file_and_sidecar_is_listed_at_once(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3)
    save_sidecar(path, 4, input_size=[64, 64])
    with pytest.raises(ModelError) as caught:
        load_model(path, RunOptions(cache_dir=tmp_path))
    for words in ('3 channels', '4 classes', 'expected 20x12 as in the file, got 64x64'):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'thresholds': [128]}, 'thresholds belong to sigmoid heads'),
        ({'head': 'sigmoid', 'thresholds': [128]}, 'expected 2, one a foreground class, got 1'),
        ({'input_size': [0, 5]}, 'input_size'),
        ({'classes': [{'name': '', 'colour': [0, 0, 300]}]}, 'classes'),
        ({'classes': [{'name': 'a', 'colour': [0, 0, 300]}] * 2}, r'classes\.1\.colour\.2'),
    ],
)
def test_sidecar_fields_that_do_not_fit_each_other(tmp_path, change, words):
    with pytest.raises(ModelError, match=words):
        read_sidecar(save_sidecar(tmp_path / 'n.onnx', 3, **change))


@pytest.mark.parametrize('text', ['', '- a', 'a: [', '\xff\xfe'])
def test_a_sidecar_that_is_no_mapping(tmp_path, text):
    path = save_net(tmp_path / 'net.onnx', 3)
    (tmp_path / 'net.onnx.yaml').write_bytes(text.encode('latin-1'))
    with pytest.raises(ModelError, match=r'net\.onnx\.yaml'):
        load_model(path, RunOptions(cache_dir=tmp_path))


def test_the_file_leaves_its_size_open_and_so_does_the_sidecar(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3, size=None)
    save_sidecar(path, 3)
    with pytest.raises(ModelError, match='input_size: the file leaves it open'):
        load_model(path, RunOptions(cache_dir=tmp_path))


def test_a_graph_without_an_input(tmp_path):
    value = numpy_helper.from_array(np.zeros((1, 3, 4, 4), np.float32), 'value')
    graph = helper.make_graph(
        [helper.make_node('Identity', ['value'], ['y'])],
        'net',
        [],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, 3, 4, 4])],
        [value],
    )
    path = tmp_path / 'net.onnx'
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)]), path)
    save_sidecar(path, 3)
    with pytest.raises(ModelError, match='inputs: expected one, got'):
        load_model(path, RunOptions(cache_dir=tmp_path))


def test_a_broken_file_with_a_good_sidecar(tmp_path):
    path = tmp_path / 'net.onnx'
    path.write_bytes(b'not a model')
    save_sidecar(path, 3)
    with pytest.raises(ModelError, match='not a readable ONNX file'):
        load_model(path, RunOptions(cache_dir=tmp_path))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'mean': [123.675, 116.28, 103.53], 'std': [58.395, 57.12, 57.375]}, 'give scale: 1'),
        ({'mean': [0, 0, 0], 'std': [58.395, 57.12, 57.375]}, 'give scale: 1'),
        ({'scale': 1.0}, 'give scale: 255'),
    ],
)
def test_normalisation_of_another_scale_is_refused(tmp_path, change, words):
    with pytest.raises(ModelError, match=words):
        read_sidecar(save_sidecar(tmp_path / 'n.onnx', 3, **change))
    mmseg = {'scale': 1.0, 'mean': [123.675, 116.28, 103.53], 'std': [58.395, 57.12, 57.375]}
    assert read_sidecar(save_sidecar(tmp_path / 'n.onnx', 3, **mmseg)).scale == 1.0


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'parts': PARTS}, 'expected head, or parts'),
        ({'head': None}, 'expected head, or parts'),
        ({'head': None, 'parts': PARTS[::-1]}, 'expected together the classes c1, c2 in this'),
        ({'head': None, 'parts': PARTS[:1]}, 'got c1'),
        ({'head': None, 'parts': PARTS, 'output': 'da'}, 'belongs into each of parts'),
    ],
)
def test_parts_that_do_not_fit(tmp_path, change, words):
    with pytest.raises(ModelError, match=words):
        read_sidecar(save_sidecar(tmp_path / 'n.onnx', 3, **change))


def test_heads_of_two_sizes_are_refused(tmp_path):
    path = save_two_heads(tmp_path / 'net.onnx', lane_scale=2)
    save_sidecar(path, 3, head=None, parts=PARTS)
    with pytest.raises(ModelError, match='parts: expected outputs of one size'):
        load_model(path, RunOptions(cache_dir=tmp_path))


def test_a_constant_answer_is_said(tmp_path, caplog):
    path = save_net(tmp_path / 'net.onnx', 3)
    save_sidecar(path, 3)
    assert not load_model(path, RunOptions('openvino')).remark
    net = onnx.load(path)
    bias = numpy_helper.from_array(np.float32([0, 900, 0]), 'b')
    net.graph.initializer.append(bias)
    net.graph.node[0].input.append('b')
    onnx.save(net, path)
    loaded = load_model(path, RunOptions('openvino'))
    assert 'is c1 (id 1) everywhere' in loaded.remark
    assert loaded.remark in caplog.text


def test_an_alias_bomb_in_a_sidecar_is_refused_at_once(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3)
    rows = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    rows += [f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]' for i in range(1, 12)]
    (tmp_path / 'net.onnx.yaml').write_text('\n'.join([*rows, 'name: *a11']))
    with pytest.raises(ModelError, match='its aliases stand for more than 100000 values') as error:
        load_model(path, RunOptions())
    assert len(str(error.value)) < 300
