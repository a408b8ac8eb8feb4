"""Image and CompressedImage messages: a frame of the announced size, or a `FrameError`."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from fuzzing import NUMBERS, TEXTS, Target, damaged, simple

from seg_node.camera.depth import decode_depth_image
from seg_node.errors import FrameError
from seg_node.images.frames import ENCODINGS, Frame, decode, decode_compressed
from seg_node.images.reading import MOST_PIXELS

_ENCODINGS = (*sorted(ENCODINGS), '32FC1', '64FC1', 'bgr16', 'jpeg', *TEXTS)
_SIZES = (0, 1, 2, 3, 4, 16, 33, 64, 1 << 16, (1 << 32) - 1)
_NOISE = np.random.default_rng(5).integers(0, 256, (48, 64, 3), np.uint8)
_SMOOTH = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None] * 3, (48, 64, 3))
_COLOURED = ('.jpg', '.png', '.webp', '.tiff', '.bmp', '.ppm')
_GREY = ('.jpg', '.png', '.tiff', '.bmp', '.pgm')
_PICTURES = [
    cv2.imencode(suffix, np.ascontiguousarray(pixels))[1].tobytes()
    for suffixes, pixels in ((_COLOURED, _NOISE), (_COLOURED, _SMOOTH), (_GREY, _SMOOTH[..., 0]))
    for suffix in suffixes
]


def _image(rng: random.Random) -> SimpleNamespace:
    """Sizes that fit one another, mostly; then one field is anything that its type can hold."""
    encoding = rng.choice(_ENCODINGS)
    width, height = rng.choice(_SIZES[1:8]), rng.choice(_SIZES[1:8])
    step = width * rng.choice((1, 2, 3, 4, 8)) + rng.choice((0, 0, 1, 7))
    rows = height * 3 // 2 if encoding in ('nv12', 'nv21') else height
    size = max(0, step * rows + rng.choice((0, 0, 0, 1, -1, -step, 100)))
    kind = rng.choice((bytes, bytearray, lambda b: np.frombuffer(b, np.uint8)))
    fields: dict[str, Any] = {
        'width': width,
        'height': height,
        'encoding': encoding,
        'is_bigendian': rng.choice((0, 0, 0, 1, 255)),
        'step': step,
        'data': kind(rng.randbytes(size)),
    }
    if rng.random() < 0.4:
        fields[rng.choice(('width', 'height', 'step'))] = rng.choice(_SIZES)
    return SimpleNamespace(**fields)


def _check(frame: Frame, message: Any) -> None:
    assert frame.pixels.dtype == np.uint8
    assert (frame.height, frame.width) == (message.height, message.width)
    assert frame.bgr().shape == (message.height, message.width, 3)
    int(frame.pixels.sum())  # every byte of a view can be read


def _compressed(rng: random.Random) -> bytes:
    data = bytearray(rng.choice(_PICTURES))
    if rng.random() < 0.3:  # the header, where sizes stand
        place = rng.randrange(min(200, len(data)))
        value = rng.choice((0, 1, 0x7FFF, 0xFFFF, 0xFFFFFFFF, rng.getrandbits(32)))
        size, order = rng.choice((1, 2, 4)), rng.choice(('big', 'little'))
        data[place : place + size] = (value & (1 << 8 * size) - 1).to_bytes(size, order)
    return damaged(bytes(data), rng) if rng.random() < 0.8 else bytes(data)


def _case(rng: random.Random) -> None:
    if rng.random() < 0.5:
        message = _image(rng)
        try:
            _check(decode(message), message)
        except FrameError as error:
            assert error.cause and '\n' not in str(error)
        try:
            depth = decode_depth_image(message)
            assert depth.shape == (message.height, message.width)
            assert np.isfinite(depth.metres(np.arange(depth.pixels.size))).any() is not None
        except FrameError as error:
            assert error.cause and '\n' not in str(error)
        return
    message = SimpleNamespace(
        format=rng.choice(('jpeg', 'png', *TEXTS, str(rng.choice(NUMBERS)))),
        data=_compressed(rng),
    )
    try:
        frame = decode_compressed(message)
        assert frame.pixels.dtype == np.uint8 and frame.pixels.ndim == 3
        assert frame.height * frame.width <= MOST_PIXELS
    except FrameError as error:
        assert error.cause and '\n' not in str(error)


TARGET = Target('images', simple(_case), short=1500, peak_mb=900.0)
