"""CARLA's camera images (BGRA bytes) as arrays of what they mean."""

from __future__ import annotations

import cv2
import numpy as np

from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.size import Size
from seg_node_sim.scene import FAR

_SKY_M = FAR * (1.0 - 1e-6)  # the last but one step of the code is 6e-8 below


def bgr(bgra: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 4) BGRA -> uint8 (H, W, 3) BGR."""
    image: np.ndarray = cv2.cvtColor(bgra, cv2.COLOR_BGRA2BGR)
    return image


def semantic(bgra: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 4) -> uint8 (H, W): the tag, which CARLA keeps in R."""
    tags: np.ndarray = cv2.extractChannel(bgra, 2)
    return tags


def depth_metres(bgra: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 4), 24-bit code with R lowest -> float32 (H, W) metres along the view.

    The sky is `FAR`, exactly; see `without_sky`.
    """
    code = np.ascontiguousarray(bgra).view('>u4')[..., 0] >> np.uint32(8)
    metres: np.ndarray = np.multiply(code, FAR / (2**24 - 1), dtype=np.float32)
    return metres


def without_sky(metres: np.ndarray) -> np.ndarray:
    """float32 (H, W) of `depth_metres` with 0, unknown, for the sky.

    The far plane is no surface: odometry and maps that take it for one are pulled 1000 m away.
    """
    return np.where(metres < _SKY_M, metres, np.float32(0.0))


def instance_ids(bgra: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 4) -> uint16 (H, W): G is the low byte, B the high one; the tag is in R."""
    return bgra[..., 1].astype(np.uint16) | (bgra[..., 0].astype(np.uint16) << 8)


def intrinsic_matrix(width: int, height: int, fov: float) -> np.ndarray:
    """float64 (3, 3) K of CARLA's pinhole camera, for pixels whose centres are integers.

    CARLA casts the ray of column c at c + 0.5 of `width` columns, so that the optical axis meets
    the picture between two pixels of an even size: (cx, cy) = ((width - 1) / 2, (height - 1) / 2)
    as OpenCV and REP-104 count. ros-bridge publishes width / 2, half a pixel beside its pictures.
    """
    return np.reshape(Intrinsics.pinhole(Size(width, height), fov).k, (3, 3))
