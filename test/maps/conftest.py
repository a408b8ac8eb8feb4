"""A flat world with stripes along x: exact masks and depth for the tests of the map."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from seg_node.depth import Depth
from seg_node.geometry import Intrinsics, Size
from seg_node.lane_map import Pose, View, optical_mount
from seg_node.points import POINT, GroundPlane, PointOptions, RayTable, lane_points

MOUNT = Pose.of_euler(1.5, 0.0, 1.6, pitch=0.1)


@dataclass(frozen=True)
class StripedRoad:
    """Stripes of `width` metres at lateral `offsets`, road up to |y| < 6, seen by one camera."""

    offsets: tuple[float, ...] = (-1.75, 1.75, 5.25)
    width: float = 0.15
    size: Size = field(default_factory=lambda: Size(320, 180))

    @property
    def intrinsics(self) -> Intrinsics:
        f, (w, h) = self.size.width / 2, (self.size.width, self.size.height)
        k = (f, 0.0, (w - 1) / 2, 0.0, f, (h - 1) / 2, 0.0, 0.0, 1.0)
        p = (f, 0.0, (w - 1) / 2, 0.0, 0.0, f, (h - 1) / 2, 0.0, 0.0, 0.0, 1.0, 0.0)
        return Intrinsics(self.size, k, p)

    @property
    def rays(self) -> RayTable:
        return RayTable.of(self.intrinsics)

    def depth(self) -> Depth:
        plane = GroundPlane.from_rotation(1.6, optical_mount(MOUNT)[:3, :3])
        return plane.depth(self.rays, 200.0)

    def pose(self, x: float, y: float = 0.0, yaw: float = 0.0) -> np.ndarray:
        """Optical frame -> map for a vehicle at (x, y)."""
        return Pose.of_euler(x, y, 0.0, yaw=yaw).matrix() @ optical_mount(MOUNT)

    def mask(self, pose: np.ndarray) -> np.ndarray:
        """The truth: 0 off the road, 1 road, 2 stripe."""
        rays, z = self.rays, self.depth().pixels.ravel()
        local = np.stack([rays.x * z, rays.y * z, z], axis=1)
        world = local @ pose[:3, :3].T + pose[:3, 3]
        mask = np.zeros(z.size, np.uint8)
        mask[(z > 0) & (np.abs(world[:, 1]) < 6.0)] = 1
        for offset in self.offsets:
            mask[(z > 0) & (np.abs(world[:, 1] - offset) < self.width / 2)] = 2
        return mask.reshape(self.size.height, self.size.width)

    def points(self, mask: np.ndarray) -> np.ndarray:
        options = PointOptions((2,), max_range_m=20.0)
        points = lane_points(mask, (), self.depth(), self.rays, options)
        assert points.dtype == POINT
        return points

    def view(self, mask: np.ndarray) -> View:
        return View(mask, self.intrinsics, (2,), (1,))

    def truth(self, length: float = 60.0) -> list[np.ndarray]:
        return [np.array([[0.0, y], [length, y]]) for y in self.offsets]


@pytest.fixture(scope='session')
def road() -> StripedRoad:
    return StripedRoad()
