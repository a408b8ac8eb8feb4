"""Viewing rays of a camera's pixels, and the way back: points to pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.camera.camera_info import (
    NO_DISTORTION,
    Calibration,
    Distortion,
    check_calibrated,
)
from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.size import Size

Float = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]

_UNBENDING = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-7)
_MISS_PX = 0.05
"""A ray that projects further than this from its pixel is none: the model does not reach there."""


@dataclass(frozen=True)
class RayTable:
    """Viewing rays of every pixel: `x`, `y` float32 (H * W,), at z = 1 in the optical frame.

    NaN where a pixel looks nowhere under the lens model (beside a fisheye's circle, or where a
    polynomial folds over).
    """

    size: Size
    x: Float
    y: Float

    @classmethod
    @np.errstate(over='ignore', invalid='ignore')  # a driver's numbers may be any
    def of(cls, intrinsics: Intrinsics, distortion: Distortion = NO_DISTORTION) -> RayTable:
        """Rays of a camera, with the distortion taken out.

        Raises `FrameError` for intrinsics that are zero or not finite: an uncalibrated camera.
        """
        known = intrinsics.folded()
        check_calibrated(known)
        size = known.size
        k = np.asarray(known.k, np.float64).reshape(3, 3)
        u, v = np.meshgrid(np.arange(size.width), np.arange(size.height))
        if distortion.is_none:
            y = (v.ravel() - k[1, 2]) / k[1, 1]
            x = (u.ravel() - k[0, 2] - k[0, 1] * y) / k[0, 0]
        else:
            pixels = np.stack([u.ravel(), v.ravel()], 1).astype(np.float64)
            x, y = _unbent(pixels, k, distortion).T
            bent = project(np.stack([x, y, np.ones_like(x)], 1), known, distortion)
            miss = ~(np.abs(bent - pixels).max(1) <= _MISS_PX)
            x[miss], y[miss] = np.nan, np.nan
        return cls(size, x.astype(np.float32), y.astype(np.float32))

    @cached_property
    def horizontal_fov(self) -> float:
        """Radians between the outermost rays to the left and to the right."""
        return float(np.arctan(np.nanmax(self.x)) - np.arctan(np.nanmin(self.x)))


class CameraRays:
    """The rays of the camera last seen: worked out once, used for each of its frames."""

    def __init__(self) -> None:
        self._known: tuple[Calibration, RayTable] | None = None

    def of(self, calibration: Calibration) -> RayTable:
        """The rays of a camera; the same object as before where it is the same camera.

        Raises `FrameError` for a camera that is not calibrated.
        """
        if self._known is None or self._known[0] != calibration:
            rays = RayTable.of(calibration.intrinsics, calibration.distortion)
            self._known = calibration, rays
        return self._known[1]


def _unbent(pixels: Double, k: Double, distortion: Distortion) -> Double:
    """Rays (N, 2) at z = 1 of pixels (N, 2)."""
    d = np.asarray(distortion.coefficients, np.float64)
    points = pixels[:, None]
    if distortion.family == 'fisheye':
        rays = cv2.fisheye.undistortPoints(points, k, d, criteria=_UNBENDING)
    else:
        # OpenCV 5 has put 4's undistortPointsIter into undistortPoints.
        undistort = getattr(cv2, 'undistortPointsIter', cv2.undistortPoints)
        rays = undistort(points, k, d, R=None, P=None, criteria=_UNBENDING)
    return np.asarray(rays, np.float64)[:, 0].copy()


def project(
    points: Double, intrinsics: Intrinsics, distortion: Distortion = NO_DISTORTION
) -> Double:
    """Pixels (N, 2) of `points` (N, 3), metres in the optical frame with z > 0."""
    k = np.asarray(intrinsics.folded().k, np.float64).reshape(3, 3)
    if points.shape[0] and not distortion.is_none:
        d, none = np.asarray(distortion.coefficients, np.float64), np.zeros(3)
        if distortion.family == 'fisheye':
            projected, _ = cv2.fisheye.projectPoints(points[:, None], none, none, k, d)
        else:
            projected, _ = cv2.projectPoints(points, none, none, k, d)
        return np.asarray(projected, np.float64).reshape(-1, 2)
    homogeneous = points @ k.T
    pixels: Double = homogeneous[:, :2] / homogeneous[:, 2:]
    return pixels
