"""A mailbox between a subscription and its worker, and the account of every frame."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar('T')


class Mailbox(Generic[T]):
    """Holds the newest `capacity` items; putting one into a full box gives the oldest back.

    One or more producers, one or more consumers, which take the oldest first. A closed mailbox
    takes nothing more and gives None.
    """

    def __init__(self, capacity: int = 1, changed: threading.Condition | None = None) -> None:
        self._changed = changed or threading.Condition()
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

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


class Mailboxes(Generic[T]):
    """A mailbox for each of several senders, emptied by shared consumers.

    `take` serves the sender that has waited longest since it was served, so that a fast one cannot
    starve a slow one, nor a slow one a fast one. A sender's items are in one hand at a time, and
    so stay in order: the next is given out after `done`.
    """

    def __init__(self, capacities: Mapping[str, int]) -> None:
        self._changed = threading.Condition()
        self._boxes = {name: Mailbox[T](size, self._changed) for name, size in capacities.items()}
        self._served = dict.fromkeys(capacities, 0)
        self._turn = 0
        self._in_hand: set[str] = set()
        self._closed = False

    def put(self, sender: str, item: T) -> T | None:
        """Leave `item`; return the one it superseded (or `item` itself once closed)."""
        return self._boxes[sender].put(item)

    def take(self, timeout: float | None = None) -> tuple[str, T] | None:
        """Wait up to `timeout` seconds; sender and item, or None when none came or on closing."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._waiting(), timeout):
                return None
            waiting = self._waiting()
            if not waiting:
                return None
            sender = min(waiting, key=self._served.__getitem__)
            self._turn += 1
            self._served[sender] = self._turn
            self._in_hand.add(sender)
            item = self._boxes[sender].take(0.0)
            assert item is not None  # nobody takes from a box but here, under the lock
            return sender, item

    def done(self, sender: str) -> None:
        """What was taken of `sender` is out of hand."""
        with self._changed:
            self._in_hand.discard(sender)
            self._changed.notify()

    def close(self) -> tuple[tuple[str, T], ...]:
        """Wake every consumer; return the items that nobody took, with their senders."""
        with self._changed:
            self._closed = True
            return tuple((n, item) for n, box in self._boxes.items() for item in box.close())

    def _waiting(self) -> list[str]:
        return [n for n, box in self._boxes.items() if len(box) and n not in self._in_hand]


@dataclass(frozen=True)
class FrameCounts:
    """Every frame is in exactly one of the last five, or still in the mailbox or the worker."""

    received: int = 0
    published: int = 0
    superseded: int = 0
    stale: int = 0
    rejected: int = 0
    unread: int = 0

    @property
    def pending(self) -> int:
        """Frames received and not settled yet."""
        settled = self.published + self.superseded + self.stale + self.rejected + self.unread
        return self.received - settled


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

    def unread(self) -> None:
        """A frame came while nobody reads what would be made of it."""
        with self._lock:
            self._counts['unread'] += 1

    def asked_for(self) -> None:
        """Somebody came for the last unread frame: it is in hand again."""
        with self._lock:
            self._counts['unread'] -= 1

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
