"""Pictures as RTAB-Map's database holds them (rtabmap `Compression.cpp`, `CameraModel.cpp`)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.camera.depth import Depth
from seg_node.errors import InputError

Array = npt.NDArray[np.uint8]
_RVL = b'DEPTHRVL'
_MODEL = struct.Struct('<11i')
"""Version (3), type, width, height, then how many values K, D, R, P and the transform have."""
_STEREO = 1


@dataclass(frozen=True)
class NodeCalibration:
    """What painting needs of a node's camera models.

    `widths`: of the pictures that stand side by side in one, pixels; () where it is not known.
    """

    widths: tuple[int, ...]
    stereo: bool


def read_calibration(blob: bytes | None) -> NodeCalibration:
    """The models of a `Data.calibration` blob (written since RTAB-Map 0.18).

    An older or damaged blob gives no widths: the picture then counts as one camera's.
    """
    widths: list[int] = []
    offset, stereo = 0, False
    while blob and offset + _MODEL.size <= len(blob):
        major, minor, _, kind, width, height, *lengths = _MODEL.unpack_from(blob, offset)
        if (major, minor) < (0, 18) or width < 1 or height < 1 or min(lengths) < 0:
            return NodeCalibration((), False)
        if kind == _STEREO:
            return NodeCalibration((), True)
        widths.append(width)
        offset += _MODEL.size + 8 * sum(lengths[:4]) + 4 * lengths[4]
    whole = offset == len(blob or b'')
    return NodeCalibration(tuple(widths) if whole else (), stereo)


def decode_picture(blob: bytes) -> Array:
    """uint8 (H, W) or (H, W, 3) BGR of a JPEG or PNG. Raises `InputError` for anything else."""
    pixels = _imdecode(blob)
    if pixels is None or pixels.dtype != np.uint8 or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise InputError('expected a JPEG or PNG picture of one or three channels')
    return np.asarray(pixels, np.uint8)


def encode_png(pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> bytes:
    """PNG: JPEG would blur the classes."""
    done, encoded = cv2.imencode('.png', pixels)
    if not done:
        raise InputError(f'a picture of {pixels.shape} {pixels.dtype} cannot be written as PNG')
    return encoded.tobytes()


def decode_depth(blob: bytes) -> Depth:
    """Depth of a node: 16-bit PNG or RVL (mm), or a PNG whose four bytes are a float32 (m).

    Raises `InputError` for anything else.
    """
    if blob.startswith(_RVL):
        return Depth(_decode_rvl(blob), '16UC1')
    pixels = _imdecode(blob)
    if pixels is not None and pixels.dtype == np.uint16 and pixels.ndim == 2:
        return Depth(np.asarray(pixels, np.uint16), '16UC1')
    if pixels is not None and pixels.dtype == np.uint8 and pixels.shape[2:] == (4,):
        return Depth(np.ascontiguousarray(pixels).view('<f4')[..., 0], '32FC1')
    raise InputError('expected a depth image as 16-bit PNG, RVL or float32 in a PNG')


def encode_depth(depth: Depth) -> bytes:
    """PNG of the same values; RTAB-Map tells its kinds apart by their channels."""
    if depth.encoding == '16UC1':
        return encode_png(np.asarray(depth.pixels, np.uint16))
    words = np.ascontiguousarray(depth.pixels, '<f4')
    return encode_png(words.view(np.uint8).reshape(*depth.shape, 4))


def _imdecode(blob: bytes) -> npt.NDArray[np.generic] | None:
    if not blob:
        return None
    try:
        return cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None


def _decode_rvl(blob: bytes) -> npt.NDArray[np.uint16]:
    """Run-length and variable-length coded depth (Wilson, "Fast lossless depth image
    compression", 2017): numbers of zeros and of values in turns, values as differences.
    """
    if len(blob) < 16:
        raise InputError('depth in RVL: expected a header of 16 bytes')
    columns, rows = struct.unpack_from('<II', blob, 8)
    # A byte holds two numbers of three bits at least, and a run of zeros costs one.
    if columns * rows > 1 << 27:
        raise InputError(f'depth in RVL: {columns}x{rows} is more than 134 million pixels')
    numbers = _rvl_numbers(blob[16:])
    depth = np.zeros(rows * columns, np.uint16)
    place, cursor, last = 0, 0, 0
    while place < depth.size:
        if cursor + 2 > len(numbers):
            raise InputError(f'depth in RVL: ends after {place} of {depth.size} pixels')
        zeros, values = int(numbers[cursor]), int(numbers[cursor + 1])
        cursor, place = cursor + 2, place + zeros
        coded = numbers[cursor : cursor + values]
        if place + values > depth.size or len(coded) < values or not zeros + values:
            raise InputError(f'depth in RVL: damaged after {place} of {depth.size} pixels')
        differences = (coded >> 1) ^ -(coded & 1)
        run = last + np.cumsum(differences)
        depth[place : place + values] = run.astype(np.uint16)
        last = int(run[-1]) if values else last
        cursor, place = cursor + values, place + values
    return depth.reshape(rows, columns)


def _rvl_numbers(stream: bytes) -> npt.NDArray[np.int64]:
    """All numbers: three bits a nibble, lowest first, bit 3 says that more follow."""
    words = np.frombuffer(stream[: len(stream) // 4 * 4], '<u4')
    shifts = np.arange(28, -1, -4, dtype=np.uint32)
    nibbles = ((words[:, None] >> shifts) & 15).astype(np.int64).ravel()
    ends = np.flatnonzero(nibbles < 8)
    if not len(ends):
        return np.empty(0, np.int64)
    nibbles = nibbles[: ends[-1] + 1]
    starts = np.concatenate([[0], ends[:-1] + 1])
    position = np.arange(len(nibbles)) - np.repeat(starts, ends - starts + 1)
    if position.max(initial=0) > 10:
        raise InputError('depth in RVL: a number of more than 32 bits')
    numbers: npt.NDArray[np.int64] = np.add.reduceat((nibbles & 7) << 3 * position, starts)
    return numbers
