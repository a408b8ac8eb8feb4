"""From a mask to points on lane lines: one a row and stripe, in metres on the road.

A stripe crosses most rows of a picture as a short run of pixels, whose middle is the middle of the
paint whatever its width; so a frame is a few hundred points instead of thousands of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.camera.rays import RayTable
from seg_node.lane_lines.line import Double

Array = npt.NDArray[np.uint8]
Index = npt.NDArray[np.intp]
_ROWS = 180
"""Rows of road that are looked at: of a larger picture every second, third, …"""
_MAX_WIDTH_M = 0.45
"""Wider than any lane line: bars of a zebra, arrows, stop lines."""


@dataclass(frozen=True)
class Samples:
    """Middles of runs, row by row from the top. All arrays have N elements.

    u, v: pixel; row: index into the view's `RoadRows`. x, y, z: metres in `base_link`. sigma:
    standard deviation of y from half a pixel, metres. width: of the run, metres. length: metres of
    road that its row stands for. class_id: uint8. rays: (N, 2) normalised image coordinates at
    z = 1, undistorted.
    """

    u: Double
    v: Index
    row: Index
    x: Double
    y: Double
    z: Double
    sigma: Double
    width: Double
    length: Double
    class_id: Array
    rays: Double

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class RoadRows:
    """The rows of a picture that are looked at, from the top.

    v: row of the picture. x: metres ahead at which it meets the road in the middle column.
    length: metres of road from there to the next row, at most 2.
    """

    v: Index
    x: Double
    length: Double


@dataclass(frozen=True)
class RoadView:
    """How a camera sees the road.

    rays: of the mask's size. mount: float64 (4, 4), optical frame -> `base_link`, whose z = 0 is
    the road where there is no depth. min_range_m, max_range_m: along x of `base_link`.
    """

    rays: RayTable
    mount: Double
    min_range_m: float = 2.0
    max_range_m: float = 40.0

    @cached_property
    def pixel(self) -> float:
        """Width of a pixel at 1 m, metres, in the middle of the picture."""
        middle = self.rays.size.height // 2 * self.rays.size.width + self.rays.size.width // 2
        return float(self.rays.x[middle + 1] - self.rays.x[middle])

    @cached_property
    def rows(self) -> RoadRows:
        """The rows on which the road lies within range."""
        size = self.rays.size
        v = np.arange(size.height)
        middle = v * size.width + size.width // 2
        rays = np.stack([self.rays.x[middle], self.rays.y[middle]], axis=1).astype(np.float64)
        x = self.meet(rays)[0][:, 0]
        with np.errstate(invalid='ignore'):
            inside = np.flatnonzero((x >= self.min_range_m - 0.5) & (x <= self.max_range_m + 5.0))
        # A tilted road is seen a little above the plane's rows.
        top = max(0, int(inside[0]) - size.height // 40) if len(inside) else size.height
        step = max(1, round((size.height - top) / _ROWS))
        v = v[top::step]
        x = np.nan_to_num(x[v], nan=np.inf)
        finite = np.where(np.isfinite(x), x, 0.0)
        length = np.abs(np.diff(finite, append=finite[-1:])) if len(v) else finite
        return RoadRows(v, x, np.where(np.isfinite(x), np.minimum(length, 2.0), 0.0))

    def meet(self, rays: Double) -> tuple[Double, Double]:
        """Points (N, 3) where rays (N, 2) meet z = 0, and their depth along the optical axis."""
        way = rays @ self.mount[:3, :2].T + self.mount[:3, 2]
        with np.errstate(divide='ignore', invalid='ignore'):
            scale = np.where(way[:, 2] < -1e-6, -self.mount[2, 3] / way[:, 2], np.nan)
        points: Double = self.mount[:3, 3] + way * scale[:, None]
        return points, scale


def find_samples(
    mask: Array,
    classes: Sequence[int],
    view: RoadView,
    depth_m: npt.NDArray[np.float32] | None = None,
) -> Samples:
    """Samples of the pixels of `mask`, uint8 (H, W), whose class is one of `classes`.

    depth_m: float32 (H, W) planar metres of the same size, 0 or NaN where unknown; None: the road
    is the plane z = 0 of `base_link`.
    """
    width = mask.shape[1]
    rows = view.rows
    row, left, right = find_runs(
        mask[rows.v[0] :: _step(rows.v)] if len(rows.v) else mask[:0], classes
    )
    twice = left + right - 1
    base = rows.v[row] * width
    first, second = base + (twice >> 1), base + ((twice + 1) >> 1)
    rays = np.empty((len(row), 2))
    for axis, table in enumerate((view.rays.x, view.rays.y)):
        rays[:, axis] = 0.5 * (table[first] + table[second])
    if depth_m is None:
        points, scale = view.meet(rays)
    else:
        scale = depth_m.reshape(-1)[first].astype(np.float64)
        scale[~(scale > 0.0)] = np.nan
        way = rays @ view.mount[:3, :2].T + view.mount[:3, 2]
        points = view.mount[:3, 3] + way * scale[:, None]
    pixel = scale * view.pixel
    x = points[:, 0]
    # NaN compares as false: what has no depth or lies above the horizon goes.
    good = (x >= view.min_range_m) & (x <= view.max_range_m)
    width_m = (right - left) * pixel
    good &= width_m <= _MAX_WIDTH_M + 2.0 * pixel
    kept = np.flatnonzero(good)
    row, points = row[kept], points[kept]
    return Samples(
        u=np.multiply(twice[kept], 0.5, dtype=np.float64),
        v=rows.v[row],
        row=row,
        x=points[:, 0],
        y=points[:, 1],
        z=points[:, 2],
        sigma=0.5 * pixel[kept],
        width=width_m[kept],
        length=rows.length[row],
        class_id=mask.reshape(-1)[first[kept]],
        rays=rays[kept],
    )


def _step(v: Index) -> int:
    return int(v[1] - v[0]) if len(v) > 1 else 1


def find_runs(rows: Array, classes: Sequence[int]) -> tuple[Index, Index, Index]:
    """Row, first and last + 1 column of every run of lane pixels that the border does not cut."""
    height, width = rows.shape
    padded = np.zeros((height, width + 2), np.uint8)
    inside = padded[:, 1:-1]
    if len(classes) == 1:
        np.equal(rows, classes[0], out=inside.view(np.bool_))
    else:
        table = np.zeros(256, np.uint8)
        table[list(classes)] = 1
        inside[...] = cv2.LUT(np.ascontiguousarray(rows), table)
    flat = padded.reshape(-1)
    # Every row begins and ends outside, so beginnings and ends take turns.
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    row, left = np.divmod(edges[0::2], width + 2)
    right = edges[1::2] - row * (width + 2)
    # A run that touches the border is cut: its middle is not the paint's.
    whole = (left > 0) & (right < width)
    return row[whole], left[whole], right[whole]
