"""Image messages to arrays: every encoding, padding, byte order, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.image import message_to_cvimage

from seg_node.errors import FrameError
from seg_node.images.frames import ENCODINGS, decode, decode_compressed, fill_image

RNG = np.random.default_rng(3)
BGR = cv2.GaussianBlur(RNG.integers(0, 255, (24, 32, 3), np.uint8), (5, 5), 0)


@pytest.mark.parametrize(
    ('encoding', 'pixels'),
    [
        ('bgr8', BGR),
        ('8UC3', BGR),
        ('rgb8', BGR[..., ::-1]),
        ('bgra8', cv2.cvtColor(BGR, cv2.COLOR_BGR2BGRA)),
        ('8UC4', cv2.cvtColor(BGR, cv2.COLOR_BGR2BGRA)),
        ('rgba8', cv2.cvtColor(BGR, cv2.COLOR_BGR2RGBA)),
    ],
)
@pytest.mark.parametrize('padding', [0, 7])
def test_colour_views_give_the_pixels_without_a_copy(image_message, encoding, pixels, padding):
    channels = pixels.shape[2]
    message = image_message(pixels, encoding, step=32 * channels + padding)
    frame = decode(message)
    assert np.shares_memory(frame.pixels, np.frombuffer(message.data, np.uint8))
    np.testing.assert_array_equal(frame.bgr(), BGR)


def test_mono8_repeats_grey(image_message):
    grey = BGR[..., 0].copy()
    np.testing.assert_array_equal(
        decode(image_message(grey, 'mono8')).bgr(), grey[..., None].repeat(3, 2)
    )


@pytest.mark.parametrize('order', ['<', '>'])
def test_mono16_honours_byte_order(image_message, order):
    values = np.array([[0, 257, 65535, 32896]], np.uint16)
    message = image_message(values.astype(f'{order}u2'), 'mono16', big=order == '>')
    np.testing.assert_array_equal(decode(message).pixels, [[0, 1, 255, 128]])


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_recovers_a_flat_colour(image_message, pattern):
    colour = {'b': 200, 'g': 120, 'r': 40}
    raw = np.empty((24, 32), np.uint8)
    for i, channel in enumerate(pattern):
        raw[i // 2 :: 2, i % 2 :: 2] = colour[channel]
    bgr = decode(image_message(raw, f'bayer_{pattern}8')).bgr()
    np.testing.assert_array_equal(bgr[4:-4, 4:-4], np.broadcast_to([200, 120, 40], (16, 24, 3)))


@pytest.mark.parametrize('encoding', ['bayer_rggb8', 'bayer_bggr8', 'bayer_gbrg8', 'bayer_grbg8'])
def test_bayer_as_rosbags_image_does(image_message, encoding):
    message = image_message(BGR[..., 1].copy(), encoding)
    np.testing.assert_array_equal(decode(message).bgr(), message_to_cvimage(message, 'bgr8'))


def _yuv_planes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    planar = cv2.cvtColor(BGR, cv2.COLOR_BGR2YUV_I420)
    luma = planar[:24]
    u, v = planar[24:].reshape(2, 12, 16)
    return luma, u, v


@pytest.mark.parametrize('encoding', ['nv12', 'nv21'])
def test_nv_planes(image_message, encoding):
    luma, u, v = _yuv_planes()
    pair = (u, v) if encoding == 'nv12' else (v, u)
    chroma = np.stack(pair, -1).reshape(12, 32)
    message = image_message(np.vstack([luma, chroma]), encoding)
    message.height = 24
    got = decode(message).bgr()
    expected = cv2.cvtColor(cv2.cvtColor(BGR, cv2.COLOR_BGR2YUV_I420), cv2.COLOR_YUV2BGR_I420)
    assert got.shape == BGR.shape
    assert np.abs(got.astype(int) - expected).max() <= 2


@pytest.mark.parametrize('encoding', ['uyvy', 'yuv422', 'yuyv', 'yuv422_yuy2', 'yuy2'])
def test_yuv422_packings(image_message, encoding):
    luma, u, v = _yuv_planes()
    u, v = u.repeat(2, 0), v.repeat(2, 0)
    packed = np.empty((24, 32, 2), np.uint8)
    y_at = 1 if encoding in ('uyvy', 'yuv422') else 0
    packed[..., y_at] = luma
    packed[:, 0::2, 1 - y_at] = u
    packed[:, 1::2, 1 - y_at] = v
    got = decode(image_message(packed, encoding)).bgr()
    expected = cv2.cvtColor(cv2.cvtColor(BGR, cv2.COLOR_BGR2YUV_I420), cv2.COLOR_YUV2BGR_I420)
    assert np.abs(got.astype(int) - expected).max() <= 12


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_compressed(suffix):
    _, data = cv2.imencode(suffix, BGR, [cv2.IMWRITE_JPEG_QUALITY, 100])
    frame = decode_compressed(SimpleNamespace(format='jpeg', data=data.tobytes()))
    difference = np.abs(frame.bgr().astype(int) - BGR)
    assert difference.max() == 0 if suffix == '.png' else difference.mean() < 10


@pytest.mark.parametrize('keep', [0, 10, 0.5])
def test_truncated_jpeg_is_refused(keep):
    data = cv2.imencode('.jpg', BGR)[1].tobytes()
    cut = data[: int(len(data) * keep) if keep < 1 else keep]
    with pytest.raises(FrameError) as caught:
        decode_compressed(SimpleNamespace(format='jpeg', data=cut))
    assert caught.value.cause in ('truncated', 'encoding')


@pytest.mark.parametrize(
    ('change', 'cause', 'words'),
    [
        ({'encoding': 'hsv9'}, 'encoding', "'hsv9'"),
        ({'step': 50}, 'step', 'expected step >= 96, got 50'),
        ({'data': b''}, 'truncated', 'got 0'),
        ({'data': bytes(100)}, 'truncated', 'expected 2304 bytes of data, got 100'),
        ({'height': 0}, 'size', '32x0'),
        ({'width': 0}, 'size', '0x24'),
        ({'encoding': 'nv12', 'width': 31}, 'size', 'even'),
    ],
)
def test_bad_images_are_named(image_message, change, cause, words):
    message = image_message(BGR, 'bgr8')
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(FrameError) as caught:
        decode(message)
    assert caught.value.cause == cause
    assert words in str(caught.value)
    assert '\n' not in str(caught.value)


@given(
    encoding=st.sampled_from(sorted(ENCODINGS)),
    height=st.integers(0, 9),
    width=st.integers(0, 9),
    step=st.integers(0, 64),
    size=st.integers(0, 600),
)
def test_any_message_decodes_or_is_refused(encoding, height, width, step, size):
    message = SimpleNamespace(
        height=height, width=width, encoding=encoding, is_bigendian=0, step=step, data=bytes(size)
    )
    try:
        frame = decode(message)
    except FrameError:
        return
    assert (frame.height, frame.width) == (height, width)


def test_fill_image_round_trip():
    message = fill_image(SimpleNamespace(), np.ascontiguousarray(BGR[:, 3:20]), 'bgr8')
    np.testing.assert_array_equal(decode(message).bgr(), BGR[:, 3:20])
