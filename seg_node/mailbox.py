"""A mailbox between a subscription and its worker, and the account of every frame."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar('T')


class Mailbox(Generic[T]):
    """Holds the newest `capacity` items; putting one into a full box gives the oldest back.

    One or more producers, one or more consumers, which take the oldest first. A closed mailbox
    takes nothing more and gives None.
    """

    def __init__(self, capacity: int = 1) -> None:
        self._changed = threading.Condition()
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._closed = False

    def put(self, item: T) -> T | None:
        """Leave `item`; return the one it superseded (or `item` itself once closed)."""
        with self._changed:
            if self._closed:
                return item
            full = len(self._items) == self._capacity
            superseded = self._items.popleft() if full else None
            self._items.append(item)
            self._changed.notify()
            return superseded

    def take(self, timeout: float | None = None) -> T | None:
        """Wait up to `timeout` seconds for an item; None when none came or the box is closed."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._closed, timeout):
                return None
            return self._items.popleft() if self._items else None

    def close(self) -> tuple[T, ...]:
        """Wake every consumer; return the items that nobody took."""
        with self._changed:
            self._closed = True
            left = tuple(self._items)
            self._items.clear()
            self._changed.notify_all()
            return left


@dataclass(frozen=True)
class FrameCounts:
    """Every frame is in exactly one of the last four, or still in the mailbox or the worker."""

    received: int = 0
    published: int = 0
    superseded: int = 0
    stale: int = 0
    rejected: int = 0

    @property
    def pending(self) -> int:
        """Frames received and not settled yet."""
        return self.received - self.published - self.superseded - self.stale - self.rejected


class FrameAccount:
    """Thread-safe frame counters; rejected frames are counted by cause as well."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()

    def received(self) -> None:
        """A frame came in."""
        with self._lock:
            self._counts['received'] += 1

    def published(self) -> None:
        """A frame's mask went out."""
        with self._lock:
            self._counts['published'] += 1

    def superseded(self) -> None:
        """A newer frame came before the worker took this one."""
        with self._lock:
            self._counts['superseded'] += 1

    def stale(self) -> None:
        """A frame was older than allowed when the worker took it."""
        with self._lock:
            self._counts['stale'] += 1

    def rejected(self, cause: str) -> None:
        """A frame could not be used, for `cause`."""
        with self._lock:
            self._counts['rejected'] += 1
            self._causes[cause] += 1

    def counts(self) -> FrameCounts:
        """The counters at one instant."""
        with self._lock:
            return FrameCounts(**self._counts)

    def causes(self) -> dict[str, int]:
        """Rejected frames by cause."""
        with self._lock:
            return dict(self._causes)
