"""Other number formats and training under rounding, at toy size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from seg_node.errors import ConfigError
from seg_node_training.config import parse_recipe
from seg_node_training.evaluate.runtimes import onnxruntime_scorer, openvino_scorer
from seg_node_training.export.graph import (
    Contract,
    convolution_names,
    export_graph,
    unquantized_convolutions,
)
from seg_node_training.models import build_model
from seg_node_training.quantize.formats import FORMATS, channel_scale, to_openvino_ir
from seg_node_training.quantize.ptq import quantize_int8
from seg_node_training.quantize.qat import FakeQuantization, QatPlan, convolutions

SIZE = (64, 128)


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return build_model('team1_unet', 2, base=16, depth=2, padding='same').eval()


@pytest.fixture(scope='module')
def fp32(network, tmp_path_factory) -> Path:
    raw = {'name': 'x', 'model': {'name': 'team1_unet'}, 'input': {'height': 64, 'width': 128}}
    path = tmp_path_factory.mktemp('formats') / 'fp32.onnx'
    export_graph(Contract(network, parse_recipe(raw, 'x'), (128, 128)), SIZE, path)
    return path


@pytest.fixture(scope='module')
def picture():
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.mark.parametrize(
    ('name', 'share', 'difference'),
    [('dynamic', 0.45, 6.0), ('fp16', 0.6, 0.5), ('bf16', 0.6, 1.0), ('int4', 0.25, 16.0)],
)
def test_formats_run_in_both_runtimes_and_shrink(fp32, picture, name, share, difference):
    path = fp32.with_name(f'{name}.onnx')
    FORMATS[name](fp32, path)
    assert path.stat().st_size < share * fp32.stat().st_size
    wanted = onnxruntime_scorer(fp32, 1)(picture).astype(int)
    for scorer in (onnxruntime_scorer, openvino_scorer):
        found = scorer(path, 1)(picture)
        assert found.dtype == np.uint8
        assert np.abs(found - wanted).mean() < difference
    ports = {p.name: p.type.tensor_type.elem_type for p in onnx.load(path).graph.output}
    assert set(ports.values()) == {onnx.TensorProto.UINT8}


def test_four_bits_are_four_bits(fp32):
    path = fp32.with_name('int4.onnx')
    FORMATS['int4'](fp32, path)
    kinds = [t.data_type for t in onnx.load(path).graph.initializer]
    assert kinds.count(onnx.TensorProto.INT4) == len(convolution_names(fp32)) - 1


def test_openvino_ir_answers_alike(fp32, picture):
    path = fp32.with_name('ir') / 'model.xml'
    to_openvino_ir(fp32, path)
    assert path.with_suffix('.bin').is_file()
    np.testing.assert_array_equal(
        openvino_scorer(path, 1)(picture), openvino_scorer(fp32, 1)(picture)
    )


def test_rounding_in_training_is_the_rounding_of_the_file(network, fp32, picture):
    """Fake quantization puts weights on exactly the grid that the quantizer finds afterwards."""
    import copy

    tuned = copy.deepcopy(network)
    fake = FakeQuantization(tuned)
    with torch.no_grad():
        tuned(torch.rand(1, 3, *SIZE))
    fake.remove()
    assert not [n for n, _ in tuned.named_modules() if 'parametrizations' in n or 'reads' in n]
    pairs = list(zip(convolutions(network), convolutions(tuned)))
    for before, after in pairs[:-1]:
        axis = 1 if isinstance(before, torch.nn.ConvTranspose2d) else 0
        grid = channel_scale(after.weight.detach().numpy(), axis, 127)
        shape = [1, 1, 1, 1]
        shape[axis] = -1
        steps = after.weight.detach().numpy() / grid.reshape(shape)
        assert np.abs(steps - np.round(steps)).max() < 1e-3
        assert float((after.weight - before.weight).detach().abs().max()) > 0
    assert torch.equal(pairs[-1][0].weight, pairs[-1][1].weight)  # the head stays float
    raw = {'name': 'x', 'model': {'name': 'team1_unet'}, 'input': {'height': 64, 'width': 128}}
    source, target = fp32.with_name('tuned.onnx'), fp32.with_name('tuned_int8.onnx')
    export_graph(Contract(tuned, parse_recipe(raw, 'x'), (128, 128)), SIZE, source)
    quantize_int8(source, target, [picture], 'minmax')
    assert unquantized_convolutions(target) == convolution_names(target)[-1:]
    stored = {
        t.name: onnx.numpy_helper.to_array(t)
        for t in onnx.load(target).graph.initializer
        if t.data_type == onnx.TensorProto.INT8 and len(t.dims) == 4
    }
    assert len(stored) == len(pairs) - 1


def test_four_bit_training_has_fifteen_levels(network):
    import copy

    tuned = copy.deepcopy(network)
    fake = FakeQuantization(tuned, weight_bits=4)
    with torch.no_grad():
        tuned(torch.rand(1, 3, *SIZE))
    fake.remove()
    weight = convolutions(tuned)[1].weight.detach()
    assert len(torch.unique(weight[0])) <= 15


def test_impossible_plans_are_one_line():
    with pytest.raises(ConfigError, match='expected 2 to 8 bits'):
        QatPlan(weight_bits=9)
