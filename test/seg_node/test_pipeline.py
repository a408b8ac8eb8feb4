"""One frame's way: any size and channel order in, class ids at the camera's size out."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import pytest

from seg_node.camera.geometry import Geometry
from seg_node.camera.size import Size
from seg_node.errors import FrameError
from seg_node.images.frames import Frame
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.pipeline import Segmenter
from seg_node.timing import STAGES, Stopwatch

BACKENDS = ('openvino', 'onnxruntime')
NETWORK = Size(64, 32)


@pytest.fixture(scope='module', params=BACKENDS)
def runner(request, contract_model):
    return load_model(contract_model, RunOptions(request.param, threads=1)).runner


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """uint8 (H, W, 3) BGR with smooth blobs."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def painted(green: np.ndarray, red: np.ndarray, thresholds=(128, 128)) -> np.ndarray:
    return np.where(red >= thresholds[1], 2, np.where(green >= thresholds[0], 1, 0))


def expected_answer(bgr: np.ndarray, resize='stretch') -> tuple[np.ndarray, np.ndarray]:
    """Mask and planes by the definition: shrink, take green and red, enlarge, decide."""
    size = Size.of(bgr)
    geometry = Geometry.fit(size, NETWORK, resize)
    small = geometry.to_network(bgr)
    planes = np.stack([geometry.to_source(np.ascontiguousarray(small[..., c])) for c in (1, 2)])
    return painted(*planes), planes


def test_a_frame_of_the_networks_size_is_answered_exactly(runner):
    bgr = picture(64, 32)
    result = Segmenter(runner)(Frame(bgr, 'bgr'))
    np.testing.assert_array_equal(result.mask, painted(bgr[..., 1], bgr[..., 2]))
    np.testing.assert_array_equal(np.stack(result.planes), [bgr[..., 1], bgr[..., 2]])


@pytest.mark.parametrize('size', [(640, 360), (100, 300), (2, 2), (2, 500), (33, 17), (63, 32)])
def test_scores_are_enlarged_then_decided(runner, size):
    bgr = picture(*size)
    result = Segmenter(runner)(Frame(bgr, 'bgr'))
    mask, planes = expected_answer(bgr)
    assert result.mask.shape == (size[1], size[0])
    assert result.mask.dtype == np.uint8
    np.testing.assert_array_equal(result.mask, mask)
    np.testing.assert_array_equal(np.stack(result.planes), planes)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('size', [(100, 100), (300, 40), (20, 90)])
def test_letterbox_keeps_the_picture_and_drops_the_bars(
    make_contract_model, tmp_path, backend, size
):
    path = make_contract_model(tmp_path / 'm.onnx', resize='letterbox')
    runner = load_model(path, RunOptions(backend)).runner
    bgr = picture(*size)
    result = Segmenter(runner)(Frame(bgr, 'bgr'))
    mask, planes = expected_answer(bgr, 'letterbox')
    np.testing.assert_array_equal(result.mask, mask)
    np.testing.assert_array_equal(np.stack(result.planes), planes)
    full = np.full((size[1], size[0], 3), 255, np.uint8)
    assert (Segmenter(runner)(Frame(full, 'bgr')).mask == 2).all()
    small = Segmenter(runner, 'network')(Frame(full, 'bgr'))
    assert (small.mask == 2).all()
    assert small.mask.shape == (small.geometry.inner.height, small.geometry.inner.width)
    assert small.planes[0].shape == small.mask.shape


ORDERS = {
    'bgr': None,
    'rgb': cv2.COLOR_BGR2RGB,
    'bgra': cv2.COLOR_BGR2BGRA,
    'rgba': cv2.COLOR_BGR2RGBA,
}


@pytest.mark.parametrize('model_order', ['bgr', 'rgb'])
def test_every_channel_order_of_camera_and_model(make_contract_model, tmp_path, model_order):
    path = make_contract_model(tmp_path / 'm.onnx', colour_order=model_order)
    segmenter = Segmenter(load_model(path).runner)
    bgr = picture(120, 90)
    expected = segmenter(Frame(bgr, 'bgr')).mask.copy()
    np.testing.assert_array_equal(expected, expected_answer(bgr)[0])
    for order, code in ORDERS.items():
        pixels = bgr if code is None else cv2.cvtColor(bgr, code)
        mask = segmenter(Frame(pixels, order)).mask
        np.testing.assert_array_equal(mask, expected, err_msg=order)
    grey = bgr[..., 1].copy()
    np.testing.assert_array_equal(
        segmenter(Frame(grey, 'mono')).mask,
        expected_answer(grey[..., None].repeat(3, 2))[0],
    )


