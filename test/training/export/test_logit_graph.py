"""Contract 2 from torch to both runtimes: the same bytes, the same stem, int8 all the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import openvino as ov
import pytest
import torch
from torch import nn

from seg_node.errors import ModelError
from seg_node.images.frames import Frame
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.pipeline import Segmenter
from seg_node_training.config import parse_recipe
from seg_node_training.evaluate.network import normalise, spec_of
from seg_node_training.export.graph import unquantized_convolutions, write_metadata
from seg_node_training.export.logit_graph import (
    LogitContract,
    compare_logits,
    export_raw,
    finish,
)
from seg_node_training.export.stem import foldable, folded, unfolded
from seg_node_training.models import build_model
from seg_node_training.quantize.ptq import quantize_int8

HEIGHT, WIDTH = 64, 128
NETWORKS = {
    'light_unet': {'base': 8, 'depth': 2, 'stem': 8, 'patch': 4},
    'lane_net': {'widths': [8, 16, 16], 'context': [2]},
}


def recipe_of(name):
    return parse_recipe(
        {
            'name': 'small',
            'output': 'logits',
            'model': {'name': name, 'options': NETWORKS[name]},
            'input': {'height': HEIGHT, 'width': WIDTH},
        },
        'test',
    )


def network_of(recipe):
    torch.manual_seed(3)
    model = build_model(recipe.model.name, recipe.outputs, **recipe.model.options)
    with torch.no_grad():
        model.head.weight.mul_(300)  # logits that use the range of the bytes
        model.train()(torch.rand(4, 3, HEIGHT, WIDTH))
    return model.eval()


@pytest.fixture(scope='module')
def pictures():
    return list(np.random.default_rng(1).integers(0, 256, (6, HEIGHT, WIDTH, 3), np.uint8))


@pytest.fixture(scope='module', params=NETWORKS)
def files(request, tmp_path_factory, pictures):
    recipe = recipe_of(request.param)
    network = network_of(recipe)
    folder = tmp_path_factory.mktemp(request.param)
    contract = LogitContract(network, recipe)
    raw, quantized = folder / 'raw.onnx', folder / 'raw_int8.onnx'
    fp32, int8 = folder / 'small_fp32.onnx', folder / 'small_int8.onnx'
    export_raw(contract, (HEIGHT, WIDTH), raw)
    finish(raw, fp32)
    quantize_int8(raw, quantized, pictures, keep_float=(), reduce_range=True)
    finish(quantized, int8)
    spec = replace(spec_of(recipe), patch=contract.patch)
    write_metadata(fp32, spec)
    write_metadata(int8, replace(spec, precision='int8'))
    return recipe, network, contract, fp32, int8


@pytest.mark.parametrize(('kernel', 'stride', 'padding'), [(8, 4, 2), (5, 2, 2)])
def test_the_folded_stem_is_the_same_sum(kernel, stride, padding):
    conv = nn.Conv2d(3, 7, kernel, stride, padding)
    picture = torch.rand(1, 16, 32, 3)
    blocks = picture.reshape(1, 16, 32 // stride, 3 * stride).permute(0, 3, 1, 2)
    assert foldable(conv, 32)
    new = folded(conv)
    expected = conv(picture.permute(0, 3, 1, 2))
    torch.testing.assert_close(new(blocks), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(unfolded(new.weight, kernel, stride, padding), conv.weight)


def test_a_stem_that_does_not_fall_on_blocks_is_left_alone():
    assert not foldable(nn.Conv2d(3, 4, 8, 4, 2), 30)
    assert not foldable(nn.Conv2d(3, 4, 3, 1, 1), 32)
    assert not foldable(nn.Conv2d(3, 4, 3, 2, 0), 32)


def test_the_float_file_gives_torchs_bytes(files, pictures):
    _, _, contract, fp32, _ = files
    assert compare_logits(contract, fp32, pictures) <= 1


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_the_runtime_puts_patches_back_where_the_shuffle_does(files, pictures, backend):
    recipe, network, _, fp32, _ = files
    runner = load_model(fp32, RunOptions(backend)).runner
    runner.input[...] = pictures[0]
    output = runner.run()
    assert output.mask is None
    with torch.inference_mode():
        batch = torch.from_numpy(pictures[0]).permute(2, 0, 1)[None]
        logits = network(normalise(batch, recipe.input))[0].numpy()
    bytes_ = np.clip(np.round(logits * 16) + 128, 0, 255)
    assert np.abs(output.scores.astype(int) - bytes_).max() <= 1
    assert output.scores.std() > 5


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_mask_and_scores_at_camera_size_are_those_of_the_sigmoid(files, backend):
    recipe, network, _, fp32, _ = files
    runner = load_model(fp32, RunOptions(backend)).runner
    camera = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    found = Segmenter(runner)(Frame(camera, 'bgr'))
    with torch.inference_mode():
        batch = torch.from_numpy(camera).permute(2, 0, 1)[None]
        p = torch.sigmoid(network(normalise(batch, recipe.input)))[0].numpy()
    expected = np.where(p[1] >= 0.5, 2, np.where(p[0] >= 0.5, 1, 0))
    sure = np.abs(p - 0.5).min(0) > 0.03
    np.testing.assert_array_equal(found.mask[sure], expected[sure])
    assert len(np.unique(found.mask[sure])) > 1
    for plane, truth in zip(found.planes, p):
        assert np.abs(plane / 255 - truth).max() < 0.03


def test_no_layer_of_weight_runs_in_float(files):
    """By the compiled graph's own account of what each layer runs in."""
    recipe, _, _, _, int8 = files
    assert unquantized_convolutions(int8) == []
    moved = ('Pooling', 'Concatenation', 'Interpolate', 'Reorder')
    if recipe.model.name == 'lane_net':
        moved = ('Reorder',)  # OpenVINO 2026.4 enlarges in float what an addition follows
    compiled = ov.Core().compile_model(str(int8), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    layers = [(n, n.get_rt_info()) for n in compiled.get_runtime_model().get_ordered_ops()]
    kinds = {str(info['layerType'].astype(str)) for _, info in layers}
    assert 'Convolution' in kinds
    for node, info in layers:
        kind = str(info['layerType'].astype(str))
        if kind == 'Convolution':
            assert str(info['runtimePrecision'].astype(str)) in ('u8', 'i8'), node
        if kind in moved:
            assert str(node.get_output_element_type(0)) in (
                "<Type: 'uint8_t'>",
                "<Type: 'int8_t'>",
            ), (kind, node)


def test_int8_answers_like_float_in_both_runtimes(files, pictures):
    _, _, contract, _, int8 = files
    for backend in ('openvino', 'onnxruntime'):
        runner = load_model(int8, RunOptions(backend)).runner
        for picture in pictures:
            runner.input[...] = picture
            found = runner.run().scores
            wide = contract.codes(picture).reshape(*_small(contract), 2, contract.patch, -1)
            truth = wide.transpose(2, 0, 3, 1, 4).reshape(2, HEIGHT, WIDTH)
            assert np.mean((found >= 128) == (truth >= 128)) > 0.93, backend


def _small(contract):
    return HEIGHT // contract.patch, WIDTH // contract.patch


def test_what_contract_2_cannot_hold_is_refused_in_one_line():
    recipe = recipe_of('light_unet')
    part = recipe.input.model_copy(update={'mean': (0.5, 0.5, 0.5)})
    recipe = recipe.model_copy(update={'input': part})
    with pytest.raises(ModelError, match='no mean'):
        LogitContract(network_of(recipe), recipe)


def test_weights_keep_to_seven_bits(files):
    """Products of bytes with them add up in 16 bits: exact on CPUs without VNNI as well."""
    _, _, _, _, int8 = files
    weights = [
        onnx.numpy_helper.to_array(t)
        for t in onnx.load(int8).graph.initializer
        if t.data_type == onnx.TensorProto.INT8 and len(t.dims) == 4
    ]
    assert weights
    assert max(int(np.abs(w.astype(int)).max()) for w in weights) <= 64
