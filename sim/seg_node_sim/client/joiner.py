"""Images of one tick, put together by frame id."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from seg_node.joining import StampBuffer
from seg_node_sim.client.errors import ServerLost


@dataclass
class JoinCounts:
    """What the joiner has seen: `joined` whole ticks, `early` images of ticks nobody waited for
    (before the drive began), `missing` images that never came.
    """

    joined: int = 0
    early: int = 0
    missing: int = 0


@dataclass
class TickJoiner:
    """Keeps each sensor's data by frame; `join` waits for those of exactly one frame.

    Nothing is ever replaced by a neighbour: a frame that lacks an image raises.
    """

    counts: JoinCounts = field(default_factory=JoinCounts)
    _arrived: threading.Condition = field(default_factory=threading.Condition)
    _buffers: dict[str, StampBuffer[Any]] = field(default_factory=dict)

    def add(self, name: str) -> Callable[[Any], None]:
        """The callback for a new sensor's `listen`."""
        buffer: StampBuffer[Any] = StampBuffer()
        self._buffers[name] = buffer

        def take(data: Any) -> None:
            with self._arrived:
                buffer.add(data.frame, data)
                self._arrived.notify()

        return take

    def join(self, frame: int, timeout_s: float) -> dict[str, Any]:
        """Data of all sensors for `frame`.

        Raises `ServerLost` when a sensor has nothing for it within `timeout_s` seconds, or has
        gone past it.
        """
        whole = self._collect(frame, timeout_s)
        absent = [name for name in self._buffers if name not in whole]
        if absent:
            self.counts.missing += len(absent)
            raise ServerLost(
                f'frame {frame}: no image within {timeout_s:g} s from {", ".join(absent)}'
            )
        self.counts.joined += 1
        return whole

    def try_join(self, frame: int, timeout_s: float) -> bool:
        """Whether all sensors deliver `frame`: to find out that all are listening."""
        return len(self._collect(frame, timeout_s)) == len(self._buffers)

    def _collect(self, frame: int, timeout_s: float) -> dict[str, Any]:
        buffers = self._buffers

        def settled() -> bool:
            """Whether every sensor has the frame, or a later one."""
            return all(b.stamps and b.stamps[-1] >= frame for b in buffers.values())

        with self._arrived:
            self._arrived.wait_for(settled, timeout_s)
            self.counts.early += sum(len(b.drop_before(frame)) for b in buffers.values())
            return {name: b.take(frame) for name, b in buffers.items() if frame in b}
