"""Straight stripes of paint in a picture, whatever the camera's angles are.

Lines on the road are straight in an undistorted picture. Each is told as `across = base + slant *
down`, in normalised image coordinates (x and y at z = 1), by weighted least squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.camera.rays import RayTable
from seg_node.lane_lines.line import Double
from seg_node.lane_lines.samples import find_runs

Array = npt.NDArray[np.uint8]
Index = npt.NDArray[np.intp]
_HIGHEST = -0.25
"""Rows above this (normalised, down) see no road under a nose that is down by 14 degrees."""
_ROWS = 180
_LEAST_ROWS = 10
_BENT_PX = 1.5
"""A stripe whose middles spread further than this from a straight line is none."""
_SLANTED = 12.0
"""Flatter than this are stop lines and the edges of crossing roads."""
_ROUNDS = 3


@dataclass(frozen=True)
class Stripes:
    """Lines `base + slant * down` of one frame; all but `pixel` float64 (N,).

    pixel: width of a pixel (normalised). middle: mean of `down` along each. rows: how many it
    crosses. flatness: variance of `down`.
    """

    pixel: float
    base: Double
    slant: Double
    middle: Double
    rows: Double
    flatness: Double

    @classmethod
    def joined(cls, frames: Sequence[Stripes]) -> Stripes:
        """Those of one or more frames of a camera."""
        return cls(
            frames[0].pixel,
            np.concatenate([f.base for f in frames]),
            np.concatenate([f.slant for f in frames]),
            np.concatenate([f.middle for f in frames]),
            np.concatenate([f.rows for f in frames]),
            np.concatenate([f.flatness for f in frames]),
        )

    def __len__(self) -> int:
        return len(self.base)

    def at(self, down: Double) -> Double:
        """Where the stripes, extended, cross the rows `down`."""
        across: Double = self.base + self.slant * down
        return across

    def variance(self, down: Double) -> Double:
        """Of `at`, from half a pixel a row."""
        away = np.square(down - self.middle) / self.flatness
        return 0.25 * self.pixel**2 * (1.0 + away) / self.rows


def find_stripes(mask: Array, classes: Sequence[int], rays: RayTable) -> Stripes:
    """Stripes of the pixels of `mask`, uint8 (H, W), whose class is one of `classes`."""
    size = rays.size
    with np.errstate(invalid='ignore'):
        road = np.flatnonzero(rays.y[size.width // 2 :: size.width] > _HIGHEST)
    top = int(road[0]) if len(road) else size.height
    step = max(1, round((size.height - top) / _ROWS))
    rows = np.ascontiguousarray(mask[top::step])
    row, left, right = find_runs(rows, classes)
    middle = size.height // 2 * size.width + size.width // 2
    pixel = float(rays.x[middle + 1] - rays.x[middle])
    if not len(row):
        return Stripes(pixel, *np.empty((5, 0)))
    place = (top + row * step) * size.width + (left + right - 1) // 2
    half = 0.5 * ((left + right - 1) % 2)
    across, down = rays.x[place] + half * pixel, rays.y[place].astype(np.float64)
    group = _chains(rows, classes, row, left)
    good = np.isfinite(across) & np.isfinite(down)
    return _fitted(group[good], across[good], down[good], pixel)


def _chains(rows: Array, classes: Sequence[int], row: Index, left: Index) -> Index:
    """The stripe that each run belongs to: connected, and of the same place among its row's."""
    lanes = np.isin(rows, list(classes)).astype(np.uint8)
    _, parts = cv2.connectedComponents(lanes, connectivity=8)
    part = parts[row, left].astype(np.intp)
    order = np.lexsort((left, row, part))
    fresh = (np.diff(part[order], prepend=-1) != 0) | (np.diff(row[order], prepend=-1) != 0)
    count = np.arange(len(order))
    rank = np.empty(len(order), np.intp)
    rank[order] = count - np.maximum.accumulate(np.where(fresh, count, 0))
    return np.asarray(np.unique(part * 1024 + rank, return_inverse=True)[1]).reshape(-1)


def _fitted(group: Index, across: Double, down: Double, pixel: float) -> Stripes:
    """A robust straight line a group (Cauchy's weights), of those that are straight."""
    size = int(group.max()) + 1 if len(group) else 0
    rows = np.bincount(group, minlength=size).astype(np.float64)
    weights = np.ones(len(group))
    base = slant = middle = flatness = spread = np.zeros(size)

    def total(values: Double) -> Double:
        return np.bincount(group, values, size).astype(np.float64)

    for _ in range(_ROUNDS):
        whole = np.maximum(total(weights), 1e-9)
        middle, mean = total(weights * down) / whole, total(weights * across) / whole
        away = down - middle[group]
        flatness = total(weights * away * away) / whole
        slant = total(weights * away * (across - mean[group])) / whole
        slant = slant / np.maximum(flatness, 1e-12)
        base = mean - slant * middle
        residual = (across - base[group] - slant[group] * down) / pixel
        weights = 1.0 / (1.0 + np.square(residual))
        spread = np.sqrt(total(residual * residual) / np.maximum(rows, 1.0))
    # A slanted stripe's middle is as uncertain as its run is wide, not as half a pixel.
    good = (rows >= _LEAST_ROWS) & (flatness > np.square(3.0 * pixel)) & (np.abs(slant) < _SLANTED)
    good &= spread <= _BENT_PX * np.hypot(1.0, slant)
    return Stripes(pixel, *(each[good] for each in (base, slant, middle, rows, flatness)))
