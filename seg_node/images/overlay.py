"""The mask painted on the picture, for people."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.classes import ClassSet

Array = npt.NDArray[np.uint8]


def paint(bgr: Array, mask: Array, classes: ClassSet, alpha: float = 0.5) -> Array:
    """Blend class colours over uint8 (H, W, 3) BGR where `mask` is not background.

    A mask of another size is enlarged by nearest neighbour, for looking only.
    """
    height, width = bgr.shape[:2]
    if mask.shape != (height, width):
        mask = np.asarray(
            cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8
        )
    blended = cv2.addWeighted(bgr, 1.0 - alpha, classes.colourize(mask), alpha, 0.0)
    cv2.copyTo(bgr, np.asarray(cv2.compare(mask, 0, cv2.CMP_EQ)), blended)
    return np.asarray(blended, np.uint8)
