"""Compressed pictures, of files and of messages, to arrays: whole, upright and of a sane size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.errors import FrameError, InputError
from seg_node.images.headers import KINDS, Header, read_header

Array = npt.NDArray[np.uint8]

MOST_PIXELS = 1 << 27
"""Pixels that a picture may have: some 400 MB of BGR. More is refused before memory is taken."""

_TURNS = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
# Its own lines on stderr say in other words what the errors here say.
if hasattr(cv2.utils, 'logging'):  # Humble's 4.5.4 and Jazzy's 4.6 have none
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_bgr(path: str | Path) -> Array:
    """uint8 (H, W, 3) BGR of a picture file, turned upright as its EXIF says.

    Raises `InputError` when it cannot be read, is cut off, or announces too many pixels.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f'{path}: cannot be read: {error.strerror or error}') from None
    return upright(*decode_picture(str(path), data))


def decode_picture(subject: str, data: bytes | memoryview) -> tuple[Array, Header]:
    """uint8 (H, W, 3) BGR of a compressed picture as it is stored, and what its header says.

    `subject` names it in errors. Raises `FrameError`.
    """
    header = read_header(data)
    if header.whole and header.size is None:
        kinds = ', '.join(KINDS.values())
        said = f'{header} without a size' if header.kind else 'something else'
        raise FrameError('encoding', f'{subject}: expected a picture ({kinds}), got {said}')
    if header.pixels > MOST_PIXELS:
        raise FrameError(
            'size', f'{subject}: {header}: expected at most {MOST_PIXELS >> 20} megapixels'
        )
    # OpenCV decodes a broken JPEG to grey without a word: its end must be there.
    if not header.whole:
        raise FrameError('truncated', f'{subject}: {header} is cut off')
    pixels = None
    if len(data):
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            pixels = None
    if pixels is None:
        raise FrameError('encoding', f'{subject}: expected a picture, it cannot be decoded')
    return np.asarray(pixels, np.uint8), header


def upright(pixels: Array, header: Header) -> Array:
    """The picture turned and mirrored as EXIF's orientation (1 to 8) asks for."""
    orientation = header.orientation
    if orientation in (2, 4, 5, 7):  # the mirrored ones: mirror first, then as their partners
        pixels = np.asarray(cv2.flip(pixels, 1), np.uint8)
        orientation = {2: 1, 4: 3, 5: 8, 7: 6}[orientation]
    if orientation in _TURNS:
        pixels = np.asarray(cv2.rotate(pixels, _TURNS[orientation]), np.uint8)
    return pixels


def turned(pixels: Array, degrees: float) -> Array:
    """The picture turned counterclockwise by a whole number of quarters, as players do it."""
    quarters = round(degrees / 90.0) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels
