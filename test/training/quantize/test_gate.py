"""The gate refuses a bad model for each of its three reasons, and lets a good one pass."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from seg_node.errors import ModelError
from seg_node_training.config import Recipe, parse_recipe
from seg_node_training.export.graph import Contract, convolution_names, export_graph
from seg_node_training.models import build_model
from seg_node_training.quantize.gate import (
    Speed,
    Verdict,
    judge,
    lost_points,
    measure_speed,
    refuse,
)
from seg_node_training.quantize.ptq import quantize_int8
from seg_node_training.report.card import _verdict

GOOD = {'set/road': 0.95, 'set/lane_marking': 0.61}
FAST = Speed(10.0, 4.0)


def small_recipe() -> Recipe:
    raw = {
        'name': 'gate',
        'model': {'name': 'light_unet', 'options': {'base': 8, 'depth': 2, 'stem': 8}},
        'input': {'height': 64, 'width': 128},
    }
    return parse_recipe(raw, 'gate')


@pytest.fixture(scope='module')
def files(tmp_path_factory) -> tuple[Path, Path, list[str]]:
    """fp32 file, int8 file, and the convolutions meant for float."""
    folder = tmp_path_factory.mktemp('gate')
    torch.manual_seed(3)
    recipe = small_recipe()
    network = build_model('light_unet', 2, **recipe.model.options).eval()
    with torch.no_grad():
        network.head.weight.mul_(100)  # scores that differ from pixel to pixel
    fp32, int8 = folder / 'fp32.onnx', folder / 'int8.onnx'
    export_graph(Contract(network, recipe, (128, 128)), (64, 128), fp32)
    pictures = list(np.random.default_rng(0).integers(0, 256, (4, 64, 128, 3), np.uint8))
    return fp32, int8, quantize_int8(fp32, int8, pictures, 'minmax')


def test_a_good_file_passes_and_the_verdict_is_json(files):
    _, int8, kept = files
    verdict = judge(int8, (GOOD, GOOD), kept, FAST)
    assert verdict.passed
    refuse(int8, verdict, force=False)
    said = json.loads(json.dumps(verdict.as_metadata()))
    assert said['passed'] is True
    assert said['times_fp32'] == 2.5
    assert _verdict(said).startswith('passed; at most 0.00 points')


def test_a_class_that_loses_too_much_is_refused_by_name(files):
    _, int8, kept = files
    worse = {'set/road': 0.9449, 'set/lane_marking': 0.61}
    verdict = judge(int8, (GOOD, worse), kept, FAST)
    with pytest.raises(ModelError, match=r'0\.5 points: set/road loses 0\.51 points$'):
        refuse(int8, verdict, force=False)
    assert judge(int8, (GOOD, worse), kept, FAST, limit=1.0).passed
    assert lost_points(GOOD, {'set/road': 0.95})['set/lane_marking'] == pytest.approx(61)


def test_convolutions_in_float_are_refused_by_name(files):
    fp32, int8, kept = files
    names = convolution_names(fp32)
    some = int8.with_name('some.onnx')
    pictures = list(np.random.default_rng(0).integers(0, 256, (2, 64, 128, 3), np.uint8))
    # Left in float on purpose, and not said to be: one convolution after the other from the end.
    quantize_int8(fp32, some, pictures, 'minmax', keep_float=names[-3:])
    verdict = judge(some, (GOOD, GOOD), kept, FAST)
    assert verdict.float_convolutions == tuple(names[-3:-1])
    with pytest.raises(ModelError, match=f'left in float: {names[-3]}, {names[-2]}'):
        refuse(some, verdict, force=False)


def test_a_file_that_is_not_faster_is_refused(files):
    fp32, int8, kept = files
    verdict = judge(int8, (GOOD, GOOD), kept, Speed(4.0, 4.0))
    with pytest.raises(ModelError, match=r'not faster on this machine: 4\.00 ms against 4\.00'):
        refuse(int8, verdict, force=False)
    # Measured, not said: the float file against itself made four times as large cannot be faster.
    slow = build_model('light_unet', 2, base=32, depth=2, stem=32).eval()
    large = fp32.with_name('large.onnx')
    export_graph(Contract(slow, small_recipe(), (128, 128)), (64, 128), large)
    speed = measure_speed(fp32, large, (64, 128))
    assert speed.ratio < 1
    assert not judge(int8, (GOOD, GOOD), kept, speed).passed


def test_a_file_with_spoilt_weights_is_refused_by_its_own_figures(files):
    """The whole path: figures of a real file, not given ones."""
    fp32, int8, kept = files
    spoilt = int8.with_name('spoilt.onnx')
    model = onnx.load(int8)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4:
            values = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(values * 0, tensor.name))
    onnx.save(model, spoilt)
    from seg_node_training.evaluate.runtimes import onnxruntime_scorer

    picture = np.random.default_rng(5).integers(0, 256, (64, 128, 3), np.uint8)
    truth = onnxruntime_scorer(fp32)(picture)
    truth = truth > np.median(truth, axis=(1, 2), keepdims=True)

    def iou(path: Path) -> dict[str, float]:
        scores = onnxruntime_scorer(path)(picture)
        found = scores > np.median(onnxruntime_scorer(fp32)(picture), axis=(1, 2), keepdims=True)
        hit, union = (found & truth).sum(), (found | truth).sum()
        return {'picture/all': float(hit / union)}

    verdict = judge(spoilt, (iou(fp32), iou(spoilt)), kept, None)
    assert verdict.lost['picture/all'] > 0.5
    with pytest.raises(ModelError, match='refused by the gate: beyond the limit'):
        refuse(spoilt, verdict, force=False)


def test_force_marks_what_it_lets_through(files):
    _, int8, kept = files
    verdict = judge(int8, (GOOD, {}), kept, Speed(4.0, 5.0))
    assert len(verdict.reasons) == 2
    refuse(int8, verdict, force=True)
    assert '**refused, written with `--force`**' in _verdict(verdict.as_metadata())
    assert isinstance(verdict, Verdict)
