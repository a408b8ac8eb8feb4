"""A short number that tells masks apart, cheap enough to be had of every frame."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike


def mask_digest(pixels: ArrayLike) -> int:
    """64 bits of a mask's bytes: the CRC-32 of each half."""
    data = np.ascontiguousarray(pixels, np.uint8).reshape(-1)
    half = data.size // 2
    return zlib.crc32(data[:half].data) << 32 | zlib.crc32(data[half:].data)
