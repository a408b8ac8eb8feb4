"""Messages that belong to one camera frame, put together by their stamps while a bag is read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seg_node.bags.channel import BagMessage
from seg_node.joining import StampBuffer

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


class FrameJoiner:
    """Joins `camera` with side topics (name to topic) by stamp within `tolerance_ns`.

    After the iteration, `tail` has the stamps of `counted` messages that came after the last
    frame.
    """

    def __init__(
        self, camera: str, sides: dict[str, str], tolerance_ns: int, counted: str = 'truth'
    ) -> None:
        self._camera = camera
        self._by_topic = {topic: name for name, topic in sides.items()}
        self._sides: dict[str, StampBuffer[BagMessage]] = {name: StampBuffer() for name in sides}
        self._evicted: list[int] = []
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
                self._add(self._by_topic[message.topic], message)
            while waiting and (
                self._complete(waiting[0])
                or message.log_ns - waiting[0].log_ns > LOOK_AHEAD_NS
                or len(waiting) > _MOST_WAITING
            ):
                yield self._join(waiting.popleft())
        while waiting:
            yield self._join(waiting.popleft())
        if self._counted in self._sides:
            self.tail = (*self._evicted, *self._sides[self._counted].stamps)

    def _add(self, name: str, message: BagMessage) -> None:
        side = self._sides[name]
        side.add(message.stamp_ns, message)
        if len(side) > _MOST_HELD:
            first = side.drop_first()
            if name == self._counted:
                self._evicted.append(first)

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
            partner = side.nearest(stamp, self._tolerance)
            if partner is not None:
                partners[name] = side.take(partner)
            dropped = side.drop_before(stamp - self._tolerance)
            if name == self._counted:
                lost = (*self._evicted, *dropped)
                self._evicted.clear()
        return Joined(camera, partners, lost)
