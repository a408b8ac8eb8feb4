"""Images of one tick, put together by frame id."""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass, field
from typing import Any

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
class Joiner:
    """A blocking queue for each sensor; `join` gives the data of exactly one frame.

    Nothing is ever dropped or replaced by a neighbour: a frame that lacks an image raises.
    """

    counts: JoinCounts = field(default_factory=JoinCounts)
    _queues: dict[str, queue.SimpleQueue[Any]] = field(default_factory=dict)

    def add(self, name: str) -> Any:
        """The callback for a new sensor's `listen`."""
        box: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._queues[name] = box
        return box.put

    def join(self, frame: int, timeout_s: float) -> dict[str, Any]:
        """Data of all sensors for `frame`.

        Raises `ServerLost` when a sensor has nothing for it within `timeout_s` seconds, or has
        gone past it.
        """
        found, absent = self._collect(frame, time.monotonic() + timeout_s)
        if absent:
            self.counts.missing += len(absent)
            raise ServerLost(
                f'frame {frame}: no image within {timeout_s:g} s from {", ".join(absent)}'
            )
        self.counts.joined += 1
        return found

    def try_join(self, frame: int, timeout_s: float) -> bool:
        """Whether all sensors deliver `frame`: to find out that all are listening."""
        _, absent = self._collect(frame, time.monotonic() + timeout_s)
        return not absent

    def _collect(self, frame: int, deadline: float) -> tuple[dict[str, Any], list[str]]:
        found: dict[str, Any] = {}
        absent = []
        for name, box in self._queues.items():
            data = self._next(box, frame, deadline)
            if data is None:
                absent.append(name)
            else:
                found[name] = data
        return found, absent

    def _next(self, box: queue.SimpleQueue[Any], frame: int, deadline: float) -> Any:
        while True:
            try:
                data = box.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if data.frame == frame:
                return data
            if data.frame > frame:
                return None
            self.counts.early += 1
