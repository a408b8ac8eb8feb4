"""Export and quantization of a trained network: contract, agreement of runtimes, what is int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from seg_node.model.spec import ModelSpec
from seg_node_training.config import Recipe
from seg_node_training.evaluate.network import torch_scorer
from seg_node_training.evaluate.runtimes import onnxruntime_scorer, openvino_scorer
from seg_node_training.export.graph import (
    Contract,
    compare_with_torch,
    convolution_names,
    export_graph,
    unquantized_convolutions,
    write_metadata,
)
from seg_node_training.export.specs import describe
from seg_node_training.quantize.ptq import downstream, quantize_int8
from seg_node_training.train.checkpoint import load_checkpoint, load_model


@pytest.fixture(scope='module')
def exported(trained, tmp_path_factory) -> tuple[Contract, Path, Path, Recipe]:
    """Contract module, fp32 file, int8 file, recipe."""
    folder = tmp_path_factory.mktemp('export')
    model, recipe, _ = load_model(trained)
    contract = Contract(model, recipe, (128, 100))
    fp32, int8 = folder / 'a_fp32.onnx', folder / 'a_int8.onnx'
    export_graph(contract, (64, 128), fp32)
    rng = np.random.default_rng(1)
    quantize_int8(fp32, int8, list(rng.integers(0, 256, (6, 64, 128, 3), np.uint8)), 'minmax')
    return contract, fp32, int8, recipe


def test_export_equals_torch_and_both_runtimes_agree(exported, trained):
    contract, fp32, _, _ = exported
    rng = np.random.default_rng(2)
    images = list(rng.integers(0, 256, (3, 64, 128, 3), np.uint8))
    assert compare_with_torch(contract, fp32, images) <= 1
    model, recipe, _ = load_model(trained)
    plain = torch_scorer(model, recipe)
    for scorer in (onnxruntime_scorer(fp32), openvino_scorer(fp32)):
        for image in images:
            assert np.abs(plain(image).astype(int) - scorer(image)).max() <= 1


def test_graph_is_the_contract(exported):
    _, fp32, int8, _ = exported
    for path in (fp32, int8):
        graph = onnx.load(path).graph
        ports = {
            p.name: (
                p.type.tensor_type.elem_type,
                [d.dim_value for d in p.type.tensor_type.shape.dim],
            )
            for p in (*graph.input, *graph.output)
        }
        assert ports == {
            'image': (onnx.TensorProto.UINT8, [1, 64, 128, 3]),
            'mask': (onnx.TensorProto.UINT8, [1, 64, 128]),
            'scores': (onnx.TensorProto.UINT8, [1, 2, 64, 128]),
        }


def test_mask_in_the_graph_follows_the_thresholds(exported):
    import onnxruntime

    _, fp32, _, _ = exported
    session = onnxruntime.InferenceSession(str(fp32))
    image = np.random.default_rng(4).integers(0, 256, (1, 64, 128, 3), np.uint8)
    mask, scores = session.run(['mask', 'scores'], {'image': image})
    expected = np.where(scores[:, 1] >= 100, 2, (scores[:, 0] >= 128).astype(np.uint8))
    np.testing.assert_array_equal(mask, expected)


def test_every_convolution_but_the_head_is_int8(exported):
    _, fp32, int8, _ = exported
    names = convolution_names(fp32)
    assert unquantized_convolutions(int8) == names[-1:]
    assert len(convolution_names(int8)) == len(names) == 12
    assert set(unquantized_convolutions(fp32)) == set(names)
    # ReLU is folded into the convolutions: nothing but the head's tail is left in float.
    kinds = [node.op_type for node in onnx.load(int8).graph.node]
    assert 'Relu' not in kinds
    assert {'Sigmoid', 'Round'} <= {
        n.op_type for n in onnx.load(fp32).graph.node if n.name in downstream(fp32, names[-1:])
    }


def test_camera_bytes_enter_int8_unscaled(exported):
    graph = onnx.load(exported[2]).graph
    values = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    cast = next(n for n in graph.node if n.op_type == 'Cast')
    first = next(n for n in graph.node if n.input and n.input[0] == cast.output[0])
    assert first.op_type == 'QuantizeLinear'
    assert float(values[first.input[1]]) == 1.0
    assert int(values[first.input[2]]) == 0


def test_metadata_round_trip(exported, tmp_path, trained):
    _, _, int8, recipe = exported
    copy = tmp_path / 'copy_int8.onnx'
    copy.write_bytes(int8.read_bytes())
    base = ModelSpec('toy', recipe.class_set, 'sigmoid', (128, 100))
    state = load_checkpoint(trained)
    spec = describe(base, recipe, 'int8', {'int8': {'scenes/road': 0.5}}, {'observer': 'x'}, state)
    write_metadata(copy, spec)
    metadata = {p.key: p.value for p in onnx.load(copy).metadata_props}
    again = ModelSpec.from_metadata('copy', metadata)
    assert again == spec
    assert again.training_data[0]['name'] == 'scenes'
    assert again.thresholds == (128, 100)
