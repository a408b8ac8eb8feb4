"""An ONNX file is looked at before a runtime reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from seg_node.errors import ModelError
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.model.structure import check_structure

REPOSITORY = Path(__file__).resolve().parents[3]


def net(nodes: list[onnx.NodeProto], opset: int = 17, **changes: object) -> onnx.ModelProto:
    ports = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 4, 4])] for name in 'xy'
    ]
    weight = numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), 'w')
    graph = helper.make_graph(nodes, 'net', *ports, [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=8)
    for name, value in changes.items():
        setattr(model, name, value)
    return model


def conv(source: str = 'x', target: str = 'y') -> onnx.NodeProto:
    return helper.make_node('Conv', [source, 'w'], [target])


def saved(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def refused(path: Path, words: str) -> None:
    """By the check, and so by the loader, in one line and at once."""
    for call in (check_structure, lambda p: load_model(p, RunOptions())):
        with pytest.raises(ModelError, match=words) as error:
            call(path)
        assert '\n' not in str(error.value) and str(path) in str(error.value)


def test_good_files_pass():
    for path in sorted((REPOSITORY / 'models').glob('*.onnx')):
        found = check_structure(path)
        assert found.nodes == len(onnx.load(path).graph.node)
        assert found.files() == [path]


def test_a_cycle_is_refused(tmp_path):
    add = helper.make_node('Add', ['x', 'b'], ['a'])
    path = saved(tmp_path / 'a.onnx', net([add, conv('a', 'b'), conv('b')]))
    refused(path, 'has a cycle')


def test_a_cycle_in_an_inner_graph_is_refused(tmp_path):
    inner = helper.make_graph([conv('q', 'p'), conv('p', 'q')], 'inner', [], [])
    branch = helper.make_node('If', ['x'], ['y'], then_branch=inner, else_branch=inner)
    refused(saved(tmp_path / 'a.onnx', net([branch])), 'has a cycle')


@pytest.mark.parametrize('opset', [0, -1, 999, 2**31, 2**62])
def test_an_absurd_opset_is_refused(tmp_path, opset):
    refused(saved(tmp_path / 'a.onnx', net([conv()], opset)), 'opset ai.onnx: expected 1 to')


def test_an_absurd_ir_version_is_refused(tmp_path):
    refused(saved(tmp_path / 'a.onnx', net([conv()], ir_version=10**9)), 'ir_version: expected')


def test_metadata_that_are_no_text_are_refused(tmp_path):
    model = net([conv()])
    helper.set_model_props(model, {'contract': 'seg_node/1', 'name': 'abcd'})
    path = saved(tmp_path / 'a.onnx', model)
    path.write_bytes(path.read_bytes().replace(b'abcd', b'ab\xff\xfe'))
    refused(path, 'expected UTF-8')


@pytest.mark.parametrize(
    'name', ['/etc/passwd', '../secret.data', 'a/../../secret', 'none.data', '']
)
def test_external_data_stay_in_the_folder_and_are_there(tmp_path, name):
    (tmp_path / 'secret.data').write_bytes(bytes(36))
    folder = tmp_path / 'models'
    folder.mkdir()
    model = net([conv()])
    tensor = model.graph.initializer[0]
    tensor.ClearField('raw_data')
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value=name)
    words = 'no such file' if name in ('none.data', '') else 'expected in the folder of the file'
    refused(saved(folder / 'a.onnx', model), words)


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / 'secret.data').write_bytes(bytes(36))
    folder = tmp_path / 'models'
    folder.mkdir()
    (folder / 'w.data').symlink_to(tmp_path / 'secret.data')
    model = net([conv()])
    tensor = model.graph.initializer[0]
    tensor.ClearField('raw_data')
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value='w.data')
    refused(saved(folder / 'a.onnx', model), 'expected in the folder of the file')


def test_damaged_files_are_refused_or_pass_but_never_raise_anything_else(tmp_path):
    data = np.frombuffer(net([conv()]).SerializeToString(), np.uint8)
    rng = np.random.default_rng(3)
    path = tmp_path / 'a.onnx'
    outcomes = set()
    for _ in range(400):
        damaged = data.copy()
        damaged[rng.integers(0, len(data), 3)] = rng.integers(0, 256, 3)
        path.write_bytes(damaged[: rng.integers(1, len(data) + 1)].tobytes())
        try:
            check_structure(path)
            outcomes.add('passed')
        except ModelError as error:
            assert '\n' not in str(error)
            outcomes.add('refused')
    assert outcomes == {'passed', 'refused'}


@pytest.mark.parametrize('data', [b'', b'text', b'\xff' * 40])
def test_what_is_no_onnx(tmp_path, data):
    path = tmp_path / 'a.onnx'
    path.write_bytes(data)
    refused(path, 'not a readable ONNX file')
