"""A hash table from int64 keys to row numbers whose every operation takes whole arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = -1


class HashIndex:
    """Open addressing with linear probing (Knuth, TAOCP 6.4); rows are handed out 0, 1, 2, ...

    Keys are >= 0. At most half of the slots are used, so that probe sequences stay short.
    """

    def __init__(self, capacity: int = 1 << 16) -> None:
        self._bits = max(4, int(capacity - 1).bit_length())
        self._keys: Keys = np.full(1 << self._bits, _EMPTY, np.int64)
        self._rows: Rows = np.zeros(1 << self._bits, np.int32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """Memory of the table in bytes."""
        return self._keys.nbytes + self._rows.nbytes

    def find(self, keys: Keys) -> Rows:
        """int32 (N,): row of each key, -1 where it is unknown."""
        rows: Rows = np.full(keys.size, -1, np.int32)
        slots, left = self._home(keys), np.arange(keys.size)
        while left.size:
            there = self._keys[slots]
            match = there == keys[left]
            rows[left[match]] = self._rows[slots[match]]
            go_on = ~match & (there != _EMPTY)
            left, slots = left[go_on], self._next(slots[go_on])
        return rows

    def insert(self, keys: Keys) -> tuple[Rows, npt.NDArray[np.bool_]]:
        """Rows int32 (N,) of distinct `keys`, and bool (N,) which of them are new."""
        if 2 * (self._count + keys.size) > self._keys.size:
            self._grow(self._count + keys.size)
        rows: Rows = np.empty(keys.size, np.int32)
        new = np.zeros(keys.size, np.bool_)
        slots, left = self._home(keys), np.arange(keys.size)
        while left.size:
            mine = keys[left]
            there = self._keys[slots]
            match = there == mine
            empty = there == _EMPTY
            # Of several keys that want one empty slot the last one written has it.
            self._keys[slots[empty]] = mine[empty]
            won = empty & (self._keys[slots] == mine)
            count = int(np.count_nonzero(won))
            self._rows[slots[won]] = np.arange(self._count, self._count + count, dtype=np.int32)
            self._count += count
            done = match | won
            rows[left[done]] = self._rows[slots[done]]
            new[left[won]] = True
            left, slots = left[~done], self._next(slots[~done])
        return rows, new

    def _home(self, keys: Keys) -> npt.NDArray[np.int64]:
        mixed = keys.astype(np.uint64) * _GOLDEN
        return (mixed >> np.uint64(64 - self._bits)).astype(np.int64)

    def _next(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return (slots + 1) & (self._keys.size - 1)

    def _grow(self, needed: int) -> None:
        used = self._keys != _EMPTY
        keys, rows = self._keys[used], self._rows[used]
        bigger = HashIndex(4 * needed)
        # Rows are handed out in the order of insertion: sort by the old rows to keep them.
        bigger.insert_in_order(keys[np.argsort(rows)])
        self._bits, self._keys, self._rows = bigger._bits, bigger._keys, bigger._rows

    def insert_in_order(self, keys: Keys) -> None:
        """Insert distinct new `keys` so that key i gets row len(self) + i."""
        first = self._count
        rows, new = self.insert(keys)
        if not new.all():
            raise ValueError('insert_in_order: expected new keys')
        new_rows = np.empty(keys.size, np.int32)
        new_rows[rows - first] = np.arange(first, first + keys.size, dtype=np.int32)
        used = self._keys != _EMPTY
        recent = used & (self._rows >= first)
        self._rows[recent] = new_rows[self._rows[recent] - first]
