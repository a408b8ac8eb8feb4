"""Lines through samples: lines of a road share direction and curvature and are found together.

A histogram of lateral offsets is sharp where direction and curvature are right; its peaks are the
lines. Each is then fitted on its own by weighted least squares with Huber's weights (Huber, 1964),
drawn towards the common direction and curvature by what the road lets them differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seg_node.lane_lines.course import BIN_M, BINS, REACH_M, Course, find_course
from seg_node.lane_lines.line import Double, LaneLine
from seg_node.lane_lines.samples import Samples

Index = npt.NDArray[np.intp]
_HUBER = 1.5
"""Standard deviations from which on a sample pulls no harder (Huber)."""
_SMOOTH_M, _ROUGHEST_M = 0.04, 0.10
"""Change of a stripe's width from row to row up to which paint is paint, and where it is none."""


@dataclass(frozen=True)
class FitOptions:
    """All lengths in metres.

    min_evidence_m: paint that makes a line. min_span_m: its range along x. min_rows: samples on
    it, so that a few far specks are none. apart_m: lines are at least this far from each other.
    inlier_m: how far a sample may be from its line. slope_spread, curvature_spread: standard
    deviations by which lines of one road differ.
    """

    min_evidence_m: float = 2.5
    min_span_m: float = 2.0
    min_rows: int = 8
    apart_m: float = 0.9
    inlier_m: float = 0.35
    slope_spread: float = 0.03
    curvature_spread: float = 0.003
    iterations: int = 3


@dataclass(frozen=True)
class FittedLine:
    """A line and which samples, int (M,) indices in rising order, lie on it."""

    line: LaneLine
    members: Index


def fit_lines(
    samples: Samples, options: FitOptions | None = None, expected: Course | None = None
) -> tuple[list[FittedLine], Course | None]:
    """Lines of one frame, from left to right, and their common course.

    expected: the last frame's course, moved to this one; the search then stays near it.
    """
    options = options or FitOptions()
    if len(samples) < 8:
        return [], None
    course = find_course(samples, expected)
    offsets = course.offsets(samples.x, samples.y)
    bins = np.clip((offsets + REACH_M) * (1.0 / BIN_M), 0, BINS - 1).astype(np.intp)
    counts = np.bincount(bins, samples.length, BINS).astype(np.float64)
    counts[[0, -1]] = 0.0
    table = _SampleRows(samples, options)
    fitted: list[FittedLine] = []
    for peak in _peaks(counts, options):
        line = table.fit(offsets, peak, course)
        if line is None or any(_near(line.line, f.line) < options.apart_m for f in fitted):
            continue
        table.free[line.members] = False
        fitted.append(line)
    return sorted(fitted, key=lambda f: -f.line.y_at(4.0)), course


def _near(line: LaneLine, other: LaneLine) -> float:
    """Lateral distance (m) of two lines where the first begins."""
    x = 0.5 * (line.near + min(line.far, line.near + 10.0))
    return abs(line.y_at(x) - other.y_at(x))


def _peaks(counts: Double, options: FitOptions) -> list[float]:
    """Lateral offsets of the lines, strongest first."""
    smooth = counts.copy()
    smooth[1:] += 0.5 * counts[:-1]
    smooth[:-1] += 0.5 * counts[1:]
    peaks: list[float] = []
    strong = np.flatnonzero(smooth >= options.min_evidence_m)
    for index in strong[np.argsort(-smooth[strong], kind='stable')].tolist():
        place = (index + 0.5) * BIN_M - REACH_M
        if all(abs(place - other) >= options.apart_m for other in peaks):
            peaks.append(place)
    return peaks


class _SampleRows:
    """A frame's samples as rows of the normal equations, made once for all lines."""

    def __init__(self, samples: Samples, options: FitOptions) -> None:
        x = samples.x
        self._samples, self._options = samples, options
        deviation = np.maximum(samples.sigma, 0.02) + 0.002 * x
        # Rows near the vehicle are many and see the same metre of paint: they count by length.
        information = np.minimum(1.0, samples.length * 4.0) / (deviation * deviation)
        # One row each: the line's basis, y, gate, deviation, information, Huber's slope.
        self._rows = np.stack([
            np.ones_like(x), x, 0.5 * x * x, samples.y,
            0.01 * x + options.inlier_m, deviation, information, _HUBER * deviation * information,
        ])  # fmt: skip
        self._drawn = np.diag([1e-9, options.slope_spread**-2, options.curvature_spread**-2])
        self.free = np.ones(len(x), np.bool_)

    def fit(self, offsets: Double, peak: float, course: Course) -> FittedLine | None:
        """One line by robust least squares; None where too little paint agrees."""
        samples, options, drawn = self._samples, self._options, self._drawn
        state = np.array([peak, *course.beside(peak)])
        pull = drawn @ state
        away = np.abs(offsets - peak)
        around = np.flatnonzero((away <= 2.0 * options.apart_m) & self.free)
        rows, residual, hessian = self._rows[:, around], away[around], drawn
        basis, known, y = rows[:3], rows[:4].T, rows[3]
        gate, deviation, information, steep = rows[4:]
        for _ in range(options.iterations):
            weights = np.minimum(information, steep / np.maximum(residual, 1e-9))
            weights *= residual <= gate
            sums = (basis * weights) @ known
            hessian = sums[:, :3] + drawn
            state = np.asarray(np.linalg.solve(hessian, sums[:, 3] + pull), np.float64)
            residual = np.abs(y - state @ basis)
        inside = np.flatnonzero(residual <= gate)
        if len(inside) < options.min_rows:
            return None
        members = around[inside]
        x = samples.x[members]
        near, far = float(x.min()), float(x.max())
        evidence = _evidence(samples, members)
        if evidence < options.min_evidence_m or far - near < options.min_span_m:
            return None
        normal = residual[inside] / deviation[inside]
        spread = max(1.0, float(normal @ normal) / len(normal))
        covariance = np.asarray(np.linalg.inv(hessian) * spread, np.float64)
        heights = _heights(samples.z[members], x)
        line = LaneLine(state, covariance, near, far, evidence_m=evidence, heights=heights)
        return FittedLine(line, members)


def _evidence(samples: Samples, members: Index) -> float:
    """Metres of road along which paint was seen; two stripes in a row count once.

    A stripe is as wide in the next row. Where it is not, the paint counts less: specks of shadow
    and rain, and remnants of a zebra, whose widths jump.
    """
    rows = samples.row[members]
    first = np.ones(len(rows), np.bool_)
    first[1:] = rows[1:] != rows[:-1]
    rough = float(np.abs(np.diff(samples.width[members])).mean())
    steady = min(1.0, max(0.0, (_ROUGHEST_M - rough) / (_ROUGHEST_M - _SMOOTH_M)))
    return steady * float(samples.length[members] @ first)


def _heights(z: Double, x: Double) -> tuple[float, float]:
    """Height (m) at x = 0 and slope of the road under a line."""
    middle_x, middle_z = float(x.mean()), float(z.mean())
    away = x - middle_x
    spread = float(away @ away)
    if spread < 9.0 or max(abs(float(z.min())), abs(float(z.max()))) < 1e-6:
        return (middle_z, 0.0)
    slope = float(away @ z) / spread
    return (middle_z - slope * middle_x, slope)
