"""Where there is room beside the roads: a coarse map of what is taken, walks along edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from seg_node_sim.maps.curves import evaluate, lane_edges
from seg_node_sim.maps.markings import Strip
from seg_node_sim.maps.opendrive import OpenDrive, Road
from seg_node_sim.render.ground import junction_fans

CELL = 0.5  # metres


@dataclass(frozen=True)
class Spot:
    """A place at a road's edge. yaw: radians along the road; out: unit vector away from it."""

    x: float
    y: float
    yaw: float
    out: tuple[float, float]

    def away(self, metres: float) -> tuple[float, float]:
        """A point `metres` further from the road."""
        return self.x + metres * self.out[0], self.y + metres * self.out[1]


class Room:
    """A raster of the town: which ground is road, and which is taken by something else."""

    def __init__(self, opendrive: OpenDrive, strips: list[Strip], margin: float) -> None:
        points = np.vstack([strip.outline() for strip in strips])
        self.low = points.min(axis=0) - margin
        self.high = points.max(axis=0) + margin
        cols, rows = np.ceil((self.high - self.low) / CELL).astype(int).tolist()
        self.road = np.zeros((rows, cols), np.uint8)
        for strip in strips:
            self._fill(self.road, strip.outline())
        for fan in junction_fans(opendrive, strips):
            self._fill(self.road, fan)
        self.taken = self.road.copy()
        self.distance = cv2.distanceTransform(1 - self.road, cv2.DIST_L2, 5) * CELL

    def _fill(self, canvas: np.ndarray, points: np.ndarray) -> None:
        pixels = np.round((points - self.low) / CELL - 0.5).astype(np.int32)
        cv2.fillPoly(canvas, [pixels], 1)

    def from_road(self, x: float, y: float) -> float:
        """Metres to the nearest road (sidewalks included); 0 outside of the raster."""
        column, row = int((x - self.low[0]) / CELL), int((y - self.low[1]) / CELL)
        if 0 <= row < self.road.shape[0] and 0 <= column < self.road.shape[1]:
            return float(self.distance[row, column])
        return 0.0

    def claim(self, outline: np.ndarray, gap: float = 0.0) -> bool:
        """Takes a convex outline, float (N, 2), when it is free; whether it was."""
        low, high = outline.min(axis=0) - gap - CELL, outline.max(axis=0) + gap + CELL
        if (low < self.low).any() or (high > self.high).any():
            return False
        c0, r0 = ((low - self.low) / CELL).astype(int)
        c1, r1 = ((high - self.low) / CELL).astype(int) + 1
        window = np.zeros((r1 - r0, c1 - c0), np.uint8)
        corner = self.low + np.array([c0, r0]) * CELL
        pixels = np.round((outline - corner) / CELL - 0.5).astype(np.int32)
        cv2.fillConvexPoly(window, pixels, 1)
        if gap > 0.0:
            reach = int(gap / CELL) * 2 + 1
            window = cv2.dilate(window, np.ones((reach, reach), np.uint8))
        part = self.taken[r0:r1, c0:c1]
        if (part & window[: part.shape[0], : part.shape[1]]).any():
            return False
        part |= window[: part.shape[0], : part.shape[1]]
        return True


def rectangle(x: float, y: float, half: tuple[float, float], yaw: float) -> np.ndarray:
    """float64 (4, 2): corners of a turned rectangle."""
    c, s = np.cos(yaw), np.sin(yaw)
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float) * np.asarray(half)
    corners: np.ndarray = np.array([x, y]) + signs @ np.array([[c, s], [-s, c]])
    return corners


def edge_spots(
    opendrive: OpenDrive, every: float, kinds: set[str] | None = None, start: float = 0.5
) -> Iterator[Spot]:
    """Spots on both outer edges of all roads outside junctions, `every` metres.

    kinds: only lanes of these types count for where the edge is; None counts all.
    """
    for road in opendrive.roads.values():
        if road.junction >= 0:
            continue
        for side in (1, -1):
            yield from side_spots(road, every, side, kinds, start)


def side_spots(
    road: Road, every: float, side: int, kinds: set[str] | None, start: float = 0.5
) -> Iterator[Spot]:
    """Spots along one side of a road: +1 left, -1 right."""
    for section in road.sections:
        s = np.arange(section.s + start * every, section.end, every)
        if len(s) == 0:
            continue
        line = evaluate(road, s)
        edges = lane_edges(road, section, s)
        t = edges[0]
        for lane_id, edge in edges.items():
            counts = kinds is None or section.lanes[lane_id].kind in kinds
            if lane_id * side > 0 and counts:
                t = np.maximum(t, edge) if side > 0 else np.minimum(t, edge)
        for (x, y), heading in zip(line.offset(t), line.heading):
            out = (side * np.sin(heading), -side * np.cos(heading))
            yield Spot(float(x), float(y), float(heading), (float(out[0]), float(out[1])))


def facing(spot: Spot) -> float:
    """Yaw of a sign at this spot that looks at traffic on its side (traffic keeps right)."""
    # on the right-hand side (out is to the right of yaw) traffic comes along the road
    right = spot.out[0] * -np.sin(spot.yaw) + spot.out[1] * np.cos(spot.yaw) > 0.0
    return spot.yaw + (np.pi if right else 0.0)
