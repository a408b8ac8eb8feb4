"""Pitch and yaw of a camera from where the lines of a road meet.

Parallel lines on a plane meet in one point of the picture, which is where the road is heading; on
a straight road that is straight ahead of the vehicle (Caprile and Torre, "Using vanishing points
for camera calibration", 1990). Each frame gives one answer, the median of many the calibration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from seg_node.errors import ConfigError
from seg_node.lane_lines.line import Double
from seg_node.lane_lines.stripes import Stripes
from seg_node.lane_lines.vanishing import meet, vote

_STRAIGHT = 0.002
"""How a vehicle may turn (rad/m) on a straight road."""
_VOTERS = 60
"""Frames that vote at most, spread over the drive."""


@dataclass(frozen=True)
class CameraAngles:
    """Pitch (nose down) and yaw (to the left), radians, REP-103, with standard deviations.

    frames: how many agreed on it.
    """

    pitch: float
    yaw: float
    pitch_deviation: float
    yaw_deviation: float
    frames: int

    def __str__(self) -> str:
        values = (self.pitch, self.pitch_deviation, self.yaw, self.yaw_deviation)
        p, dp, y, dy = map(math.degrees, values)
        return f'pitch {p:.2f} ± {dp:.2f}°, yaw {y:.2f} ± {dy:.2f}°, from {self.frames} frames'

    def as_dict(self) -> dict[str, float]:
        """For JSON: degrees."""
        return {
            'pitch_deg': math.degrees(self.pitch),
            'yaw_deg': math.degrees(self.yaw),
            'pitch_deviation_deg': math.degrees(self.pitch_deviation),
            'yaw_deviation_deg': math.degrees(self.yaw_deviation),
            'frames': self.frames,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CameraAngles:
        """From what `as_dict` gave. Raises `KeyError`, `TypeError` or `ValueError`."""
        names = ('pitch_deg', 'yaw_deg', 'pitch_deviation_deg', 'yaw_deviation_deg')
        angles = [math.radians(float(values[name])) for name in names]
        if not all(map(math.isfinite, angles)):
            raise ValueError(f'expected finite degrees, got {angles}')
        return cls(angles[0], angles[1], angles[2], angles[3], int(values['frames']))


class SelfCalibration:
    """Gathers the vanishing points of a drive. It needs no angles to begin with.

    `needed`: frames before there is an answer. `most`: frames that are taken at most, a minute's.
    """

    def __init__(self, needed: int = 30, most: int = 1800) -> None:
        self._needed, self._most = needed, most
        self._frames: list[Stripes] = []
        self._angles: list[tuple[float, float]] = []
        self._about: Double | None = None

    def add(self, stripes: Stripes, turn_per_m: float = 0.0) -> None:
        """One frame's stripes. `turn_per_m`: how the vehicle turns, rad/m; a bend is left out."""
        if abs(turn_per_m) > _STRAIGHT or len(stripes) < 2 or self.full:
            return
        self._frames.append(stripes)
        count = len(self._frames)
        if count == self._needed or (count > self._needed and count % self._needed == 0):
            self._vote()
        elif self._about is not None:
            self._take(stripes)

    def _vote(self) -> None:
        """Where the lines of the whole drive meet, and its frames counted anew."""
        step = -(-len(self._frames) // _VOTERS)
        about = vote(self._frames[::step])
        if about is not None:
            self._about = about
            self._angles.clear()
            for stripes in self._frames:
                self._take(stripes)

    def _take(self, stripes: Stripes) -> None:
        assert self._about is not None
        point = meet(stripes, self._about)
        if point is not None:
            self._angles.append(angles_of(point))

    @property
    def count(self) -> int:
        """Frames with two or more straight stripes."""
        return len(self._frames)

    @property
    def full(self) -> bool:
        """Whether no more are taken."""
        return len(self._frames) >= self._most

    @property
    def result(self) -> CameraAngles | None:
        """The calibration so far; None until enough frames agree."""
        if len(self._angles) < self._needed:
            return None
        angles = np.asarray(self._angles)
        middle = np.median(angles, axis=0)
        # 1.4826: from the median of absolute deviations to a standard deviation (normal).
        spread = 1.4826 * np.median(np.abs(angles - middle), axis=0)
        agree = (np.abs(angles - middle) <= 3.0 * spread + 1e-4).all(axis=1)
        kept = angles[agree]
        # Neighbouring frames see the same road: ten of them count as one.
        deviation = kept.std(axis=0) / math.sqrt(max(1.0, len(kept) / 10.0))
        pitch, yaw = kept.mean(axis=0)
        return CameraAngles(
            float(pitch), float(yaw), float(deviation[0]), float(deviation[1]), len(kept)
        )

    def require(self) -> CameraAngles:
        """The calibration. Raises `ConfigError` with how much there was to see."""
        result = self.result
        if result is None:
            raise ConfigError(
                f'self-calibration: expected {self._needed} frames with two straight lines, '
                f'got {len(self._angles)} of {self.count}'
            )
        return result


def angles_of(point: Double) -> tuple[float, float]:
    """Pitch and yaw of a camera that sees "straight ahead" at `point` (normalised).

    The way ahead in the optical frame is (x, y, 1): up in the picture when the nose is down.
    """
    across, down = float(point[0]), float(point[1])
    pitch = math.atan(-down)
    return pitch, math.atan(across * math.cos(pitch))
