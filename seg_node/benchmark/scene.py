"""A drawn road, for measurements: what comes after the network depends on what it sees."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.camera.size import Size

_HORIZON = 0.48
_LINES = ((-0.62, 1.0), (0.0, 0.45), (0.6, 1.0))
"""Place across the road at the lower edge, in half widths, and painted share of each line."""


def road_scene(size: Size, seed: int = 0) -> npt.NDArray[np.uint8]:
    """uint8 (H, W, 3) BGR: sky, verges, and a straight road with three lines."""
    width, height = size.width, size.height
    rng = np.random.default_rng(seed)
    horizon = int(_HORIZON * height)
    picture = np.empty((height, width, 3), np.float32)
    picture[:horizon] = np.linspace((215, 170, 120), (235, 220, 205), horizon)[:, None]
    picture[horizon:] = (70, 110, 95)
    middle = width * (0.5 + 0.04 * np.sin(seed))
    corners = [(middle, horizon), (middle + 0.75 * width, height), (middle - 0.75 * width, height)]
    cv2.fillConvexPoly(picture, np.array(corners, np.int32), (98, 96, 95))
    for place, share in _LINES:
        _line(picture, (middle, horizon), middle + place * 0.75 * width, share)
    picture += rng.normal(0, 6, (height, width, 1))
    return np.clip(picture, 0, 255).astype(np.uint8)


def _line(
    picture: npt.NDArray[np.float32], apex: tuple[float, float], foot: float, share: float
) -> None:
    height, width = picture.shape[:2]
    near = np.linspace(0.06, 1.0, 12) ** 1.5
    for start, end in itertools.pairwise(near):
        end = start + (end - start) * share
        corners = []
        for depth, side in ((start, -1), (end, -1), (end, 1), (start, 1)):
            x = apex[0] + (foot - apex[0]) * depth + side * 0.008 * width * depth
            corners.append((x, apex[1] + (height - apex[1]) * depth))
        cv2.fillConvexPoly(picture, np.array(corners, np.int32), (225, 225, 225))
