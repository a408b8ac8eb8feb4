"""A picture that the contract model reads without a fault: columns of its classes' colours."""

from __future__ import annotations

import numpy as np


def blocks(width: int = 64, height: int = 32) -> np.ndarray:
    """uint8 (H, W, 3) BGR: a quarter background, then road (green), then marking (red)."""
    bgr = np.zeros((height, width, 3), np.uint8)
    bgr[:, width // 4 : width // 2, 1] = 255
    bgr[:, width // 2 :, 2] = 255
    return bgr


def block_ids(width: int = 64, height: int = 32) -> np.ndarray:
    """uint8 (H, W): the class ids of `blocks`."""
    ids = np.zeros((height, width), np.uint8)
    ids[:, width // 4 : width // 2] = 1
    ids[:, width // 2 :] = 2
    return ids
