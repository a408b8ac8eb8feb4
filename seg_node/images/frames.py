"""`sensor_msgs/Image` and `CompressedImage` to arrays and back (REP-118 for depth encodings).

Messages are read by attribute, so rclpy's, rosbags' and plain objects of the same shape all do.
The common encodings are views into the message's bytes; nothing is copied.
"""

from __future__ import annotations

import array
import sys
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.errors import FrameError
from seg_node.images.reading import decode_picture

Array = npt.NDArray[np.uint8]
Order = Literal['bgr', 'rgb', 'bgra', 'rgba', 'mono']


class ImageMessage(Protocol):
    """The fields of `sensor_msgs/msg/Image` that decoding reads."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


_VIEWS: dict[str, tuple[Order, int]] = {
    'bgr8': ('bgr', 3),
    'rgb8': ('rgb', 3),
    'bgra8': ('bgra', 4),
    'rgba8': ('rgba', 4),
    'mono8': ('mono', 1),
    '8UC1': ('mono', 1),
    '8UC3': ('bgr', 3),
    '8UC4': ('bgra', 4),
}

_TO_BGR: dict[Order, int | None] = {
    'bgr': None,
    'rgb': cv2.COLOR_RGB2BGR,
    'bgra': cv2.COLOR_BGRA2BGR,
    'rgba': cv2.COLOR_RGBA2BGR,
    'mono': cv2.COLOR_GRAY2BGR,
}
_TO_RGB: dict[Order, int | None] = {
    'bgr': cv2.COLOR_BGR2RGB,
    'rgb': None,
    'bgra': cv2.COLOR_BGRA2RGB,
    'rgba': cv2.COLOR_RGBA2RGB,
    'mono': cv2.COLOR_GRAY2RGB,
}


@dataclass(frozen=True)
class Frame:
    """A camera picture: `pixels` uint8 (H, W) or (H, W, 3|4), channels in `order`.

    `pixels` may be a read-only view into a message.
    """

    pixels: Array
    order: Order

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    def bgr(self) -> Array:
        """uint8 (H, W, 3) BGR; a view where the picture is BGR already."""
        return reorder(self.pixels, self.order, 'bgr')


def reorder(pixels: Array, order: Order, target: Literal['bgr', 'rgb']) -> Array:
    """uint8 (H, W, 3) in the `target` channel order; the same array where nothing is to do."""
    code = (_TO_BGR if target == 'bgr' else _TO_RGB)[order]
    return pixels if code is None else np.asarray(cv2.cvtColor(pixels, code), np.uint8)


@dataclass(frozen=True)
class _Coded:
    """An encoding that needs a conversion: `rows` x height rows of `channels` x `dtype`."""

    convert: int | None
    dtype: str = 'u1'
    channels: int = 1
    rows: tuple[int, int] = (1, 1)
    even: bool = False


_CODED = {
    'mono16': _Coded(None, 'u2'),
    '16UC1': _Coded(None, 'u2'),
    # ROS names the pattern by its first row, OpenCV by the second row's second pixel onwards.
    'bayer_rggb8': _Coded(cv2.COLOR_BayerBG2BGR, even=True),
    'bayer_bggr8': _Coded(cv2.COLOR_BayerRG2BGR, even=True),
    'bayer_gbrg8': _Coded(cv2.COLOR_BayerGR2BGR, even=True),
    'bayer_grbg8': _Coded(cv2.COLOR_BayerGB2BGR, even=True),
    'uyvy': _Coded(cv2.COLOR_YUV2BGR_UYVY, channels=2, even=True),
    'yuv422': _Coded(cv2.COLOR_YUV2BGR_UYVY, channels=2, even=True),
    'yuyv': _Coded(cv2.COLOR_YUV2BGR_YUY2, channels=2, even=True),
    'yuy2': _Coded(cv2.COLOR_YUV2BGR_YUY2, channels=2, even=True),
    'yuv422_yuy2': _Coded(cv2.COLOR_YUV2BGR_YUY2, channels=2, even=True),
    'nv12': _Coded(cv2.COLOR_YUV2BGR_NV12, rows=(3, 2), even=True),
    'nv21': _Coded(cv2.COLOR_YUV2BGR_NV21, rows=(3, 2), even=True),
}

ENCODINGS = frozenset(_VIEWS) | frozenset(_CODED)
"""Every `Image` encoding that is taken."""


def decode(message: ImageMessage) -> Frame:
    """The picture of a `sensor_msgs/Image`.

    Row padding and byte order are honoured. Raises `FrameError` with one line that names the
    encoding, the size or the amount of data that does not fit.
    """
    encoding = message.encoding
    if encoding in _VIEWS:
        order, channels = _VIEWS[encoding]
        return Frame(_rows(message, channels, np.dtype(np.uint8), message.height), order)
    if encoding not in _CODED:
        raise FrameError(
            'encoding', f'encoding {encoding!r}: expected one of {", ".join(sorted(ENCODINGS))}'
        )
    coded = _CODED[encoding]
    if coded.even and (message.height % 2 or message.width % 2):
        raise FrameError(
            'size',
            f'encoding {encoding}: expected even width and height, '
            f'got {message.width}x{message.height}',
        )
    return _decode_coded(message, coded)


def _decode_coded(message: ImageMessage, coded: _Coded) -> Frame:
    from seg_node.images import bridge  # cv_bridge is looked for on first need only

    converted = bridge.to_bgr(message)
    if converted is not None:
        return Frame(converted, 'bgr')
    height = message.height * coded.rows[0] // coded.rows[1]
    dtype = np.dtype(coded.dtype).newbyteorder('>' if message.is_bigendian else '<')
    raw = _rows(message, coded.channels, dtype, height)
    if coded.convert is None:
        # As cv_bridge does: full range of 16 bit to full range of 8 bit.
        return Frame(cv2.convertScaleAbs(raw.astype(np.uint16), alpha=255 / 65535), 'mono')
    return Frame(np.asarray(cv2.cvtColor(raw, coded.convert), np.uint8), 'bgr')


def _rows(
    message: ImageMessage, channels: int, dtype: np.dtype[Any], height: int
) -> npt.NDArray[Any]:
    """View of the message's data as (height, width[, channels]), without the row padding."""
    width, step = message.width, message.step
    row_bytes = width * channels * dtype.itemsize
    size = f'{message.width}x{message.height} {message.encoding}'
    if message.height < 1 or width < 1:
        raise FrameError('size', f'image {size}: expected at least one row and column')
    if step < row_bytes:
        raise FrameError('step', f'image {size}: expected step >= {row_bytes}, got {step}')
    data = np.frombuffer(message.data, np.uint8)
    # The last row may come without its padding.
    needed = step * (height - 1) + row_bytes
    if data.size < needed:
        raise FrameError(
            'truncated', f'image {size}: expected {step * height} bytes of data, got {data.size}'
        )
    strides: tuple[int, ...] = (step, channels * dtype.itemsize)
    shape: tuple[int, ...] = (height, width)
    if channels > 1:
        strides, shape = (*strides, dtype.itemsize), (*shape, channels)
    return np.ndarray(shape, dtype, data, 0, strides)


def decode_compressed(message: Any) -> Frame:
    """The picture of a `sensor_msgs/CompressedImage` (jpeg, png). Raises `FrameError`.

    As it is stored: a driver's EXIF does not turn it, since camera_info belongs to these pixels.
    """
    data = bytes(message.data)
    subject = f'compressed image {message.format!r}'
    if not data:
        raise FrameError('truncated', f'{subject}: expected data, got 0')
    return Frame(decode_picture(subject, data)[0], 'bgr')


def image_bytes(pixels: npt.NDArray[Any]) -> array.array[int]:
    """The bytes of an array as `array.array('B')`: the fast way into a ROS message's `data`."""
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(pixels).data.cast('B'))
    return data


def fill_image(message: Any, pixels: npt.NDArray[Any], encoding: str) -> Any:
    """Fill height, width, encoding, step and data of an Image message; the header is untouched."""
    message.height, message.width = int(pixels.shape[0]), int(pixels.shape[1])
    message.encoding = encoding
    message.is_bigendian = int(sys.byteorder == 'big')
    message.step = (
        int(pixels.strides[0])
        if pixels.flags.c_contiguous
        else (int(np.prod(pixels.shape[1:])) * pixels.itemsize)
    )
    message.data = image_bytes(pixels)
    return message
