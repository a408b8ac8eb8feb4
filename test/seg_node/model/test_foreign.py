"""Somebody else's ONNX with a sidecar, against numpy: every head, layout and runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from foreign_nets import (
    BACKENDS,
    HEIGHT,
    MEAN,
    PARTS,
    RGB,
    STD,
    WIDTH,
    assert_mask,
    logits,
    run,
    save_net,
    save_sidecar,
    save_two_heads,
    softmax,
    weights,
)
from onnx import TensorProto

from seg_node.errors import ModelError
from seg_node.images.frames import Frame
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.pipeline import Segmenter


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('opset', [11, 13, 18])
@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
def test_softmax_logits(tmp_path, backend, layout, opset):
    path = save_net(tmp_path / 'net.onnx', 4, layout, opset)
    save_sidecar(path, 4, layout=layout)
    mask, scores, runner = run(path, tmp_path / 'cache', backend)
    expected = softmax(logits(4))
    assert_mask(mask, expected, expected.argmax(0))
    assert np.abs(scores - expected[1:] * 255).max() <= 0.51
    assert runner.spec.classes.names == ('c0', 'c1', 'c2', 'c3')
    assert (runner.network.width, runner.network.height) == (WIDTH, HEIGHT)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('opset', [11, 17, 18])
@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
def test_sigmoid_logits_with_thresholds(tmp_path, backend, layout, opset):
    path = save_net(tmp_path / 'net.onnx', 2, layout, opset)
    save_sidecar(path, 3, layout=layout, head='sigmoid', thresholds=[60, 200])
    mask, scores, _ = run(path, tmp_path / 'cache', backend)
    p = 1 / (1 + np.exp(-logits(2)))
    assert np.abs(scores - p * 255).max() <= 0.51
    expected = np.where(scores[1] >= 200, 2, np.where(scores[0] >= 60, 1, 0))
    np.testing.assert_array_equal(mask, expected)
    assert set(np.unique(mask)) == {0, 1, 2}


@pytest.mark.parametrize('backend', BACKENDS)
def test_probabilities_are_not_put_through_softmax_again(tmp_path, backend):
    path = save_net(tmp_path / 'net.onnx', 3, head='probabilities')
    save_sidecar(path, 3, head='probabilities')
    _, scores, _ = run(path, tmp_path / 'cache', backend)
    assert np.abs(scores - softmax(logits(3))[1:] * 255).max() <= 0.51


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
def test_class_ids(tmp_path, backend, layout):
    path = save_net(tmp_path / 'net.onnx', 5, layout, head='class_ids')
    save_sidecar(path, 5, head='class_ids', layout=layout)
    mask, scores, _ = run(path, tmp_path / 'cache', backend)
    assert scores is None
    assert_mask(mask, logits(5), logits(5).argmax(0))


@pytest.mark.parametrize('backend', BACKENDS)
def test_many_classes_give_a_mask_alone(tmp_path, backend):
    path = save_net(tmp_path / 'net.onnx', 100)
    save_sidecar(path, 100)
    mask, scores, runner = run(path, tmp_path / 'cache', backend)
    assert scores is None
    assert_mask(mask, logits(100), logits(100).argmax(0))
    assert Segmenter(runner)(Frame(RGB, 'rgb')).confidence() is None


@pytest.mark.parametrize('backend', BACKENDS)
def test_an_open_size_is_fixed_by_the_sidecar(tmp_path, backend):
    path = save_net(tmp_path / 'net.onnx', 3, size=None)
    save_sidecar(path, 3, input_size=[WIDTH, HEIGHT])
    mask, _, runner = run(path, tmp_path / 'cache', backend)
    assert (runner.network.width, runner.network.height) == (WIDTH, HEIGHT)
    assert_mask(mask, logits(3), logits(3).argmax(0))


@pytest.mark.parametrize('backend', BACKENDS)
def test_half_precision_networks(tmp_path, backend):
    path = save_net(tmp_path / 'net.onnx', 3, kind=TensorProto.FLOAT16)
    save_sidecar(path, 3)
    _, scores, _ = run(path, tmp_path / 'cache', backend)
    assert np.abs(scores - softmax(logits(3))[1:] * 255).max() <= 2


@pytest.mark.parametrize('backend', BACKENDS)
def test_camera_pictures_reach_the_network_in_its_channel_order(tmp_path, backend):
    path = save_net(tmp_path / 'net.onnx', 3)
    save_sidecar(path, 3, colour_order='rgb')
    runner = load_model(path, RunOptions(backend, cache_dir=tmp_path)).runner
    expected = softmax(logits(3))[1:] * 255
    for frame in (Frame(RGB, 'rgb'), Frame(RGB[..., ::-1].copy(), 'bgr')):
        result = Segmenter(runner)(frame)
        assert np.abs(np.stack(result.planes) - expected).max() <= 0.51


def test_one_of_several_outputs_is_chosen_by_name(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3, extra_output=True)
    save_sidecar(path, 3)
    with pytest.raises(ModelError, match='output: expected one of y, aux, got None'):
        load_model(path, RunOptions(cache_dir=tmp_path))
    save_sidecar(path, 3, output='y')
    mask, _, _ = run(path, tmp_path, 'openvino')
    assert_mask(mask, logits(3), logits(3).argmax(0))


def test_the_wrapped_file_is_made_once_and_again_when_something_changes(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3)
    cache = tmp_path / 'cache'

    def wrapped_files():
        load_model(path, RunOptions(cache_dir=cache))
        return {p: p.stat().st_mtime_ns for p in cache.glob('*.onnx')}

    save_sidecar(path, 3)
    first = wrapped_files()
    assert len(first) == 1
    assert wrapped_files() == first
    save_sidecar(path, 3, colour_order='bgr')
    assert len(wrapped_files()) == 2


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_sigmoid_inside_the_graph_has_a_head_of_its_own(tmp_path, backend):
    """Applied twice, every score is above a half: everything is foreground, in silence."""
    path = save_net(tmp_path / 'net.onnx', 2, head='sigmoid_probabilities')
    save_sidecar(path, 3, head='sigmoid')
    with pytest.raises(ModelError, match='use head sigmoid_probabilities'):
        load_model(path, RunOptions(backend, cache_dir=tmp_path))
    save_sidecar(path, 3, head='sigmoid_probabilities', thresholds=[60, 200])
    mask, scores, _ = run(path, tmp_path / 'cache', backend)
    p = 1 / (1 + np.exp(-logits(2)))
    assert np.abs(scores - p * 255).max() <= 0.51
    expected = np.where(scores[1] >= 200, 2, np.where(scores[0] >= 60, 1, 0))
    np.testing.assert_array_equal(mask, expected)


def test_a_softmax_inside_the_graph_is_not_applied_again(tmp_path):
    path = save_net(tmp_path / 'net.onnx', 3, head='probabilities')
    save_sidecar(path, 3, head='softmax')
    with pytest.raises(ModelError, match='softmax in the graph already, use head probabilities'):
        load_model(path, RunOptions(cache_dir=tmp_path))


@pytest.mark.parametrize('backend', BACKENDS)
def test_two_heads_are_joined(tmp_path, backend):
    path = save_two_heads(tmp_path / 'net.onnx')
    save_sidecar(path, 3, head=None, parts=PARTS, thresholds=[128, 100])
    mask, scores, runner = run(path, tmp_path / 'cache', backend)
    scaled = (RGB / 255.0 - MEAN) / STD
    for plane, seed in zip(scores, (2, 3)):
        answer = np.einsum('kc,hwc->khw', weights(seed)[:2].astype(np.float64), scaled)
        assert np.abs(plane - softmax(answer)[1] * 255).max() <= 0.51
    expected = np.where(scores[1] >= 100, 2, np.where(scores[0] >= 128, 1, 0))
    np.testing.assert_array_equal(mask, expected)
    assert set(np.unique(mask)) == {0, 1, 2}
    assert runner.spec.head == 'sigmoid'


def test_external_data_are_part_of_the_key(tmp_path):
    """Retrained, only the .data file changes: the .onnx stays the same byte for byte."""
    path = save_net(tmp_path / 'net.onnx', 3)
    save_sidecar(path, 3)
    inside = onnx.load(path)
    onnx.save(inside, path, save_as_external_data=True, location='net.data', size_threshold=0)
    masks = []
    for sign in (1.0, -1.0):
        kernel = np.frombuffer((tmp_path / 'net.data').read_bytes(), np.float32)
        (tmp_path / 'net.data').write_bytes((kernel * sign).tobytes())
        masks.append(run(path, tmp_path / 'cache', 'openvino')[0])
        expected = (logits(3) * sign).argmax(0)
        assert_mask(masks[-1], softmax(logits(3) * sign), expected)
    assert (masks[0] != masks[1]).any()
    (tmp_path / 'net.data').unlink()
    with pytest.raises(ModelError, match=r'external data net\.data: no such file'):
        run(path, tmp_path / 'cache', 'openvino')


def test_a_planted_or_damaged_wrapped_file_is_made_anew(tmp_path):
    path, cache = save_net(tmp_path / 'net.onnx', 3), tmp_path / 'cache'
    save_sidecar(path, 3)
    right = run(path, cache, 'openvino')[0]
    (kept,) = cache.glob('*.onnx')
    data = bytearray(kept.read_bytes())
    data[data.index(weights(3)[0, 0].tobytes()) + 3] ^= 0x80  # the sign of a weight
    kept.write_bytes(data)
    np.testing.assert_array_equal(run(path, cache, 'openvino')[0], right)
    assert kept.read_bytes() != bytes(data)


def test_without_a_cache_nothing_is_left_behind(tmp_path, monkeypatch):
    path = save_net(tmp_path / 'net.onnx', 3)
    save_sidecar(path, 3)
    scratch = tmp_path / 'scratch'
    scratch.mkdir()
    monkeypatch.setattr('tempfile.tempdir', str(scratch))
    load_model(path, RunOptions('openvino'))
    assert not list(scratch.iterdir())
