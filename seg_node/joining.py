"""What belongs together, brought together by stamp.

message_filters is not used: offline verbs work without ROS, and it drops silently what has no
partner, where here every part offered is accounted for.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from seg_node.errors import ConfigError

T = TypeVar('T')


def nearest(stamps: Sequence[int], stamp: int, tolerance: int) -> int | None:
    """The one of the ascending `stamps` that is closest to `stamp`, the earlier of two; None when
    it is further away than `tolerance`.
    """
    at = bisect_left(stamps, stamp)
    near = [s for s in stamps[max(0, at - 1) : at + 1] if abs(s - stamp) <= tolerance]
    return min(near, key=lambda s: (abs(s - stamp), s), default=None)


class StampBuffer(Generic[T]):
    """Items that wait for their partners, one a stamp (ns)."""

    def __init__(self) -> None:
        self.stamps: list[int] = []
        self._items: dict[int, T] = {}  # in the order of their coming

    def __len__(self) -> int:
        return len(self.stamps)

    def __contains__(self, stamp: int) -> bool:
        return stamp in self._items

    def add(self, stamp: int, item: T) -> None:
        """Let an item wait; it takes the place of another of its stamp."""
        if stamp not in self._items:
            self.stamps.insert(bisect_left(self.stamps, stamp), stamp)
        self._items[stamp] = item

    def nearest(self, stamp: int, tolerance: int) -> int | None:
        """Stamp of the item that is closest; None when none is within `tolerance`."""
        return nearest(self.stamps, stamp, tolerance)

    def within(self, stamp: int, tolerance: int) -> list[int]:
        """Stamps that are at most `tolerance` away."""
        low = bisect_left(self.stamps, stamp - tolerance)
        return self.stamps[low : bisect_right(self.stamps, stamp + tolerance)]

    def take(self, stamp: int) -> T:
        """Take out the item of a stamp."""
        del self.stamps[bisect_left(self.stamps, stamp)]
        return self._items.pop(stamp)

    def drop_before(self, stamp: int) -> tuple[int, ...]:
        """Forget what is earlier than `stamp`; the stamps of that."""
        cut = bisect_left(self.stamps, stamp)
        dropped, self.stamps = self.stamps[:cut], self.stamps[cut:]
        for old in dropped:
            del self._items[old]
        return tuple(dropped)

    def drop_first(self) -> int:
        """Forget what came first; its stamp. Not the earliest stamp: time may have gone back."""
        first = next(iter(self._items))
        self.take(first)
        return first

    def clear(self) -> None:
        """Forget everything."""
        self.stamps.clear()
        self._items.clear()


@dataclass(frozen=True)
class SetCounts:
    """What became of the parts offered: `sets` complete ones, and `lost` parts by name."""

    offered: dict[str, int]
    sets: int
    lost: dict[str, int]
    pending: dict[str, int]


class StampSynchronizer:
    """Brings parts with one stamp together: a set is whole or absent. Thread-safe.

    `parts`: names, the first is the leader, whose stamp a set has. `tolerance_ns`: how far the
    other stamps may be from the leader's; 0 asks for equal stamps, as ROS's TimeSynchronizer.
    `keep`: items a part may hold while it waits. Every item offered is used in exactly one set,
    or lost, or pending: offered = sets + lost + pending, for every part.
    """

    def __init__(self, parts: Sequence[str], tolerance_ns: int = 0, keep: int = 10) -> None:
        if tolerance_ns < 0 or keep < 1:
            raise ConfigError(
                f'synchronisation: expected tolerance >= 0 and queue >= 1, got {tolerance_ns} '
                f'and {keep}'
            )
        self._lock = threading.Lock()
        self._leader = parts[0]
        self._slots: dict[str, StampBuffer[Any]] = {name: StampBuffer() for name in parts}
        self._tolerance = tolerance_ns
        self._keep = keep
        self._offered: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._sets = 0

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts of a set."""
        return tuple(self._slots)

    def require(self, part: str) -> None:
        """From now on a set needs `part` too; nothing changes where it is one already."""
        with self._lock:
            self._slots.setdefault(part, StampBuffer())

    def offer(self, part: str, stamp_ns: int, item: Any) -> dict[str, Any] | None:
        """Hand in one part; the whole set, by part name, when this completes one.

        Parts older than the set are given up: their stamps have passed.
        """
        with self._lock:
            slot = self._slots[part]
            self._offered[part] += 1
            if stamp_ns in slot:
                self._lost[part] += 1  # the same stamp twice: the first stays
                return None
            slot.add(stamp_ns, item)
            stamps = self._match(part, stamp_ns)
            if stamps is None:
                if len(slot) > self._keep:
                    slot.drop_first()
                    self._lost[part] += 1
                return None
            return self._take(stamps)

    def counts(self) -> SetCounts:
        """The account at one instant."""
        with self._lock:
            pending = {name: len(slot) for name, slot in self._slots.items()}
            return SetCounts(dict(self._offered), self._sets, dict(self._lost), pending)

    def missing(self) -> tuple[str, ...]:
        """Parts of which nothing has ever come."""
        with self._lock:
            return tuple(name for name in self._slots if not self._offered[name])

    def clear(self) -> None:
        """Give up everything that is pending."""
        with self._lock:
            for name, slot in self._slots.items():
                self._lost[name] += len(slot)
                slot.clear()

    def _match(self, part: str, stamp_ns: int) -> dict[str, int] | None:
        """The stamp of every part of the set that `part` of this stamp completes."""
        reach = 0 if part == self._leader else self._tolerance
        leaders = self._slots[self._leader].within(stamp_ns, reach)
        for leader in sorted(leaders, key=lambda stamp: abs(stamp - stamp_ns)):
            nearest_to_leader = {
                name: leader if name == self._leader else slot.nearest(leader, self._tolerance)
                for name, slot in self._slots.items()
            }
            whole = {name: stamp for name, stamp in nearest_to_leader.items() if stamp is not None}
            if len(whole) == len(nearest_to_leader):
                return whole
        return None

    def _take(self, stamps: Mapping[str, int]) -> dict[str, Any]:
        self._sets += 1
        horizon = stamps[self._leader] - self._tolerance
        matches = {}
        for name, stamp in stamps.items():
            slot = self._slots[name]
            matches[name] = slot.take(stamp)
            passed = stamp if name == self._leader else min(stamp, horizon)
            self._lost[name] += len(slot.drop_before(passed))
        return matches
