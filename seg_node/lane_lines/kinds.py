"""Solid, dashed or double: what the samples of a frame say of a line's type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from seg_node.lane_lines.fit import FittedLine
from seg_node.lane_lines.line import KINDS, LineKind
from seg_node.lane_lines.samples import RoadRows, Samples

_SEEN_TO_M = 22.0
"""Beyond, a gap of a dashed line is less than a row or two high."""
_DOUBLE_TO_M = 12.0
_PAIR_M = (0.10, 0.50)
"""Distance of the two stripes of a double line, middle to middle."""
_SOLID_SHARE, _DASHED_SHARE = 0.72, 0.55


@dataclass
class KindVotes:
    """Evidence for each kind, gathered over the frames of a track, fading with time."""

    fade: float = 0.93
    votes: dict[LineKind, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 0.0))

    def add(self, kind: LineKind, weight: float = 1.0) -> None:
        """One frame's answer."""
        for name in self.votes:
            self.votes[name] *= self.fade
        self.votes[kind] += weight

    @property
    def kind(self) -> LineKind:
        """The kind with the most votes; unknown while nothing spoke."""
        known = {name: vote for name, vote in self.votes.items() if name != 'unknown'}
        best = max(known, key=lambda name: known[name])
        return best if known[best] >= 0.5 else 'unknown'


def kind_of(
    fitted: FittedLine, samples: Samples, rows: RoadRows, by_class: Mapping[int, LineKind]
) -> tuple[LineKind, float]:
    """Type of a line in this frame, and how much the answer weighs.

    rows: of the view. by_class: kinds that class ids of the model name by
    themselves; where they do, the pixels decide.
    """
    members = fitted.members
    if by_class:
        counts = np.bincount(samples.class_id[members], minlength=256)
        named = {kind: sum(counts[i] for i, k in by_class.items() if k == kind) for kind in KINDS}
        best = max(named, key=lambda kind: named[kind])
        if named[best]:
            return best, float(named[best] / len(members))
    if _is_double(samples, members):
        return 'double', 1.0
    share, length = _painted_share(fitted, samples, rows)
    if length < 6.0:
        return 'unknown', 0.0
    if share >= _SOLID_SHARE:
        return 'solid', min(1.0, length / 15.0)
    if share <= _DASHED_SHARE:
        return 'dashed', min(1.0, length / 10.0)
    return 'unknown', 0.0


def _is_double(samples: Samples, members: np.ndarray) -> bool:
    """Whether most near rows hold two stripes side by side.

    Samples come row by row, so stripes of one row are neighbours among the members.
    """
    near = members[samples.x[members] <= _DOUBLE_TO_M]
    if len(near) < 12:
        return False
    rows, y = samples.v[near], samples.y[near]
    same_row = rows[1:] == rows[:-1]
    gap = np.abs(y[1:] - y[:-1])
    pairs = np.count_nonzero(same_row & (gap >= _PAIR_M[0]) & (gap <= _PAIR_M[1]))
    return bool(pairs >= 0.4 * (len(near) - np.count_nonzero(same_row)))


def _painted_share(fitted: FittedLine, samples: Samples, rows: RoadRows) -> tuple[float, float]:
    """Share of the road between first and last paint that shows the line, and metres looked at."""
    line = fitted.line
    far = min(line.far, _SEEN_TO_M)
    painted = np.zeros(len(rows.x), np.bool_)
    painted[samples.row[fitted.members]] = True
    looked = (rows.x >= line.near) & (rows.x <= far)
    total = float(rows.length @ looked)
    if total <= 0.0:
        return 0.0, 0.0
    return float(rows.length @ (looked & painted)) / total, far - line.near
