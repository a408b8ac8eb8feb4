"""The voxels of a lane map: evidence for and against, kept in arrays of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.errors import ConfigError, InputError
from seg_node.lane_map.hash_index import HashIndex
from seg_node.lane_map.store import ROW, Block, BlockStore

Float = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]

_HALF = 1 << 20
"""Voxel indices lie in -2^20 .. 2^20 - 1 an axis, 21 bits each: +-52 km at 5 cm."""
_PART = 1 << 18
"""Rows that are handed out at once: 12 MB."""


@dataclass(frozen=True)
class VoxelGrid:
    """Sizes of a voxel in metres; its centre is a multiple of them.

    Voxels are taller than wide: a marking is a surface, and pitch errors of a few centimetres
    must not stack copies of it, yet the decks of a car park stay apart.
    """

    size_m: float = 0.05
    height_m: float = 0.4
    tile_m: float = 4.0
    block_m: float = 64.0

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

    def squares(self, keys: npt.NDArray[np.int64], side_m: float) -> npt.NDArray[np.int64]:
        """int64 (N, 2): the square of `side_m` metres, x and y, that each voxel lies in."""
        return np.floor(self.centres(keys)[:, :2] / side_m).astype(np.int64)


class Voxels:
    """Rows of evidence behind a hash index, and tiles to find the rows near a place.

    A row holds how often its voxel was seen as a marking (`hits`) and as something else
    (`misses`), both weighted; the weighted mean of its points; and its class by majority vote.
    All arrays have `capacity` rows from the start: the memory bound. Pages are touched as needed.
    What does not fit goes to `store`, the blocks that are furthest away first, and comes back with
    `come_near`. Without a store, or where it fails (`problem`), the weakest rows are forgotten.
    """

    ROW_BYTES = 8 + 9 * 4 + 1
    MAX_EVIDENCE = 20.0
    """Hits and misses are scaled down beyond this, so that the map follows a repainted road."""

    def __init__(self, grid: VoxelGrid, capacity: int, store: BlockStore | None = None) -> None:
        if capacity < 1000:
            raise ConfigError(f'voxels: expected room for at least 1000, got {capacity}')
        self.grid = grid
        self.capacity = capacity
        self._store = store
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
        self._here: tuple[Double, float] = np.zeros(3), 0.0
        self.problem = ''
        self.forgotten = 0
        if self._store is not None:
            self._store.clear()

    def __len__(self) -> int:
        return len(self._index)

    @property
    def nbytes(self) -> int:
        """Memory that is in use, in bytes."""
        return self._index.nbytes + len(self) * (self.ROW_BYTES + 4)

    @property
    def stored(self) -> int:
        """Rows that are on disk."""
        return 0 if self._store is None else len(self._store)

    def parts(self, *, stored: bool = True) -> Iterator[npt.NDArray[np.void]]:
        """All rows, dtype `ROW`, some at a time; `stored=False`: those in memory."""
        for start in range(0, len(self), _PART):
            yield self._rows(np.arange(start, min(start + _PART, len(self))))
        if stored and self._store is not None:
            yield from self._store.parts()

    def come_near(self, centre: Double, radius_m: float) -> None:
        """Have all rows within `radius_m` of `centre` in memory."""
        self._here = centre, radius_m
        if self._store is None or not len(self._store):
            return
        size = self.grid.block_m
        low = np.floor((centre[:2] - radius_m) / size).astype(int)
        high = np.floor((centre[:2] + radius_m) / size).astype(int)
        for x in range(low[0], high[0] + 1):
            for y in range(low[1], high[1] + 1):
                if (x, y) in self._store:
                    self._bring(self._store, (x, y))

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
        return self._middles(self.keys[rows], self._offset[rows], self._weight[rows])

    def middles(self, rows: npt.NDArray[np.void]) -> Double:
        """The same of rows of dtype `ROW`."""
        return self._middles(rows['key'], rows['offset'], rows['weight'])

    def _middles(self, keys: npt.NDArray[np.int64], offset: Float, weight: Float) -> Double:
        mean = offset / np.maximum(weight, 1e-9)[:, None]
        metres: Double = self.grid.centres(keys) + mean
        return metres

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
        index = self.grid.squares(keys, self.grid.tile_m)
        tiles = _tile_keys(index[:, 0], index[:, 1])
        order = np.argsort(tiles, kind='stable')
        ordered = tiles[order]
        cuts = np.flatnonzero(np.diff(ordered)) + 1
        for part in np.split(order, cuts):
            self._tiles.setdefault(int(tiles[part[0]]), []).append(rows[part])

    def _make_room(self, count: int) -> None:
        """Have room for `count` rows: a tenth of the capacity besides, or three with a store."""
        target = max(0, int(self.capacity * 0.9) - count)
        if self._store is not None and not self.problem:
            self._put_away(self._store, min(target, int(self.capacity * 0.7)))
        if len(self) > target:
            self.forgotten += len(self) - target
            n = len(self)
            strength = self.hits[:n] - self.misses[:n]
            # Among equals the longest unseen goes first.
            order = np.lexsort((self.seen[:n], strength))
            self._keep(np.sort(order[n - target :]) if target else np.empty(0, np.int64))

    def _put_away(self, store: BlockStore, target: int) -> None:
        """Blocks go to disk until `target` rows are left, those that are near at no time."""
        n, (centre, radius) = len(self), self._here
        every = self.grid.squares(self.keys[:n], self.grid.block_m)
        _, first, inverse, counts = np.unique(
            _tile_keys(every[:, 0], every[:, 1]),
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        blocks = every[first]
        size = self.grid.block_m
        away = np.abs((blocks + 0.5) * size - centre[:2]).max(axis=1) - size / 2
        stay, left = np.ones(n, np.bool_), n
        for number in np.argsort(-away):
            if left <= target or away[number] <= radius:
                break
            block = int(blocks[number, 0]), int(blocks[number, 1])
            mine = np.flatnonzero(inverse == number)
            try:
                store.put(block, _joined(self._rows(mine), store.take(block)))
            except InputError as error:
                self.problem = str(error)
                break
            stay[mine] = False
            left -= int(counts[number])
        self._keep(np.flatnonzero(stay))

    def _bring(self, store: BlockStore, block: Block) -> None:
        try:
            rows = store.take(block)
        except InputError as error:
            self.problem = str(error)
            return
        rows = np.sort(rows, order='key')
        most = int(self.capacity * 0.9)
        if len(rows) > most:
            self.forgotten += len(rows) - most
            rows = rows[np.sort(np.argsort(rows['misses'] - rows['hits'], kind='stable')[:most])]
        if len(self) + len(rows) > self.capacity:
            self._make_room(len(rows))
        known = self._index.find(rows['key'])
        twice = known >= 0
        if twice.any():  # seen while it was away
            rows[twice] = _joined(self._rows(known[twice]), rows[twice])
        places, new = self._index.insert(rows['key'])
        for name, values in self._columns().items():
            values[places] = rows[name]
        self._file(places[new], rows['key'][new])

    def _rows(self, places: npt.NDArray[np.intp] | Rows) -> npt.NDArray[np.void]:
        rows = np.empty(len(places), ROW)
        for name, values in self._columns().items():
            rows[name] = values[places]
        return rows

    def _keep(self, stay: npt.NDArray[np.intp]) -> None:
        """Only the rows `stay` (ascending), in that order."""
        n = len(self)
        for values in self._columns().values():
            kept = values[:n][stay]
            values[:n] = 0
            values[: stay.size] = kept
        self._index = HashIndex(4 * max(stay.size, 1 << 14))
        self._index.insert_in_order(self.keys[: stay.size])
        self._tiles = {}
        if stay.size:
            self._file(np.arange(stay.size, dtype=np.int32), self.keys[: stay.size])

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        return {
            'key': self.keys, 'hits': self.hits, 'misses': self.misses, 'weight': self._weight,
            'offset': self._offset, 'class': self._class, 'votes': self._votes, 'seen': self.seen,
        }  # fmt: skip


def _joined(rows: npt.NDArray[np.void], others: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Two records of voxels as one: evidence adds up, the class with more votes stays."""
    if not len(others):
        return rows
    both = np.concatenate([rows, others])
    _, first, inverse = np.unique(both['key'], return_index=True, return_inverse=True)
    joined = both[first]
    rest = np.setdiff1d(np.arange(len(both)), first)
    into = inverse.reshape(-1)[rest]
    for name in ('hits', 'misses', 'weight', 'offset'):
        joined[name][into] += both[name][rest]
    more = both['votes'][rest] > joined['votes'][into]
    joined['class'][into[more]] = both['class'][rest][more]
    joined['votes'][into] = np.abs(joined['votes'][into] - both['votes'][rest])
    joined['seen'][into] = np.maximum(joined['seen'][into], both['seen'][rest])
    return joined


def _tile_keys(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return ((x + _HALF) << 21) | (y + _HALF)
