"""Depth images: their codings, where they are known, and how a mask cuts them (REP-118)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.errors import FrameError
from seg_node.images.frames import ImageMessage, decode

Array = npt.NDArray[np.uint8]
DepthArray = npt.NDArray[np.uint16] | npt.NDArray[np.float32]
DepthCoding = Literal['auto', '16UC1', '32FC1', 'carla']
DEPTH_CODINGS = ('auto', '16UC1', '32FC1', 'carla')

_CARLA_FAR_M = 1000.0
_CARLA_MAX = (1 << 24) - 1
_FAR_TOLERANCE = 1e-6
"""Of a far plane that has gone through float32."""
_CARLA_ENCODINGS = ('bgra8', 'rgba8', 'bgr8', 'rgb8', '8UC4', '8UC3')
_DTYPES = {'16UC1': 'u2', 'mono16': 'u2', '32FC1': 'f4'}


@dataclass(frozen=True)
class Depth:
    """One depth image in its own encoding.

    `pixels`: (H, W), uint16 millimetres for `16UC1`, float32 metres for `32FC1`; planar depth
    along the optical axis. 0, NaN and infinite values mean "unknown". May be a read-only view.
    """

    pixels: DepthArray
    encoding: Literal['16UC1', '32FC1']

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.pixels.shape[0]), int(self.pixels.shape[1])

    def metres(self, indices: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """float32 (N,) metres at flat `indices` (N,); what is unknown is 0."""
        taken = self.pixels.reshape(-1)[indices].astype(np.float32)
        if self.encoding == '16UC1':
            taken *= np.float32(0.001)
        else:
            taken[~np.isfinite(taken)] = 0.0
        return taken

    def without_far(self, far_m: float) -> Depth:
        """The same depth with 0, unknown, from `far_m` metres on; itself where nothing is so far.

        A simulator's far plane is no surface: ros-bridge sends CARLA's sky as 1000 m. 0 m: no
        depth is too far.
        """
        limit = far_m * (1.0 - _FAR_TOLERANCE) * (1000.0 if self.encoding == '16UC1' else 1.0)
        if limit <= 0.0 or not np.any(far := self.pixels >= limit):
            return self
        return Depth(np.where(far, self.pixels.dtype.type(0), self.pixels), self.encoding)

    def image_metres(self) -> npt.NDArray[np.float32]:
        """float32 (H, W) metres; what is unknown stays 0, NaN or infinite."""
        if self.encoding == '16UC1':
            return self.pixels.astype(np.float32) * np.float32(0.001)
        return np.asarray(self.pixels, np.float32)

    def cut(self, keep: Array) -> Depth:
        """The same depth, with 0 wherever `keep` (uint8 (H, W)) is 0. The original is untouched.

        0 is "unknown" to RTAB-Map, nav2's costmaps and depth_image_proc in both encodings.
        """
        kept = np.zeros_like(self.pixels)
        cv2.copyTo(self.pixels, keep, kept)
        return Depth(kept, self.encoding)


def decode_depth_image(message: ImageMessage, coding: DepthCoding = 'auto') -> Depth:
    """The depth of a `sensor_msgs/Image`.

    `16UC1` (or mono16) in mm and `32FC1` in m stay as they are. CARLA's 24-bit coding in a colour
    image becomes 32FC1: metres = 1000 (R + 256 G + 65536 B) / (2^24 - 1), and the far plane, which
    is the sky, becomes 0 = unknown (CARLA documentation, "Depth camera"). `coding` says what is
    expected; `auto` takes a colour image for CARLA's. Raises `FrameError` for anything else.
    """
    encoding = 'carla' if message.encoding in _CARLA_ENCODINGS else message.encoding
    known = '16UC1' if encoding == 'mono16' else encoding
    if known not in ('16UC1', '32FC1', 'carla') or coding not in ('auto', known):
        expected = '16UC1, 32FC1 or CARLA bgra8' if coding == 'auto' else coding
        raise FrameError(
            'depth_encoding', f'depth encoding {message.encoding!r}: expected {expected}'
        )
    if encoding == 'carla':
        return Depth(_from_carla(message), '32FC1')
    return Depth(_plane(message), '16UC1' if known == '16UC1' else '32FC1')


def _from_carla(message: ImageMessage) -> npt.NDArray[np.float32]:
    frame = decode(message)
    pixels = frame.pixels
    if frame.order in ('bgr', 'rgb'):
        code = cv2.COLOR_BGR2BGRA if frame.order == 'bgr' else cv2.COLOR_RGB2BGRA
        pixels = np.asarray(cv2.cvtColor(pixels, code), np.uint8)
    elif frame.order == 'rgba':
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA), np.uint8)
    # The four bytes B, G, R, A read as one big-endian number hold the code above its last byte.
    words = np.ascontiguousarray(pixels).view('>u4')[..., 0]
    coded = (words >> np.uint32(8)).astype(np.uint32)
    metres = coded.astype(np.float32) * np.float32(_CARLA_FAR_M / _CARLA_MAX)
    metres[coded == _CARLA_MAX] = 0.0
    return metres


def _plane(message: ImageMessage) -> DepthArray:
    """View of the data as (height, width) in the machine's byte order where that is possible."""
    dtype: np.dtype[Any] = np.dtype(_DTYPES[message.encoding])
    wide = dtype.newbyteorder('>' if message.is_bigendian else '<')
    row_bytes = message.width * dtype.itemsize
    size = f'depth {message.width}x{message.height} {message.encoding}'
    if message.height < 1 or message.width < 1:
        raise FrameError('depth_size', f'{size}: expected at least one row and column')
    if message.step < row_bytes:
        raise FrameError('depth_step', f'{size}: expected step >= {row_bytes}, got {message.step}')
    data = np.frombuffer(message.data, np.uint8)
    needed = message.step * (message.height - 1) + row_bytes
    if data.size < needed:
        raise FrameError('depth_truncated', f'{size}: expected {needed} bytes, got {data.size}')
    plane: npt.NDArray[Any] = np.ndarray(
        (message.height, message.width), wide, data, 0, (message.step, dtype.itemsize)
    )
    return np.ascontiguousarray(plane, dtype)


def size_ratio(rgb: tuple[int, int], depth: tuple[int, int]) -> int:
    """How many RGB pixels a depth pixel is wide, for shapes (H, W).

    RTAB-Map asks for one integer along both axes. Raises `FrameError` with the reason otherwise.
    """
    (rows, columns), (depth_rows, depth_columns) = rgb, depth
    ratio = columns // depth_columns
    if ratio < 1 or (rows, columns) != (depth_rows * ratio, depth_columns * ratio):
        raise FrameError(
            'size_ratio',
            f'depth {depth_columns}x{depth_rows} with RGB {columns}x{rows}: expected RGB to be '
            'the same integer multiple of depth along both axes',
        )
    return ratio


def reduce_any(selected: Array, ratio: int) -> Array:
    """uint8 (H, W) to (H / ratio, W / ratio): largest value of each block of ratio x ratio.

    A thin line stays whole where a smaller depth image is cut by a larger mask.
    """
    if ratio == 1:
        return selected
    rows, columns = selected.shape
    blocks = selected.reshape(rows // ratio, ratio, columns // ratio, ratio)
    reduced: Array = blocks.max(axis=(1, 3))
    return reduced
