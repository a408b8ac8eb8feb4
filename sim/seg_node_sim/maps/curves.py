"""Evaluating OpenDRIVE curves: reference lines and lane borders, in CARLA's axes.

CARLA's axes are left-handed, so y and the heading change sign against the file, and "left"
(positive t) of heading h is the direction (sin h, -cos h).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from seg_node_sim.maps.opendrive import LaneSection, PlanGeometry, Poly, Road

CHORD_ERROR = 0.002  # metres between a curve and its polyline
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)


@dataclass(frozen=True)
class Line:
    """A sampled reference line. s, x, y, heading: float64 (N,), metres, radians, CARLA's axes."""

    s: np.ndarray
    x: np.ndarray
    y: np.ndarray
    heading: np.ndarray

    def offset(self, t: np.ndarray | float) -> np.ndarray:
        """float64 (N, 2): points `t` metres to the left."""
        return np.stack(
            [self.x + t * np.sin(self.heading), self.y - t * np.cos(self.heading)], axis=1
        )


def polynomial(polys: tuple[Poly, ...], s: np.ndarray) -> np.ndarray:
    """Value of piecewise cubics at `s`; 0 before the first and when there are none."""
    value = np.zeros_like(s)
    for start, a, b, c, d in polys:
        ds = s - start
        value = np.where(ds >= -1e-9, a + ds * (b + ds * (c + ds * d)), value)
    return value


def _spiral(g: PlanGeometry, ds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    start, end = g.values
    rate = (end - start) / g.length
    # Gauss-Legendre on pieces short enough that the heading turns little in each.
    pieces = max(1, math.ceil(g.length / 5.0))
    u = np.zeros_like(ds)
    v = np.zeros_like(ds)
    for k in range(pieces):
        lo, hi = ds * k / pieces, ds * (k + 1) / pieces
        at = lo[:, None] + (hi - lo)[:, None] * (_NODES + 1.0) / 2.0
        angle = start * at + 0.5 * rate * at * at
        weight = _WEIGHTS * (hi - lo)[:, None] / 2.0
        u += (np.cos(angle) * weight).sum(axis=1)
        v += (np.sin(angle) * weight).sum(axis=1)
    return u, v, start * ds + 0.5 * rate * ds * ds


def _local(g: PlanGeometry, ds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u, v, heading of the piece at arc length `ds`, relative to its start."""
    if g.kind == 'arc' and abs(g.values[0]) > 1e-12:
        k = g.values[0]
        return np.sin(k * ds) / k, (1.0 - np.cos(k * ds)) / k, k * ds
    if g.kind == 'spiral':
        return _spiral(g, ds)
    if g.kind == 'poly3':
        return _cubic((0.0, 1.0, 0.0, 0.0), g.values, ds, g.length * 2.0, stop=g.length)
    if g.kind == 'paramPoly3':
        end = 1.0 if g.normalized else g.length
        return _cubic(g.values[:4], g.values[4:], ds, end, stop=None)
    return ds, np.zeros_like(ds), np.zeros_like(ds)


def _cubic(
    cu: tuple[float, ...], cv: tuple[float, ...], ds: np.ndarray, end: float, stop: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A parametric cubic at arc length `ds`: the parameter is found from a table of arc length.

    stop: arc length that the curve has (poly3), or None when the parameter's end is the end.
    """
    p = np.linspace(0.0, end, 513)
    u = cu[0] + p * (cu[1] + p * (cu[2] + p * cu[3]))
    v = cv[0] + p * (cv[1] + p * (cv[2] + p * cv[3]))
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(u), np.diff(v)))])
    if stop is None:  # the file's length and the curve's may differ by rounding: stretch
        stop = float(arc[-1])
        length = max(float(ds.max(initial=0.0)), 1e-9)
        ds = ds * min(1.0, stop / length) if length > stop else ds
    at = np.interp(ds, arc, p)
    u = cu[0] + at * (cu[1] + at * (cu[2] + at * cu[3]))
    v = cv[0] + at * (cv[1] + at * (cv[2] + at * cv[3]))
    du = cu[1] + at * (2 * cu[2] + at * 3 * cu[3])
    dv = cv[1] + at * (2 * cv[2] + at * 3 * cv[3])
    return u, v, np.arctan2(dv, du)


def evaluate(road: Road, s: np.ndarray) -> Line:
    """The reference line at arc lengths `s` (any order), in CARLA's axes."""
    s = np.clip(np.asarray(s, dtype=float), 0.0, road.length)
    starts = np.array([g.s for g in road.geometry])
    index = np.clip(np.searchsorted(starts, s + 1e-9, side='right') - 1, 0, len(starts) - 1)
    x, y, heading = np.zeros_like(s), np.zeros_like(s), np.zeros_like(s)
    for i, g in enumerate(road.geometry):
        mine = index == i
        if not mine.any():
            continue
        u, v, turn = _local(g, np.clip(s[mine] - g.s, 0.0, None))
        c, n = math.cos(g.heading), math.sin(g.heading)
        x[mine] = g.x + c * u - n * v
        y[mine] = -(g.y + n * u + c * v)
        heading[mine] = -(g.heading + turn)
    return Line(s, x, y, heading)


def stations(road: Road, start: float, end: float, longest: float = 2.0) -> np.ndarray:
    """Arc lengths from `start` to `end`, dense enough for CHORD_ERROR and for every knot."""
    knots = {start, end}
    for g in road.geometry:
        knots.update(k for k in (g.s, g.s + g.length) if start < k < end)
    for polys in (road.lane_offset,):
        knots.update(p[0] for p in polys if start < p[0] < end)
    ordered = sorted(knots)
    parts = []
    for lo, hi in itertools.pairwise(ordered):
        step = min(longest, _step(road, 0.5 * (lo + hi)))
        count = max(1, math.ceil((hi - lo) / step))
        parts.append(np.linspace(lo, hi, count + 1)[:-1])
    return np.append(np.concatenate(parts), end) if parts else np.array([start, end])


def _step(road: Road, s: float) -> float:
    piece = max((g for g in road.geometry if g.s <= s + 1e-9), key=lambda g: g.s)
    if piece.kind == 'line':
        return 2.0
    if piece.kind in ('arc', 'spiral'):
        bend = max(abs(v) for v in piece.values)
        # wide roads: the outer border bends less, the inner one more; half the step for safety
        return max(0.2, 0.7 * math.sqrt(8.0 * CHORD_ERROR / max(bend, 1e-6)))
    return 0.4


def lane_edges(road: Road, section: LaneSection, s: np.ndarray) -> dict[int, np.ndarray]:
    """Lateral offset t of each lane's outer border at `s`, float64 (N,); id 0: the centre line."""
    centre = polynomial(road.lane_offset, s)
    edges = {0: centre}
    ds = s - section.s
    for side in (1, -1):
        t = centre
        for lane_id in sorted((i for i in section.lanes if i * side > 0), key=abs):
            lane = section.lanes[lane_id]
            if lane.widths:
                t = t + side * np.maximum(polynomial(lane.widths, ds), 0.0)
            elif lane.borders:
                t = centre + polynomial(lane.borders, ds)
            edges[lane_id] = t
    return edges
