"""Direction and curvature that the lines of a road share.

A histogram of the samples' lateral offsets is sharp where both are right. Near the last frame's
course it is searched in every frame; everywhere now and then, and where the last course does not
fit any more, since a search that only follows stays with a mistake for good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seg_node.lane_lines.line import Double
from seg_node.lane_lines.samples import Samples

Single = npt.NDArray[np.float32]
Real = npt.NDArray[np.floating]
BIN_M = 0.15
REACH_M = 14.0
BINS = int(2 * REACH_M / BIN_M)
_WIDE = (
    np.linspace(-0.3, 0.3, 25),
    np.array([-0.04, -0.02, -0.01, -0.005, -0.002, 0.0, 0.002, 0.005, 0.01, 0.02, 0.04]),
)
_FINE = (np.linspace(-0.02, 0.02, 5), np.array([-0.002, 0.0, 0.002]))
"""Slopes and curvatures that are tried: without a clue, and around one."""
_APART_M = 0.4
"""Distance of the rows that the search looks at: near the vehicle many say the same."""
_JUMP = 1.25
"""So much sharper is another course than the expected one before it is taken instead."""
_FADED = 0.8
"""Where sharpness falls to this share from one frame to the next, the whole range is searched."""
_FOLLOWED = 3
"""Frames that the expected course is followed at most between two searches of the whole range."""


@dataclass(frozen=True)
class Course:
    """Slope and curvature (1/m) of a line through the origin of `base_link`.

    sharpness: 0..1 of the paint, 1 where all of it lies on one line. followed: frames since all
    courses were looked at.
    """

    slope: float
    curvature: float
    sharpness: float = 0.0
    followed: int = 0

    def offsets(self, x: Double, y: Double) -> Double:
        """How far (m, left) points (N,) lie beside it."""
        offsets: Double = _offsets(np.array([self.slope]), np.array([self.curvature]), x, y)[0]
        return offsets

    def beside(self, offset: float) -> tuple[float, float]:
        """Slope and curvature of the line `offset` metres to the left: an inner one is sharper."""
        sharper = 1.0 / max(0.3, 1.0 - self.curvature * offset)
        return self.slope * sharper, self.curvature * sharper


def find_course(samples: Samples, expected: Course | None = None) -> Course:
    """The sharpest course near the expected one, or anywhere where that is much sharper."""
    search = _Search.of(samples)
    near = None
    if expected is not None:
        near = search.sharpest(expected.slope + _FINE[0], expected.curvature + _FINE[1])
        faded = near.sharpness < _FADED * expected.sharpness
        if not faded and expected.followed < _FOLLOWED:
            return replace(near, followed=expected.followed + 1)
    best = search.sharpest(*_WIDE)
    if near is not None and best.sharpness <= _JUMP * near.sharpness:
        return near
    return search.sharpest(best.slope + _FINE[0], best.curvature + _FINE[1])


def _offsets(slope: Real, curvature: Real, x: Real, y: Real) -> Real:
    """(M, N): how far (m, left) N points lie beside M arcs through the origin.

    Lines of a bend are circles about one middle: their distances stay, their curvatures differ.
    With the middle at (-sin, cos) / curvature the distance is (1 - r) / curvature, where r is the
    point's distance to it in radii; written so that a straight road is no special case.
    """
    across = 1.0 / np.sqrt(1.0 + slope * slope)
    along = slope * across
    away = np.stack([-curvature, -2.0 * along, 2.0 * across], axis=1)
    away = away @ np.stack([x * x + y * y, x, y])
    radii = away * -curvature[:, None]
    radii += 1.0
    np.maximum(radii, 0.0, out=radii)
    np.sqrt(radii, out=radii)
    radii += 1.0
    offsets: Real = np.divide(away, radii, out=away)
    return offsets


@dataclass(frozen=True)
class _Search:
    """Samples (x, y) and the metres of road that each stands for, float32 (N,)."""

    x: Single
    y: Single
    length: Single

    @classmethod
    def of(cls, samples: Samples) -> _Search:
        """Of rows that are `_APART_M` apart."""
        row, length = samples.row, samples.length
        first = np.empty(len(row), np.bool_)
        first[:1] = True
        np.not_equal(row[1:], row[:-1], out=first[1:])
        part = (np.cumsum(length * first) * (1.0 / _APART_M)).astype(np.int32)
        chosen = np.zeros(int(row[-1]) + 1 if len(row) else 0, np.bool_)
        chosen[row[:1]] = True
        chosen[row[1:][part[1:] != part[:-1]]] = True
        kept = np.flatnonzero(chosen[row])
        x, y = samples.x[kept].astype(np.float32), samples.y[kept].astype(np.float32)
        return cls(x, y, np.maximum(length[kept], _APART_M).astype(np.float32))

    def sharpest(self, slopes: Double, curvatures: Double) -> Course:
        """The sharpest of every slope with every curvature."""
        slope, curvature = np.repeat(slopes, len(curvatures)), np.tile(curvatures, len(slopes))
        offsets = _offsets(slope.astype(np.float32), curvature.astype(np.float32), self.x, self.y)
        offsets += REACH_M
        offsets *= 1.0 / BIN_M
        np.maximum(offsets, 0.0, out=offsets)
        np.minimum(offsets, BINS - 1.0, out=offsets)
        bins = offsets.astype(np.intp)
        bins += (np.arange(len(bins)) * BINS)[:, None]
        paint = np.bincount(bins.ravel(), np.tile(self.length, len(bins)), len(bins) * BINS)
        paint = paint.reshape(len(bins), BINS)
        paint[:, [0, -1]] = 0.0
        pairs = paint[:, :-1] + paint[:, 1:]
        score = np.einsum('ij,ij->i', pairs, pairs)
        # Of equals the straighter: few samples fit any bend.
        score -= 1e-3 * score.max() * (np.abs(curvature) * 100 + np.abs(slope))
        best = int(np.argmax(score))
        whole = 2.0 * max(float(self.length.sum()), 1e-9) ** 2
        return Course(float(slope[best]), float(curvature[best]), float(score[best]) / whole)
