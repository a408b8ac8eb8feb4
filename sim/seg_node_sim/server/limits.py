"""What a client may ask of the server: bounds on messages, connections, memory and time.

Whoever reaches the port may send anything.  A bound that is passed costs that connection, never
the world or the other clients.
"""

from __future__ import annotations

import logging
import resource
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

_KEPT_FILES = 64  # descriptors of the process itself: maps, libraries, logs


@dataclass(frozen=True)
class Limits:
    """Bounds of one server; the defaults are far above what CARLA's clients need.

    connections: at once, both ports together (a client needs one and one a listening sensor).
    message_bytes: of one request; an OpenDRIVE text is the largest thing a client sends.
    small_bytes: requests up to this size are neither counted nor held against the budget.
    objects: msgpack objects in one request; 40 MB of empty maps would take 3 GB.
    held_bytes: of all large requests, unfinished ones too, of all clients.
    waiting_bytes: requests of one connection that wait for the world; then it is not read.
    unsent_bytes: answers that one client has not read yet.
    all_unsent_bytes: answers that all clients have not read yet.
    finish_s: seconds in which a begun request, or the name of a stream, must be complete, and
        after which a client that reads none of its answers is closed.
    idle_s: seconds of silence after which a connection may have to make room for a new one;
        silent_s: the same for one that never said anything.
    """

    connections: int = 256
    message_bytes: int = 16 << 20
    small_bytes: int = 64 << 10
    objects: int = 250_000
    held_bytes: int = 64 << 20
    waiting_bytes: int = 256 << 10
    unsent_bytes: int = 8 << 20
    all_unsent_bytes: int = 128 << 20
    finish_s: float = 30.0
    idle_s: float = 60.0
    silent_s: float = 5.0

    def open_connections(self) -> int:
        """Connections that this process has descriptors for, at most `connections`."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return self.connections
        return max(8, min(self.connections, soft - _KEPT_FILES))


class Budget:
    """A number of bytes that holders share. Thread-safe."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: dict[Hashable, int] = {}
        self._total = 0
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        """Bytes that are held now."""
        return self._total

    def hold(self, holder: Hashable, size: int) -> bool:
        """Set what a holder has; False, and nothing changes, when more would exceed the budget."""
        with self._lock:
            more = size - self._held.get(holder, 0)
            if more > 0 and self._total + more > self._size:
                return False
            self._total += more
            if size:
                self._held[holder] = size
            else:
                self._held.pop(holder, None)
            return True


class Notices:
    """Warnings by cause, each at most once in `every_s`; says how many were left out."""

    def __init__(
        self,
        log: logging.Logger,
        every_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._every_s = every_s
        self._clock = clock
        self._last: dict[str, tuple[float, int]] = {}  # cause -> when, left out since
        self._lock = threading.Lock()

    def warn(self, cause: str, text: str, *, trace: bool = False) -> None:
        """Log `text` unless `cause` was logged lately; `trace`: with the present exception."""
        with self._lock:
            now = self._clock()
            last, silent = self._last.get(cause, (-self._every_s, 0))
            if now - last < self._every_s:
                self._last[cause] = (last, silent + 1)
                return
            self._last[cause] = (now, 0)
        more = f' ({silent} more of these since)' if silent else ''
        self._log.warning('%s%s', text, more, exc_info=trace)
