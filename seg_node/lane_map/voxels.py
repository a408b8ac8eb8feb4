"""The voxels of a lane map: evidence for and against, kept in arrays of bounded size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seg_node.errors import ConfigError
from seg_node.lane_map.hash_index import HashIndex

Float = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]

_HALF = 1 << 20
"""Voxel indices lie in -2^20 .. 2^20 - 1 an axis, 21 bits each: +-52 km at 5 cm."""


@dataclass(frozen=True)
class VoxelGrid:
    """Sizes of a voxel in metres; its centre is a multiple of them.

    Voxels are taller than wide: a marking is a surface, and pitch errors of a few centimetres
    must not stack copies of it, yet the decks of a car park stay apart.
    """

    size_m: float = 0.05
    height_m: float = 0.4
    tile_m: float = 4.0

    def __post_init__(self) -> None:
        if not (0.005 <= self.size_m <= 2.0 and self.size_m <= self.height_m <= 20.0):
            raise ConfigError(
                f'voxel size: expected 0.005 to 2 m and a height of at least that, got '
                f'{self.size_m:g} and {self.height_m:g}'
            )

    def keys(self, points: Double) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """int64 (M,) keys of `points` (N, 3), and bool (N,) which N lie within the grid."""
        scaled = points * np.array([1 / self.size_m, 1 / self.size_m, 1 / self.height_m])
        index = np.rint(scaled)
        inside = (np.abs(index) < _HALF).all(axis=1)
        cells = index[inside].astype(np.int64) + _HALF
        return (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2], inside

    def centres(self, keys: npt.NDArray[np.int64]) -> Double:
        """float64 (N, 3): centres of the voxels of `keys`, metres."""
        low = (1 << 21) - 1
        cells = np.stack([keys >> 42, (keys >> 21) & low, keys & low], axis=1) - _HALF
        metres: Double = cells * np.array([self.size_m, self.size_m, self.height_m])
        return metres


class Voxels:
    """Rows of evidence behind a hash index, and tiles to find the rows near a place.

    A row holds how often its voxel was seen as a marking (`hits`) and as something else
    (`misses`), both weighted; the weighted mean of its points; and its class by majority vote.
    All arrays have `capacity` rows from the start: the memory bound. Pages are touched as needed.
    """

    ROW_BYTES = 8 + 9 * 4 + 1
    MAX_EVIDENCE = 20.0
    """Hits and misses are scaled down beyond this, so that the map follows a repainted road."""

    def __init__(self, grid: VoxelGrid, capacity: int) -> None:
        if capacity < 1000:
            raise ConfigError(f'voxels: expected room for at least 1000, got {capacity}')
        self.grid = grid
        self.capacity = capacity
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        n = self.capacity
        self._index = HashIndex()
        self.keys = np.zeros(n, np.int64)
        self.hits, self.misses = np.zeros(n, np.float32), np.zeros(n, np.float32)
        self._weight = np.zeros(n, np.float32)
        self._offset = np.zeros((n, 3), np.float32)
        self._class, self._votes = np.zeros(n, np.uint8), np.zeros(n, np.float32)
        self.seen = np.zeros(n, np.int32)
        self._tiles: dict[int, list[Rows]] = {}

    def __len__(self) -> int:
        return len(self._index)

    @property
    def nbytes(self) -> int:
        """Memory that is in use, in bytes."""
        return self._index.nbytes + len(self) * (self.ROW_BYTES + 4)

    def add(
        self, points: Double, weights: Float, classes: npt.NDArray[np.uint8], tick: int
    ) -> Rows:
        """Work points (N, 3) of one frame into the places of their voxels; the rows touched.

        Evidence is not changed here. Points outside of the grid are left out.
        """
        keys, inside = self.grid.keys(points)
        points, weights, classes = points[inside], weights[inside], classes[inside]
        distinct, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        if len(self) + distinct.size > self.capacity:
            self._make_room(distinct.size)
        rows, new = self._index.insert(distinct)
        if new.any():
            self.keys[rows[new]] = distinct[new]
            self._file(rows[new], distinct[new])
        centres = self.grid.centres(distinct)
        offsets = points - centres[inverse]
        weight = np.bincount(inverse, weights).astype(np.float32)
        self._weight[rows] += weight
        for axis in range(3):
            self._offset[rows, axis] += np.bincount(inverse, weights * offsets[:, axis])
        self._vote(rows, classes[first], weight)
        self.seen[rows] = tick
        return rows

    def positions(self, rows: Rows) -> Double:
        """float64 (N, 3): weighted mean of each row's points, metres."""
        mean = self._offset[rows] / np.maximum(self._weight[rows], 1e-9)[:, None]
        metres: Double = self.grid.centres(self.keys[rows]) + mean
        return metres

    def classes(self, rows: Rows) -> npt.NDArray[np.uint8]:
        """uint8 (N,): class of each row."""
        return self._class[rows]

    def add_evidence(self, rows: Rows, hits: Float, misses: Float) -> None:
        """Add weighted evidence (N,) to distinct `rows`."""
        self.hits[rows] += hits
        self.misses[rows] += misses
        most = np.maximum(self.hits[rows], self.misses[rows])
        full = most > self.MAX_EVIDENCE
        if full.any():
            over, scale = rows[full], self.MAX_EVIDENCE / most[full]
            for values in (self.hits, self.misses):
                values[over] *= scale

    def near(self, centre: Double, forward: Double, radius_m: float) -> Rows:
        """int32 (N,): rows of the tiles within `radius_m` of `centre` that lie ahead of it."""
        tile = self.grid.tile_m
        reach = int(np.ceil(radius_m / tile)) + 1
        at = np.floor(centre[:2] / tile).astype(np.int64)
        span = np.arange(-reach, reach + 1)
        gx, gy = (g.ravel() for g in np.meshgrid(at[0] + span, at[1] + span))
        dx, dy = (gx + 0.5) * tile - centre[0], (gy + 0.5) * tile - centre[1]
        ahead = (np.hypot(dx, dy) < radius_m + tile) & (
            dx * forward[0] + dy * forward[1] > -tile * float(np.hypot(*forward[:2]))
        )
        rows = []
        for key in _tile_keys(gx[ahead], gy[ahead]).tolist():
            parts = self._tiles.get(key)
            if parts is None:
                continue
            if len(parts) > 1:
                parts[:] = [np.concatenate(parts)]
            rows.append(parts[0])
        return np.concatenate(rows) if rows else np.empty(0, np.int32)

    def _vote(self, rows: Rows, classes: npt.NDArray[np.uint8], weights: Float) -> None:
        """Majority vote in constant memory (Boyer and Moore, 1981)."""
        votes = self._votes[rows] + np.where(self._class[rows] == classes, weights, -weights)
        turned = votes < 0
        self._class[rows] = np.where(turned, classes, self._class[rows])
        self._votes[rows] = np.abs(votes)

    def _file(self, rows: Rows, keys: npt.NDArray[np.int64]) -> None:
        centres = self.grid.centres(keys)[:, :2]
        index = np.floor(centres / self.grid.tile_m).astype(np.int64)
        tiles = _tile_keys(index[:, 0], index[:, 1])
        order = np.argsort(tiles, kind='stable')
        ordered = tiles[order]
        cuts = np.flatnonzero(np.diff(ordered)) + 1
        for part in np.split(order, cuts):
            self._tiles.setdefault(int(tiles[part[0]]), []).append(rows[part])

    def _make_room(self, count: int) -> None:
        """Drop the weakest voxels: a tenth of the capacity, and what is wanted besides."""
        n = len(self)
        target = max(0, int(self.capacity * 0.9) - count)
        strength = self.hits[:n] - self.misses[:n]
        # Among equals the longest unseen goes first.
        order = np.lexsort((self.seen[:n], strength))
        stay = np.sort(order[n - target :]) if target else np.empty(0, np.int64)
        for values in self._columns():
            kept = values[:n][stay]
            values[:] = 0
            values[: stay.size] = kept
        self._index = HashIndex(4 * max(stay.size, 1 << 14))
        self._index.insert_in_order(self.keys[: stay.size])
        self._tiles = {}
        if stay.size:
            self._file(np.arange(stay.size, dtype=np.int32), self.keys[: stay.size])

    def _columns(self) -> tuple[npt.NDArray[np.generic], ...]:
        return (
            self.keys, self.hits, self.misses, self._weight, self._offset,
            self._class, self._votes, self.seen,
        )  # fmt: skip


def _tile_keys(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return ((x + _HALF) << 21) | (y + _HALF)
