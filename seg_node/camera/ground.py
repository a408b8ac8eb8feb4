"""The road as a plane under the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seg_node.camera.camera_info import Calibration
from seg_node.camera.depth import Depth
from seg_node.camera.rays import RayTable
from seg_node.camera.size import Size
from seg_node.errors import ConfigError


@dataclass(frozen=True)
class GroundPlane:
    """The road as a plane under the camera.

    `height_m` of the optical centre above the road; `pitch` nose down and `roll` to the right are
    positive, radians, as REP-103's rotations about y (left) and x (forward) of the camera body.
    """

    height_m: float
    pitch: float = 0.0
    roll: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.height_m) and self.height_m > 0.0):
            raise ConfigError(
                f'camera height above the ground: expected metres above 0, got {self.height_m:g}'
            )
        if not (abs(self.pitch) <= math.pi / 2 and abs(self.roll) <= math.pi / 2):
            raise ConfigError(
                f'camera pitch and roll: expected at most 90 degrees, got '
                f'{math.degrees(self.pitch):g} and {math.degrees(self.roll):g}'
            )

    @property
    def down(self) -> tuple[float, float, float]:
        """Unit vector to the ground, in the optical frame."""
        # Body frame x forward, y left, z up; R = Ry(pitch) Rx(roll); down in it is -R^T z.
        cp, sp, cr, sr = (f(a) for a in (self.pitch, self.roll) for f in (math.cos, math.sin))
        forward, left, up = sp, -cp * sr, -cp * cr
        return -left, -up, forward

    @classmethod
    def from_rotation(cls, height_m: float, rotation: npt.NDArray[np.float64]) -> GroundPlane:
        """The plane z = 0 of a level frame, for `rotation` (3, 3): optical -> level frame."""
        down = -np.asarray(rotation, np.float64)[2]
        pitch = math.asin(float(np.clip(down[2], -1.0, 1.0)))
        return cls(height_m, pitch, math.atan2(float(down[0]), float(down[1])))

    def depth(self, rays: RayTable, max_range_m: float) -> Depth:
        """The depth image of the plane: 32FC1, 0 at the horizon and beyond `max_range_m`."""
        nx, ny, nz = self.down
        with np.errstate(divide='ignore', invalid='ignore'):  # NaN, inf: a pixel without a ray
            slope = nx * rays.x + ny * rays.y + nz
            z = np.where(slope > 1e-6, self.height_m / slope, 0.0).astype(np.float32)
        z[z > max_range_m] = 0.0
        return Depth(z.reshape(rays.size.height, rays.size.width), '32FC1')


@dataclass(frozen=True)
class GroundView:
    """The road as one camera sees it, for pictures without a depth image."""

    calibration: Calibration
    plane: GroundPlane

    def depth(self, size: Size, max_range_m: float = math.inf) -> Depth:
        """Metres along the optical axis to the ground in a picture of `size`; 0 = none."""
        exact = self.calibration.resized(size)
        rays = RayTable.of(exact.intrinsics, exact.distortion)
        return self.plane.depth(rays, max_range_m)
