"""CARLA's camera images (BGRA bytes) as arrays of what they mean."""

from __future__ import annotations

import math

import cv2
import numpy as np

from seg_node_sim.scene import FAR


def bgr(bgra: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 4) BGRA -> uint8 (H, W, 3) BGR."""
    return cv2.cvtColor(bgra, cv2.COLOR_BGRA2BGR)


def semantic(bgra: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 4) -> uint8 (H, W): the tag, which CARLA keeps in R."""
    return cv2.extractChannel(bgra, 2)


def depth_metres(bgra: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 4), 24-bit code with R lowest -> float32 (H, W) metres along the view."""
    code = np.ascontiguousarray(bgra).view('>u4')[..., 0] >> np.uint32(8)
    return np.multiply(code, FAR / (2**24 - 1), dtype=np.float32)


def instance_ids(bgra: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 4) -> uint16 (H, W): G is the low byte, B the high one; the tag is in R."""
    return bgra[..., 1].astype(np.uint16) | (bgra[..., 0].astype(np.uint16) << 8)


def focal(width: int, fov: float) -> float:
    """fx = fy in pixels of a camera `width` pixels wide with a horizontal view of `fov` degrees.

    The principal point is (width / 2, height / 2), in CARLA as in ros-bridge.
    """
    return width / (2.0 * math.tan(math.radians(fov) / 2.0))


def intrinsic_matrix(width: int, height: int, fov: float) -> np.ndarray:
    """float64 (3, 3) K of CARLA's pinhole camera."""
    f = focal(width, fov)
    return np.array([[f, 0.0, width / 2.0], [0.0, f, height / 2.0], [0.0, 0.0, 1.0]])
