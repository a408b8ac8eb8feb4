"""Messages that belong to one camera frame, put together by their stamps while a bag is read."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from seg_node.replay.bag import BagMessage

LOOK_AHEAD_NS = 2 * 10**9
"""How much later (ns of log time) than its frame a label or depth image may be recorded."""
_MOST_WAITING = 90
_MOST_HELD = 180
"""Frames held back for a partner, and partners for a frame, at most: what bounds the memory."""


@dataclass(frozen=True)
class Joined:
    """A camera message and its partners by side name; `lost` are stamps without a frame."""

    camera: BagMessage
    sides: dict[str, BagMessage]
    lost: tuple[int, ...] = ()


@dataclass
class _Side:
    """Messages of one side topic that no frame has taken yet, by stamp."""

    stamps: list[int] = field(default_factory=list)
    held: dict[int, BagMessage] = field(default_factory=dict)
    evicted: list[int] = field(default_factory=list)

    def add(self, message: BagMessage) -> None:
        stamp = message.stamp_ns
        if stamp not in self.held:
            self.stamps.insert(bisect_left(self.stamps, stamp), stamp)
        self.held[stamp] = message
        if len(self.stamps) > _MOST_HELD:
            oldest = self.stamps.pop(0)
            del self.held[oldest]
            self.evicted.append(oldest)

    def nearest(self, stamp: int, tolerance: int) -> int | None:
        at = bisect_left(self.stamps, stamp)
        near = [s for s in self.stamps[max(0, at - 1) : at + 1] if abs(s - stamp) <= tolerance]
        return min(near, key=lambda s: (abs(s - stamp), s), default=None)

    def take(self, stamp: int) -> BagMessage:
        del self.stamps[bisect_left(self.stamps, stamp)]
        return self.held.pop(stamp)

    def drop_before(self, stamp: int) -> tuple[int, ...]:
        cut = bisect_left(self.stamps, stamp)
        lost, self.stamps = self.stamps[:cut], self.stamps[cut:]
        for old in lost:
            del self.held[old]
        evicted, self.evicted = self.evicted, []
        return (*evicted, *lost)


class Joiner:
    """Joins `camera` with side topics (name to topic) by stamp within `tolerance_ns`.

    After the iteration, `tail` has the stamps of `counted` messages that came after the last
    frame.
    """

    def __init__(
        self, camera: str, sides: dict[str, str], tolerance_ns: int, counted: str = 'truth'
    ) -> None:
        self._camera = camera
        self._by_topic = {topic: name for name, topic in sides.items()}
        self._sides = {name: _Side() for name in sides}
        self._tolerance = tolerance_ns
        self._counted = counted
        self.tail: tuple[int, ...] = ()

    def __call__(self, messages: Iterable[BagMessage]) -> Iterator[Joined]:
        """Camera messages in their order, each with what belongs to it."""
        waiting: deque[BagMessage] = deque()
        for message in messages:
            if message.topic == self._camera:
                waiting.append(message)
            if message.topic in self._by_topic:
                self._sides[self._by_topic[message.topic]].add(message)
            while waiting and (
                self._complete(waiting[0])
                or message.log_ns - waiting[0].log_ns > LOOK_AHEAD_NS
                or len(waiting) > _MOST_WAITING
            ):
                yield self._join(waiting.popleft())
        while waiting:
            yield self._join(waiting.popleft())
        if self._counted in self._sides:
            side = self._sides[self._counted]
            self.tail = (*side.evicted, *side.stamps)

    def _complete(self, camera: BagMessage) -> bool:
        stamp = camera.stamp_ns
        return all(
            side.nearest(stamp, self._tolerance) == stamp
            or bool(side.stamps and side.stamps[-1] > stamp + self._tolerance)
            for side in self._sides.values()
        )

    def _join(self, camera: BagMessage) -> Joined:
        stamp = camera.stamp_ns
        partners: dict[str, BagMessage] = {}
        lost: tuple[int, ...] = ()
        for name, side in self._sides.items():
            found = side.nearest(stamp, self._tolerance)
            if found is not None:
                partners[name] = side.take(found)
            dropped = side.drop_before(stamp - self._tolerance)
            if name == self._counted:
                lost = dropped
        return Joined(camera, partners, lost)
