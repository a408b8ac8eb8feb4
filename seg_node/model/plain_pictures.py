"""Plain pictures that are unlike each other, for a model that nobody has seen answer yet."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt


def plain_pictures(height: int, width: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Five of uint8 (height, width, 3): black, grey, white, a ramp from left to right, noise."""
    for level in (0, 128, 255):
        yield np.full((height, width, 3), level, np.uint8)
    ramp = np.linspace(0, 255, width, dtype=np.uint8)[None, :, None]
    yield np.broadcast_to(ramp, (height, width, 3)).copy()
    yield np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
