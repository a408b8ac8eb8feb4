"""How far a lane map is from the true markings, and how much of them it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from seg_node.errors import InputError

Double = npt.NDArray[np.float64]

_STEP_M = 0.02
"""Truth is sampled this densely; it bounds the error of a distance d by step^2 / (8 d)."""


@dataclass(frozen=True)
class TrueMarkings:
    """True markings in the map's frame, metres.

    lines: centre lines of painted stripes, float (N, 2 or 3) each, N >= 2; z is not looked at.
    areas: outlines (N >= 3, not closed) of painted areas such as stop lines, arrows and zebra
        bars; a point inside has distance 0.
    """

    lines: Sequence[Double]
    areas: Sequence[Double] = ()

    def samples(self) -> tuple[Double, npt.NDArray[np.bool_]]:
        """float64 (N, 2) points along every line and outline, and which of them are of a line."""
        lines = [resample(np.asarray(line, float)[:, :2], _STEP_M) for line in self.lines]
        areas = [
            resample(np.vstack([area, area[:1]])[:, :2], _STEP_M)
            for area in (np.asarray(a, float) for a in self.areas)
        ]
        if not lines and not areas:
            raise InputError('true markings: expected at least one line or area, got none')
        count = sum(map(len, lines))
        points = np.vstack([*lines, *areas])
        return points, np.arange(len(points)) < count


@dataclass(frozen=True)
class Sight:
    """Where the camera could see: the part of the truth that a map can be asked for.

    poses: float64 (N, 4, 4), optical frame -> map frame, one a frame. horizontal_fov: radians.
    """

    poses: Double
    horizontal_fov: float
    max_range_m: float = 12.0
    min_range_m: float = 1.0

    def sees(self, points: Double) -> npt.NDArray[np.bool_]:
        """bool (M,): which of `points` (M, 2) were in range and in the picture's width once."""
        places, axes = self.poses[:, :2, 3], self.poses[:, :2, 2]
        axes = axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-9)
        tree = cKDTree(points)
        seen = np.zeros(len(points), np.bool_)
        cosine = np.cos(self.horizontal_fov / 2)
        for place, axis in zip(places, axes):
            near = np.asarray(tree.query_ball_point(place, self.max_range_m), np.intp)
            near = near[~seen[near]] if near.size else near
            if not near.size:
                continue
            way = points[near] - place
            along, away = way @ axis, np.linalg.norm(way, axis=1)
            seen[near[(along >= self.min_range_m) & (along >= cosine * away)]] = True
        return seen


@dataclass(frozen=True)
class Comparison:
    """Figures of a map: distances of its points to the truth, and the covered share of lines."""

    points: int
    median_error_m: float
    p95_error_m: float
    coverage: float
    true_length_m: float
    """Length of true lines within sight."""
    covered_within_m: float

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class CompareOptions:
    """covered_within_m: a true line is covered where a map point is this near."""

    covered_within_m: float = 0.25
    sight: Sight | None = field(default=None)


def compare(
    points: Double, truth: TrueMarkings, options: CompareOptions | None = None
) -> Comparison:
    """Compare map `points`, float (N, 2 or 3) metres, with the true markings, seen from above.

    Raises `InputError` when there is no truth (in sight). An empty map covers nothing and has
    errors of infinity.
    """
    options = options or CompareOptions()
    samples, of_line = truth.samples()
    flat = np.asarray(points, np.float64)[:, :2]
    of_this_line = samples[of_line]
    if options.sight is not None and len(of_this_line):
        of_this_line = of_this_line[options.sight.sees(of_this_line)]
    if not len(of_this_line):
        raise InputError('true markings: expected some within sight of the drive, got none')
    length = len(of_this_line) * _STEP_M
    if not len(flat):
        infinite = float('inf')
        return Comparison(0, infinite, infinite, 0.0, length, options.covered_within_m)
    errors = distances(flat, truth, samples)
    gaps, _ = cKDTree(flat).query(of_this_line, distance_upper_bound=options.covered_within_m)
    return Comparison(
        points=len(flat),
        median_error_m=round(float(np.median(errors)), 4),
        p95_error_m=round(float(np.percentile(errors, 95)), 4),
        coverage=round(float(np.mean(np.isfinite(gaps))), 4),
        true_length_m=round(length, 2),
        covered_within_m=options.covered_within_m,
    )


def distances(points: Double, truth: TrueMarkings, samples: Double | None = None) -> Double:
    """float64 (N,): metres from each point (N, 2) to the nearest marking; 0 within an area."""
    known = truth.samples()[0] if samples is None else samples
    metres: Double = np.asarray(cKDTree(known).query(points)[0], np.float64)
    for area in truth.areas:
        outline = np.asarray(area, float)[:, :2]
        low, high = outline.min(axis=0), outline.max(axis=0)
        near = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
        if near.size:
            metres[near[_inside(points[near], outline)]] = 0.0
    return metres


def resample(line: Double, step: float) -> Double:
    """float64 (M, D): points every `step` metres along a polyline (N, D), both ends included."""
    if len(line) < 2:
        raise InputError(f'polyline: expected at least 2 points, got {len(line)}')
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    count = max(2, round(lengths[-1] / step) + 1)
    at = np.linspace(0.0, lengths[-1], count)
    columns = [np.interp(at, lengths, line[:, i]) for i in range(line.shape[1])]
    return np.stack(columns, axis=1)


def _inside(points: Double, outline: Double) -> npt.NDArray[np.bool_]:
    """Even-odd rule: bool (N,) which points (N, 2) lie within the outline (M, 2)."""
    inside = np.zeros(len(points), np.bool_)
    x, y = points[:, 0], points[:, 1]
    for (ax, ay), (bx, by) in zip(outline, np.roll(outline, -1, axis=0)):
        crosses = (ay > y) != (by > y)
        with np.errstate(divide='ignore', invalid='ignore'):
            inside ^= crosses & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return inside
