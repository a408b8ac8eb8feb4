"""A camera over a drawn road: lines whose place, type and visibility are known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.rays import RayTable
from seg_node.camera.size import Size
from seg_node.lane_lines.estimator import mount_over_ground
from seg_node.lane_lines.samples import RoadView

LANE = 2


@dataclass(frozen=True)
class Stripe:
    """y = offset + slope x + curvature x^2 / 2, metres; dash and gap 0: solid."""

    offset: float
    slope: float = 0.0
    curvature: float = 0.0
    dash: float = 0.0
    gap: float = 0.0
    width: float = 0.15

    def y(self, x: np.ndarray) -> np.ndarray:
        """y (m) at x (m)."""
        return self.offset + self.slope * x + 0.5 * self.curvature * x * x

    def pieces(self, driven: float) -> list[tuple[float, float]]:
        """Painted stretches ahead after `driven` metres."""
        if not self.dash:
            return [(1.5, 60.0)]
        period = self.dash + self.gap
        starts = np.arange(-(driven % period), 60.0, period)
        return [(max(1.5, s), s + self.dash) for s in starts if s + self.dash > 1.8]


@dataclass(frozen=True)
class Road:
    """A camera and how it really stands; draws the mask that a perfect network would give."""

    size: Size = field(default_factory=lambda: Size(640, 360))
    height: float = 1.6
    pitch: float = 0.0
    yaw: float = 0.0

    @property
    def intrinsics(self) -> Intrinsics:
        """90 degrees wide."""
        return Intrinsics.pinhole(self.size, 90.0)

    def view(self, pitch: float | None = None, yaw: float | None = None) -> RoadView:
        """What the estimator believes; by default the truth."""
        pitch = self.pitch if pitch is None else pitch
        mount = mount_over_ground(self.height, pitch, yaw=self.yaw if yaw is None else yaw)
        return RoadView(RayTable.of(self.intrinsics), mount)

    def draw(self, stripes: Sequence[Stripe], driven: float = 0.0) -> np.ndarray:
        """uint8 (H, W): the mask after `driven` metres; dashes lie on the road."""
        mask = np.ones((self.size.height, self.size.width), np.uint8)
        back = np.linalg.inv(self.view().mount)
        k = np.asarray(self.intrinsics.k).reshape(3, 3)
        for stripe in stripes:
            for start, end in stripe.pieces(driven):
                x = np.arange(start, end + 1e-6, 0.1)
                half = stripe.width / 2
                left, right = (np.stack([x, stripe.y(x) + s * half], 1) for s in (1, -1))
                outline = np.concatenate([left, right[::-1]])
                points = np.column_stack([outline, np.zeros(len(x) * 2), np.ones(len(x) * 2)])
                pixels = (points @ back.T)[:, :3] @ k.T
                places = np.round(pixels[:, :2] / pixels[:, 2:] * 256).astype(np.int32)
                cv2.fillPoly(mask, [places], LANE, shift=8)
        return mask
