"""Depth codings and cutting depth by a mask."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from seg_node.camera.depth import Depth, decode_depth_image, reduce_any, size_ratio
from seg_node.errors import FrameError


def message(pixels, encoding, *, padding=0, big=False):
    """A depth message with `padding` bytes after every row."""
    if big:
        pixels = pixels.astype(pixels.dtype.newbyteorder('>'))
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xAB)
    return SimpleNamespace(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=padded.shape[1],
        data=padded.tobytes(),
    )


def carla_bgra(metres):
    """CARLA's coding, written down from its documentation, not from the decoder."""
    code = np.round(np.asarray(metres, np.float64) / 1000.0 * (256**3 - 1)).astype(np.int64)
    r, g, b = code % 256, code // 256 % 256, code // 65536
    return np.stack([b, g, r, np.full_like(r, 255)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('big', [False, True])
def test_millimetres_and_metres(padding, big):
    mm = np.array([[0, 1500], [65535, 7]], np.uint16)
    depth = decode_depth_image(message(mm, '16UC1', padding=padding, big=big))
    assert depth.encoding == '16UC1'
    assert np.array_equal(depth.pixels, mm)
    assert depth.metres(np.array([1, 3])) == pytest.approx([1.5, 0.007])
    m = np.array([[0.0, 2.25], [np.nan, np.inf]], np.float32)
    depth = decode_depth_image(message(m, '32FC1', padding=padding, big=big))
    assert depth.metres(np.arange(4)) == pytest.approx([0.0, 2.25, 0.0, 0.0])


@pytest.mark.parametrize('encoding', ['bgra8', 'rgba8', 'bgr8', 'rgb8'])
def test_carla_coding(encoding):
    metres = np.array([[0.5, 12.34567, 999.0], [3.0, 65.0, 1000.0]])
    pixels = carla_bgra(metres)
    if encoding.startswith('rgb'):
        pixels = pixels[..., [2, 1, 0, 3]]
    if encoding.endswith('8') and 'a' not in encoding:
        pixels = pixels[..., :3]
    depth = decode_depth_image(message(pixels, encoding))
    assert depth.encoding == '32FC1'
    metres[1, 2] = 0.0  # the far plane is the sky: unknown
    assert depth.pixels == pytest.approx(metres, abs=1e-4)


def test_wrong_encoding_names_what_came_and_what_was_expected():
    mm = message(np.ones((2, 2), np.uint16), '16UC1')
    with pytest.raises(FrameError, match='expected 32FC1') as found:
        decode_depth_image(mm, '32FC1')
    assert found.value.cause == 'depth_encoding'
    with pytest.raises(FrameError, match="'mono8'"):
        decode_depth_image(message(np.ones((2, 2), np.uint8), 'mono8'))


def test_cut_off_data_and_short_rows_are_refused():
    cut = message(np.ones((4, 4), np.float32), '32FC1')
    cut.data = cut.data[:-8]
    with pytest.raises(FrameError, match='expected 64 bytes, got 56'):
        decode_depth_image(cut)
    short = message(np.ones((4, 4), np.float32), '32FC1')
    short.step = 8
    with pytest.raises(FrameError, match='step >= 16'):
        decode_depth_image(short)


@pytest.mark.parametrize('dtype', [np.uint16, np.float32])
def test_cut_sets_zero_and_keeps_type_and_original(dtype):
    pixels = np.array([[3, 4], [5, 6]], dtype)
    pixels.flags.writeable = False
    depth = Depth(pixels, '16UC1' if dtype == np.uint16 else '32FC1')
    kept = depth.cut(np.array([[255, 0], [0, 1]], np.uint8))
    assert kept.pixels.dtype == dtype
    assert kept.pixels.tolist() == [[3, 0], [0, 6]]
    assert pixels.tolist() == [[3, 4], [5, 6]]


def test_size_ratio():
    assert size_ratio((360, 640), (360, 640)) == 1
    assert size_ratio((360, 640), (90, 160)) == 4
    for bad in ((240, 320), (180, 640), (720, 1280), (359, 640)):
        with pytest.raises(FrameError, match='integer multiple') as found:
            size_ratio((360, 640), bad)
        assert found.value.cause == 'size_ratio'


def test_reduce_keeps_a_thin_line():
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 5] = 255
    assert reduce_any(mask, 4).tolist() == [[0, 255], [0, 255]]


@pytest.mark.parametrize(
    ('encoding', 'dtype', 'unit'), [('16UC1', 'u2', 1000), ('32FC1', 'f4', 1)]
)
def test_far_depth_is_unknown(encoding, dtype, unit):
    pixels = (np.array([[0.0, 4.0, 39.9, 40.0, 60.0]]) * unit).astype(dtype)
    depth = Depth(pixels, encoding)
    kept = depth.without_far(40.0)
    assert kept.pixels.dtype == pixels.dtype and kept.encoding == encoding
    np.testing.assert_array_equal(kept.pixels, np.where(pixels < 40 * unit, pixels, 0))
    assert pixels[0, 4] == 60 * unit  # the original is untouched
    assert depth.without_far(0.0) is depth and depth.without_far(61.0) is depth


def test_the_sky_of_ros_bridge_is_unknown():
    """Its far plane is 1000 m in float32, or a step below."""
    sky = np.float32(1000.0)
    pixels = np.array([[sky, np.nextafter(sky, np.float32(0)), 999.9, np.nan]], np.float32)
    kept = Depth(pixels, '32FC1').without_far(1000.0).pixels
    np.testing.assert_array_equal(kept, np.array([[0, 0, 999.9, np.nan]], np.float32))
