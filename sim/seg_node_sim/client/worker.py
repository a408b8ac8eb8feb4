"""The child process of `DriveProcess`: the only process that talks to the CARLA server.

The CARLA library may abort, crash or hang its process; here that harms nobody. The child cleans up
when its parent says so or is gone, and never lives on without it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from seg_node.errors import SegNodeError
from seg_node_sim.client import messages
from seg_node_sim.client.drive import Drive, Reports, open_drive
from seg_node_sim.client.errors import ServerError, ServerLost
from seg_node_sim.client.session import LOAD_TIMEOUT_S, Session
from seg_node_sim.client.shared import SharedFrames
from seg_node_sim.client.weather import parse_weather

_CLEANUP_S = 30
_PR_SET_PDEATHSIG = 1


class _Stopped(Exception):
    """The parent wants the drive to end, or is gone."""


class Worker:
    """Runs one drive and feeds the parent."""

    def __init__(self, connection: Connection, descriptor: int) -> None:
        self._connection = connection
        self._order: messages.DriveOrder = connection.recv()
        self._frames = SharedFrames(self._order.request.rig, self._order.slots, descriptor)
        self._free = list(range(self._order.slots))
        self._weather: str | None = None
        # Longest time between two looks at the parent: the kernel ends a child that takes longer.
        self._longest_s = int(2 * LOAD_TIMEOUT_S + 10 * self._order.request.timeout_s)

    def run(self) -> None:
        """Drive until told to stop."""
        order = self._order
        signal.alarm(self._longest_s)
        reports = Reports(
            self._say,
            connected=self._connected,
            pulse=self._hear,
            hangs=self._hangs,
        )
        with open_drive(order.request, order.retry_s, reports) as drive:
            session = drive.session
            xodr = session.world.get_map().to_opendrive()
            ready = messages.Ready(session.server_version, session.town, xodr)
            self._connection.send(ready)
            period = order.pace and 1.0 / order.request.fps / order.pace
            due = time.monotonic()
            while True:
                self._hear(block=not self._free)
                if self._free:
                    self._step(drive)
                    due = max(due + period, time.monotonic() - period)
                    self._wait_until(due)

    def _step(self, drive: Drive) -> None:
        text, self._weather = self._weather, None
        weather = parse_weather(text or 'keep', drive.request.seed)
        if weather is not None:
            drive.session.set_weather(weather)
        tick = drive.tick()
        slot = self._free.pop(0)
        for name, place in self._frames.images(slot).items():
            place[...] = tick.images[name]
        self._connection.send(
            messages.Ticked(slot, tick.frame, tick.elapsed_s, tick.ego, tick.camera_poses)
        )

    def _wait_until(self, due: float) -> None:
        while (left := due - time.monotonic()) > 0.0:
            if self._connection.poll(left):
                self._hear()

    def _hear(self, block: bool = False) -> None:
        signal.alarm(0)  # a parent may take its time
        try:
            while block or self._connection.poll():
                message = self._connection.recv()
                block = False
                if isinstance(message, messages.Stop):
                    _stop()
                if isinstance(message, messages.Free):
                    self._free.append(message.slot)
                if isinstance(message, messages.ChangeWeather):
                    self._weather = message.text
        except (EOFError, OSError):
            _stop()
        signal.alarm(self._longest_s)

    def _connected(self, session: Session) -> None:
        if self._order.asynchronous:
            session.leave_asynchronous()
        self._connection.send(messages.Connected(session.found_synchronous))

    def _say(self, text: str) -> None:
        self._connection.send(messages.Said(text))

    def _hangs(self) -> None:
        # In another thread: the main one is lost in the library.
        address = self._order.request.address
        text = f'server {address}: the CARLA client hangs in its Traffic Manager'
        _tell(self._connection, messages.Failed('hangs', text))
        os._exit(1)


def main() -> None:
    """Entry: `python -m seg_node_sim.client.worker CONNECTION_FD MEMORY_FD PARENT_PID`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to pass on
    signal.signal(signal.SIGTERM, _stop)
    _end_with(int(sys.argv[3]))
    connection: Any = Connection(int(sys.argv[1]))
    try:
        Worker(connection, int(sys.argv[2])).run()
    except (_Stopped, BrokenPipeError):
        pass
    except ServerLost as error:
        _tell(connection, messages.Failed('lost', str(error)))
    except ServerError as error:
        _tell(connection, messages.Failed('server', str(error)))
    except SegNodeError as error:
        _tell(connection, messages.Failed('config', str(error)))
    # The CARLA library's threads may abort a process that ends in the ordinary way.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _end_with(parent: int) -> None:
    """Stop as soon as the process `parent` is gone, also in the middle of spawning."""

    def on_parent_death(*_: object) -> None:
        # The kernel also sends it when only the thread that started this process has ended.
        if os.getppid() != parent:
            _stop()

    signal.signal(signal.SIGHUP, on_parent_death)
    with contextlib.suppress(OSError, AttributeError):  # Linux only; see prctl(2)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
    if os.getppid() != parent:  # it went before it could be asked for
        os._exit(0)


def _stop(*_: object) -> NoReturn:
    # Once: a second one must not cut the cleaning up short.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.alarm(_CLEANUP_S)
    raise _Stopped


def _tell(connection: Any, message: messages.Failed) -> None:
    with contextlib.suppress(OSError):  # the parent may be gone
        connection.send(message)


if __name__ == '__main__':
    main()
