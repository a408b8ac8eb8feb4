"""What a lane line is: a curve on the road with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Double = npt.NDArray[np.float64]
LineKind = Literal['unknown', 'solid', 'dashed', 'double']
KINDS: tuple[LineKind, ...] = ('unknown', 'solid', 'dashed', 'double')
KIND_COLOURS: dict[LineKind, tuple[int, int, int]] = {
    'solid': (255, 255, 255),
    'dashed': (255, 220, 0),
    'double': (255, 140, 0),
    'unknown': (160, 160, 160),
}
"""RGB in which viewers show a line."""
CENTRE_COLOUR = (0, 200, 255)
"""RGB of the ego lane's centre line."""


def basis(x: Double) -> Double:
    """float64 (N, 3): 1, x, x^2 / 2, so that a line is `basis(x) @ (offset, slope, curvature)`.

    The second-order form of a clothoid near the vehicle (Dickmanns and Mysliwetz, "Recursive 3-D
    Road and Relative Ego-State Recognition", 1992).
    """
    x = np.asarray(x, np.float64)
    return np.stack([np.ones_like(x), x, 0.5 * x * x], axis=-1)


@dataclass(frozen=True)
class LaneLine:
    """One boundary in `base_link` (REP-105): x forward, y left, metres.

    state: offset y at x = 0 (m), slope, curvature (1/m). covariance: (3, 3) of the state.
    near, far: range along x in which it was seen, metres. confidence: 0..1. evidence_m: metres of
    paint seen. track: stable id, -1 before tracking. heights: z (m) at x = 0 and its slope, where
    depth told them.
    """

    state: Double
    covariance: Double
    near: float
    far: float
    kind: LineKind = 'unknown'
    confidence: float = 0.0
    evidence_m: float = 0.0
    track: int = -1
    heights: tuple[float, float] = (0.0, 0.0)

    def at(self, x: Double) -> Double:
        """y (m, left) at x (m, forward)."""
        offset, slope, curvature = self.state
        y: Double = offset + x * (slope + 0.5 * curvature * x)
        return y

    def y_at(self, x: float) -> float:
        """The same for one place, without arrays."""
        offset, slope, curvature = self.state.tolist()
        return float(offset + x * (slope + 0.5 * curvature * x))

    def deviation(self, x: Double) -> Double:
        """Standard deviation of y (m) at x (m)."""
        b = basis(np.asarray(x, np.float64))
        variance = np.einsum('...i,ij,...j->...', b, self.covariance, b)
        deviation: Double = np.sqrt(np.maximum(variance, 0.0))
        return deviation

    def points(self, step_m: float = 1.0) -> Double:
        """float64 (N, 3): the polyline in `base_link`, metres, every `step_m` of its range."""
        count = max(2, int(np.ceil((self.far - self.near) / step_m)) + 1)
        x = np.linspace(self.near, self.far, count)
        z = self.heights[0] + self.heights[1] * x
        return np.stack([x, self.at(x), z], axis=1)


@dataclass(frozen=True)
class LaneLines:
    """The lines of one frame, from left to right."""

    lines: tuple[LaneLine, ...] = ()

    @property
    def left(self) -> LaneLine | None:
        """The ego lane's left boundary."""
        return self._nearest(1.0)

    @property
    def right(self) -> LaneLine | None:
        """The ego lane's right boundary."""
        return self._nearest(-1.0)

    def places(self) -> dict[int, str]:
        """Where each line stands, by its index: left_1 bounds the ego lane, left_2 the next …"""
        order = sorted(range(len(self.lines)), key=lambda i: abs(self.lines[i].y_at(_LOOK_M)))
        counts, names = {'left': 0, 'right': 0}, {}
        for index in order:
            side = 'left' if self.lines[index].y_at(_LOOK_M) > 0 else 'right'
            counts[side] += 1
            names[index] = f'{side}_{counts[side]}'
        return names

    def centre(self, step_m: float = 1.0) -> Double:
        """float64 (N, 3): centre line of the ego lane, metres; (0, 3) without both boundaries."""
        left, right = self.left, self.right
        if left is None or right is None:
            return np.empty((0, 3))
        near, far = max(left.near, right.near), max(left.far, right.far)
        x = np.arange(near, far + 0.5 * step_m, step_m)
        heights = [a + b * x for a, b in (left.heights, right.heights)]
        return np.stack([x, 0.5 * (left.at(x) + right.at(x)), 0.5 * sum(heights)], axis=1)

    def _nearest(self, sign: float) -> LaneLine | None:
        """The nearest of a side, unless a close neighbour is far more certain than it."""
        beside = [line for line in self.lines if sign * line.y_at(_LOOK_M) > 0.0]
        beside.sort(key=lambda line: abs(line.y_at(_LOOK_M)))
        if len(beside) > 1:
            near, next_one = beside[:2]
            gap = abs(near.y_at(_LOOK_M) - next_one.y_at(_LOOK_M))
            if gap < _NARROWEST_M and near.confidence < _UNSURE * next_one.confidence:
                return next_one
        return beside[0] if beside else None


_NARROWEST_M = 2.4
"""Lanes are wider: of two lines that are nearer to each other one may be none."""
_UNSURE = 0.75
_LOOK_M = 4.0
"""Metres ahead at which left and right are told apart: a bonnet hides what is nearer."""
