"""Threads that hand items on: short queues that end, fail or stop with nobody left waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar('T')
_QUEUE = 3


class Lane(Generic[T]):
    """A short queue between two threads that ends, fails or stops without anybody left waiting."""

    def __init__(self) -> None:
        self._items: queue.Queue[T | BaseException | None] = queue.Queue(_QUEUE)
        self._stopped = threading.Event()

    def put(self, item: T | BaseException | None) -> bool:
        """Wait for room; False once stopped."""
        while not self._stopped.is_set():
            try:
                self._items.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def feed(self, items: Iterator[T]) -> None:
        """Put all `items`; an error among them is raised at the other end."""
        try:
            for item in items:
                if not self.put(item):
                    return
            self.put(None)
        except BaseException as error:
            self.put(error)

    def end(self) -> None:
        """Nothing more comes."""
        self.put(None)

    def stop(self) -> None:
        """Wake and release both ends."""
        self._stopped.set()

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                item = self._items.get(timeout=0.2)
            except queue.Empty:
                if self._stopped.is_set():
                    return
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item


class Checked(threading.Thread):
    """A thread whose error is raised again by `check`, and which calls `failed` at once."""

    def __init__(self, work: Callable[[], None], failed: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._failed = failed
        self._error: BaseException | None = None

    def run(self) -> None:
        """The work."""
        try:
            self._work()
        except BaseException as error:
            self._error = error
            self._failed()

    def check(self) -> None:
        """Raise what the work raised."""
        if self._error is not None:
            raise self._error


def in_turn(lanes: Sequence[Lane[T]]) -> Iterator[T]:
    """One item of each lane in turn, until the lane whose turn it is has ended."""
    sources = [iter(lane) for lane in lanes]
    while True:
        for source in sources:
            try:
                yield next(source)
            except StopIteration:
                return