def test_the_network_sized_answer_is_the_graphs_own(runner):
    bgr = picture(200, 120)
    result = Segmenter(runner, 'network')(Frame(bgr, 'bgr'))
    small = Geometry.fit(Size(200, 120), NETWORK).to_network(bgr)
    np.testing.assert_array_equal(result.mask, painted(small[..., 1], small[..., 2]))
    np.testing.assert_array_equal(result.planes[1], small[..., 2])
    assert result.confidence().shape == (32, 64)


@pytest.mark.parametrize('output_size', ['source', 'network'])
def test_other_thresholds_change_the_mask_at_either_size(runner, output_size):
    segmenter = Segmenter(runner, output_size)
    segmenter.decider.thresholds = (250, 30)
    bgr = picture(64, 32)
    result = segmenter(Frame(bgr, 'bgr'))
    np.testing.assert_array_equal(result.mask, painted(bgr[..., 1], bgr[..., 2], (250, 30)))


def test_confidence_is_the_winners_score(runner):
    bgr = picture(150, 70)
    result = Segmenter(runner)(Frame(bgr, 'bgr'))
    (green, red), mask = result.planes, result.mask
    expected = np.choose(mask, [255 - np.maximum(green, red), green, red])
    np.testing.assert_array_equal(result.confidence(), expected)


def test_sizes_and_orders_may_change_in_mid_stream(runner):
    segmenter = Segmenter(runner)
    for seed, size in enumerate([(64, 32), (640, 360), (31, 77), (64, 32), (640, 360)]):
        bgr = picture(*size, seed)
        np.testing.assert_array_equal(segmenter(Frame(bgr, 'bgr')).mask, expected_answer(bgr)[0])
        bgra = cv2.cvtColor(bgr, cv2.COLOR_BGR2BGRA)
        np.testing.assert_array_equal(segmenter(Frame(bgra, 'bgra')).mask, expected_answer(bgr)[0])


@pytest.mark.parametrize('shape', [(1, 1, 3), (1, 50, 3), (50, 1, 3)])
def test_one_pixel_is_no_picture(runner, shape):
    with pytest.raises(FrameError, match='at least 2x2') as caught:
        Segmenter(runner)(Frame(np.zeros(shape, np.uint8), 'bgr'))
    assert caught.value.cause == 'size'


def test_read_only_frames_with_padded_rows(runner):
    bgr = picture(90, 60)
    padded = np.zeros((60, 100, 3), np.uint8)
    padded[:, :90] = bgr
    padded.setflags(write=False)
    mask = Segmenter(runner)(Frame(padded[:, :90], 'bgr')).mask
    np.testing.assert_array_equal(mask, expected_answer(bgr)[0])


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('size', [(130, 50), (64, 32), (20, 11)])
def test_masks_without_scores_are_enlarged_by_nearest(contract_model, tmp_path, backend, size):
    model = onnx.load(contract_model)
    assert model.graph.output.pop().name == 'scores'
    onnx.save(model, tmp_path / 'mask_only.onnx')
    runner = load_model(tmp_path / 'mask_only.onnx', RunOptions(backend)).runner
    bgr = picture(*size)
    result = Segmenter(runner)(Frame(bgr, 'bgr'))
    small = Geometry.fit(Size(*size), NETWORK).to_network(bgr)
    (at_x, sure_x), (at_y, sure_y) = nearest(size[0], 64), nearest(size[1], 32)
    expected = painted(small[..., 1], small[..., 2])[at_y[:, None], at_x]
    sure = sure_y[:, None] & sure_x
    assert sure.mean() > 0.7
    np.testing.assert_array_equal(result.mask[sure], expected[sure])
    assert result.planes == ()
    assert result.confidence() is None


def nearest(large: int, small: int) -> tuple[np.ndarray, np.ndarray]:
    """The small pixel under each large one's centre, and whether it is no tie."""
    doubled = (np.arange(large) * 2 + 1) * small
    return doubled // (2 * large), doubled % (2 * large) != 0


def test_stages_are_booked(runner):
    watch = Stopwatch()
    Segmenter(runner)(Frame(picture(64, 32), 'bgr'), watch)
    assert set(watch.stages) == set(STAGES) & {'preprocess', 'infer', 'postprocess'}
