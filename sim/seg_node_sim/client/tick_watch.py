"""Mends a tick that hangs inside the CARLA client.

In synchronous mode `world.tick()` sets a flag, wakes the Traffic Manager's thread and waits for
its step to end. The library (0.9.16, `TrafficManagerLocal::SynchronousTick` and `Run`) changes the
flag without holding the mutex of the condition variable: when the thread has just looked at the
flag and is about to wait, the wake-up is lost and both wait for ever. It happens about once in
some thousand quick ticks on a busy machine, with any server.

The Traffic Manager's own port takes `set_synchronous_mode`: switching the mode off wakes the
thread, which then does the step that it owes. The call must come over that port: in Python the
same method waits for a lock that the hanging tick holds.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgpack

_LOOK_S = 0.2
_HANGS_S = 0.8
"""A step of the Traffic Manager takes milliseconds once the world has moved."""
_TRIES = 4
_CALL_S = 2.0


class TickWatch:
    """Watches the ticks of one world for hanging, and wakes the Traffic Manager on `port`.

    `given_up` is called, in the watching thread, when that does not help.
    """

    def __init__(
        self,
        port: int,
        say: Callable[[str], None] = lambda _: None,
        given_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.mended = 0
        self._port = port
        self._say = say
        self._given_up = given_up
        self._now: _WatchedTick | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='tick watch', daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def over(self, world: Any) -> Iterator[None]:
        """Around one `world.tick()`."""
        self._now = _WatchedTick(world, int(world.get_snapshot().frame))
        try:
            yield
        finally:
            self._now = None

    def stop(self) -> None:
        """End the watching."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_S):
            step = self._now
            if step is None or not step.hangs():
                continue
            if step.tries == _TRIES:
                self._given_up()
                return
            step.tries += 1
            step.moved_at = None
            if step.tries == 1:
                self.mended += 1
                self._say('the Traffic Manager missed its wake-up: woken again')
            with contextlib.suppress(OSError):
                wake(self._port)


class _WatchedTick:
    """One tick that is under way."""

    def __init__(self, world: Any, before: int) -> None:
        self.tries = 0
        self.moved_at: float | None = None
        self._world = world
        self._before = before

    def hangs(self) -> bool:
        """Whether the server has long done its part: the frame after this tick is there."""
        if self.moved_at is None:
            if int(self._world.get_snapshot().frame) > self._before:
                self.moved_at = time.monotonic()
            return False
        return time.monotonic() - self.moved_at > _HANGS_S


def wake(port: int) -> None:
    """Leave synchronous mode and enter it again. Raises `OSError` when nobody answers."""
    with socket.create_connection(('127.0.0.1', port), _CALL_S) as sock:
        for number, mode in enumerate((False, True)):
            sock.sendall(msgpack.packb([0, number, 'set_synchronous_mode', [mode]]))
        unpacker = msgpack.Unpacker()
        answers = 0
        while answers < 2 and (data := sock.recv(4096)):
            unpacker.feed(data)
            answers += sum(1 for _ in unpacker)
