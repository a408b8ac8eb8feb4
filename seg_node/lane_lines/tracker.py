"""Lines over time: one Kalman filter a line, moved along by odometry, with an id that stays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from seg_node.lane_lines.kinds import KindVotes
from seg_node.lane_lines.line import Double, LaneLine, LineKind


@dataclass(frozen=True)
class Motion:
    """The vehicle's motion between two frames, in the earlier `base_link`: metres, radians."""

    forward: float = 0.0
    left: float = 0.0
    turn: float = 0.0

    @classmethod
    def between(cls, before: Double, after: Double) -> Motion:
        """From two poses (4, 4), `base_link` -> odometry frame."""
        step = np.linalg.inv(before) @ after
        turn = math.atan2(step[1, 0], step[0, 0])
        return cls(float(step[0, 3]), float(step[1, 3]), turn)


@dataclass(frozen=True)
class TrackOptions:
    """gate_m: a measured line belongs to a track within this at its near end and 8 m further.

    confirm: frames after which a track is reported with certainty. keep: frames that a track
    outlives without being seen, at most as many as it was seen. process: standard deviations that
    offset, slope and curvature change by a frame.
    """

    gate_m: float = 0.9
    confirm: int = 3
    keep: int = 8
    process: tuple[float, float, float] = (0.03, 0.004, 0.0004)
    process_without_odometry: tuple[float, float, float] = (0.10, 0.02, 0.001)


@dataclass
class _TrackedLine:
    number: int
    line: LaneLine
    votes: KindVotes = field(default_factory=KindVotes)
    seen: int = 1
    missed: int = 0

    def predict(self, motion: Motion | None, options: TrackOptions) -> None:
        state, covariance = self.line.state, self.line.covariance
        noise = options.process_without_odometry if motion is None else options.process
        if motion is not None:
            state, jacobian = _moved(state, motion)
            covariance = jacobian @ covariance @ jacobian.T
            shift = motion.forward
        else:
            shift = 0.0
        self.line = replace(
            self.line,
            state=state,
            covariance=covariance + np.diag(np.square(noise)),
            near=max(self.line.near - shift, 0.0),
            far=self.line.far - shift,
        )

    def distance(self, measured: LaneLine) -> float:
        """Mean lateral distance (m) where the measured line is near."""
        near, far = measured.near, min(measured.far, measured.near + 8.0)
        places = (near, 0.5 * (near + far), far)
        return sum(abs(self.line.y_at(x) - measured.y_at(x)) for x in places) / 3.0

    def update(self, measured: LaneLine, kind: LineKind, weight: float) -> None:
        prior, noise = self.line.covariance, measured.covariance
        gain = prior @ np.linalg.inv(prior + noise)
        state = self.line.state + gain @ (measured.state - self.line.state)
        covariance = (np.eye(3) - gain) @ prior
        self.votes.add(kind, weight)
        self.seen += 1
        self.missed = 0
        self.line = replace(measured, state=state, covariance=0.5 * (covariance + covariance.T))

    def report(self, options: TrackOptions) -> LaneLine:
        """The line as it stands, with kind, confidence and id."""
        certain = min(1.0, self.seen / options.confirm)
        fresh = 0.8**self.missed
        paint = min(1.0, self.line.evidence_m / 8.0)
        confidence = certain * fresh * (0.4 + 0.6 * paint)
        return replace(self.line, kind=self.votes.kind, confidence=confidence, track=self.number)


class LineTracker:
    """Joins the lines of each frame to those before. Not thread-safe."""

    def __init__(self, options: TrackOptions | None = None) -> None:
        self._options = options or TrackOptions()
        self._tracks: list[_TrackedLine] = []
        self._next = 0

    def step(
        self,
        lines: Sequence[LaneLine],
        kinds: Sequence[tuple[LineKind, float]],
        motion: Motion | None = None,
    ) -> tuple[LaneLine, ...]:
        """The tracks after one more frame, from left to right; `motion` since the last one.

        None: there is no odometry.
        """
        options = self._options
        for track in self._tracks:
            track.predict(motion, options)
        free = set(range(len(lines)))
        pairs = sorted(
            (track.distance(lines[i]), t, i) for t, track in enumerate(self._tracks) for i in free
        )
        matched: set[int] = set()
        for distance, t, i in pairs:
            if distance > options.gate_m or t in matched or i not in free:
                continue
            self._tracks[t].update(lines[i], *kinds[i])
            matched.add(t)
            free.discard(i)
        for t, track in enumerate(self._tracks):
            if t not in matched:
                track.missed += 1
        self._tracks = [t for t in self._tracks if self._alive(t)]
        for i in sorted(free):
            fresh = _TrackedLine(self._next, lines[i])
            fresh.votes.add(*kinds[i])
            self._tracks.append(fresh)
            self._next += 1
        reported = [track.report(options) for track in self._tracks]
        return tuple(sorted(reported, key=lambda line: -line.y_at(4.0)))

    def reset(self) -> None:
        """Forget everything: the drive was cut or its clock jumped back."""
        self._tracks.clear()

    def _alive(self, track: _TrackedLine) -> bool:
        young = track.seen < self._options.confirm
        limit = 1 if young else min(self._options.keep, track.seen)
        return track.missed <= limit and track.line.far > track.line.near + 1.0


def _moved(state: Double, motion: Motion) -> tuple[Double, Double]:
    """The same line from the new `base_link`, for small slopes, and the Jacobian of that."""
    dx = motion.forward
    jacobian = np.array([[1.0, dx, 0.5 * dx * dx], [0.0, 1.0, dx], [0.0, 0.0, 1.0]])
    moved = jacobian @ state
    # tan(atan(slope) - turn) for the slope; the offset is measured along the new y axis.
    slope = math.tan(math.atan(moved[1]) - motion.turn)
    stretch = math.cos(math.atan(moved[1])) / max(0.2, math.cos(math.atan(moved[1]) - motion.turn))
    offset = (moved[0] - motion.left) * stretch
    return np.array([offset, slope, moved[2] * stretch]), jacobian
