"""How far lane lines are from the true lane boundaries of a map."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seg_node.lane_lines.line import Double, LaneLine, LaneLines, LineKind
from seg_node.lane_lines.samples import Samples

DISTANCES_M = (5.0, 10.0, 20.0, 30.0)
_MATCH_M = 0.5
"""A line that is further from every boundary than this is false."""
_JUDGED_M = 8.0
"""How far ahead a line is told right from false, if it is seen there."""
_WIDEST_M = 5.0
"""Boundaries of the ego lane are not further than this to the side."""
_SHOWN_M = 3.0
"""Metres of true paint between 4 and 20 m ahead that make a boundary shown."""


@dataclass(frozen=True)
class Boundary:
    """A true lane boundary with its gaps: float64 (N, 2) metres in the map frame, its type, and
    what tells it from others.
    """

    key: str
    points: Double
    kind: LineKind


@dataclass(frozen=True)
class _Crossing:
    """Where a boundary crosses x = const of `base_link`, and its points there, (N, 2) metres."""

    y: float
    boundary: Boundary
    points: Double


class TrueLines:
    """The boundaries of a map, looked at from a vehicle."""

    def __init__(self, boundaries: Sequence[Boundary]) -> None:
        self._boundaries = tuple(boundaries)
        self._boxes = np.array(
            [[*b.points.min(axis=0), *b.points.max(axis=0)] for b in self._boundaries]
        ).reshape(-1, 4)

    def near(self, pose: Double, reach_m: float = 60.0) -> list[tuple[Boundary, Double]]:
        """Boundaries within reach, float64 (N, 2) metres in `base_link`, for its pose (4, 4)."""
        place = pose[:2, 3]
        gap = np.maximum(self._boxes[:, :2] - place, place - self._boxes[:, 2:]).max(axis=1)
        back = np.linalg.inv(pose)
        return [
            (b, b.points @ back[:2, :2].T + back[:2, 3])
            for b in (self._boundaries[i] for i in np.flatnonzero(gap <= reach_m))
        ]


def crossings(local: Sequence[tuple[Boundary, Double]], x: float) -> list[_Crossing]:
    """Every y (m, left) at which a boundary crosses `x` metres ahead."""
    answer: list[_Crossing] = []
    for boundary, points in local:
        before, after = points[:-1], points[1:]
        for i in np.flatnonzero((before[:, 0] - x) * (after[:, 0] - x) <= 0.0):
            step = after[i, 0] - before[i, 0]
            if abs(step) > 1e-9:
                part = (x - before[i, 0]) / step
                y = before[i, 1] + part * (after[i, 1] - before[i, 1])
                answer.append(_Crossing(float(y), boundary, points))
    return answer


@dataclass
class LineScore:
    """Figures of a drive, gathered frame by frame."""

    frames: int = 0
    shown: int = 0
    both: int = 0
    lines: int = 0
    false_lines: int = 0
    switches: int = 0
    times_ms: list[float] = field(default_factory=list)
    errors: dict[float, list[float]] = field(default_factory=lambda: defaultdict(list))
    kinds: dict[tuple[LineKind, LineKind], int] = field(default_factory=lambda: defaultdict(int))
    _last: dict[str, int] = field(default_factory=dict)

    def add(
        self,
        lines: LaneLines,
        local: Sequence[tuple[Boundary, Double]],
        true_samples: Samples | None = None,
        sure: float = 0.5,
    ) -> None:
        """One frame. true_samples: of the true mask, which says what can be seen; None: all of it.

        Lines of a confidence below `sure` count neither as right nor as false.
        """
        self.frames += 1
        left, right = (self._ego(line) for line in (lines.left, lines.right))
        at_8 = crossings(local, _JUDGED_M)
        beside = (
            [c.points for c in at_8 if 0.0 < c.y < _WIDEST_M],
            [c.points for c in at_8 if -_WIDEST_M < c.y < 0.0],
        )
        if all(any(_shown(points, true_samples) for points in side) for side in beside):
            self.shown += 1
            self.both += all(
                line is not None and _matched(line, local) is not None for line in (left, right)
            )
        for line in (left, right):
            if line is not None:
                self._measure(line, local)
        for line in lines.lines:
            if line.confidence >= sure:
                self._judge(line, local)

    def _ego(self, line: LaneLine | None) -> LaneLine | None:
        return line if line is not None and abs(line.y_at(4.0)) < _WIDEST_M else None

    def _measure(self, line: LaneLine, local: Sequence[tuple[Boundary, Double]]) -> None:
        for x in DISTANCES_M:
            if not line.near - 3.0 <= x <= line.far + 2.0:
                continue
            gaps = [abs(c.y - line.y_at(x)) for c in crossings(local, x)]
            if gaps and min(gaps) < 3 * _MATCH_M:
                self.errors[x].append(min(gaps))

    def _judge(self, line: LaneLine, local: Sequence[tuple[Boundary, Double]]) -> None:
        self.lines += 1
        boundary = _matched(line, local)
        if boundary is None:
            self.false_lines += 1
            return
        self.kinds[boundary.kind, line.kind] += 1
        self.switches += self._last.get(boundary.key, line.track) != line.track
        self._last[boundary.key] = line.track

    def as_dict(self) -> dict[str, Any]:
        """For JSON: errors in metres, shares 0..1, None where nothing was there to count.

        line_ms: median of `times_ms`, processor time a frame.
        """
        told = {pair: count for pair, count in self.kinds.items() if pair[1] != 'unknown'}
        right = sum(count for (true, said), count in told.items() if true == said)
        return {
            'frames': self.frames,
            'lateral_error_m': {
                f'{x:g}': {
                    'n': len(values),
                    'median': round(float(np.median(values)), 4),
                    'p95': round(float(np.percentile(values, 95)), 4),
                }
                for x, values in sorted(self.errors.items())
            },
            'frames_that_show_both': self.shown,
            'both_boundaries': _share(self.both, self.shown),
            'lines': self.lines,
            'false_lines': _share(self.false_lines, self.lines),
            'type_accuracy': _share(right, sum(told.values())),
            'type_unknown': _share(self.lines - self.false_lines - sum(told.values()), self.lines),
            'id_switches': self.switches,
            'line_ms': round(float(np.median(self.times_ms)), 3) if self.times_ms else None,
        }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _matched(line: LaneLine, local: Sequence[tuple[Boundary, Double]]) -> Boundary | None:
    """The boundary that a line is on, 8 m ahead or where it is seen next; None: it is false."""
    x = min(max(_JUDGED_M, line.near), line.far)
    nearest = min(crossings(local, x), key=lambda c: abs(c.y - line.y_at(x)), default=None)
    if nearest is None or abs(nearest.y - line.y_at(x)) > _MATCH_M:
        return None
    return nearest.boundary


def _shown(boundary: Double, samples: Samples | None) -> bool:
    """Whether true paint lies along a boundary, float64 (N, 2) in `base_link`, from 4 to 20 m."""
    if samples is None:
        return True
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(boundary, axis=0).T))])
    at = np.arange(0.0, way[-1], 0.25)
    x, y = (np.interp(at, way, boundary[:, axis]) for axis in (0, 1))
    ahead = np.flatnonzero((x > 3.0) & (x < 21.0))
    near = np.flatnonzero((samples.x > 4.0) & (samples.x < 20.0))
    if not len(ahead) or not len(near):
        return False
    away = np.hypot(samples.x[near, None] - x[ahead], samples.y[near, None] - y[ahead])
    return float(samples.length[near] @ (away.min(axis=1) < _MATCH_M)) > _SHOWN_M
