"""The child process of `DriveProcess`: the only process that talks to the CARLA server.

The CARLA library may abort or crash its process when a server dies in the middle of a call, and at
exit; here that harms nobody. The child cleans up when its parent says so or is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from seg_node.errors import SegNodeError
from seg_node_sim.client.drive import Drive, open_drive
from seg_node_sim.client.errors import ServerError, ServerLost
from seg_node_sim.client.messages import (
    ChangeWeather,
    Connected,
    Failed,
    Free,
    Order,
    Ready,
    Said,
    Stop,
    Ticked,
)
from seg_node_sim.client.shared import SharedFrames
from seg_node_sim.client.weather import parse_weather


class _Stopped(Exception):
    """The parent wants the drive to end, or is gone."""


class Worker:
    """Runs one drive and feeds the parent."""

    def __init__(self, connection: Connection, descriptor: int) -> None:
        self._connection = connection
        self._order: Order = connection.recv()
        self._frames = SharedFrames(self._order.request.rig, self._order.slots, descriptor)
        self._free = list(range(self._order.slots))
        self._weather: str | None = None

    def run(self) -> None:
        """Drive until told to stop."""
        order = self._order
        connected = partial(self._connection.send, Connected())
        with open_drive(order.request, order.retry_s, self._say, connected, self._hear) as drive:
            session = drive.session
            xodr = session.world.get_map().to_opendrive()
            self._connection.send(Ready(session.server_version, session.town, xodr))
            period = order.pace and 1.0 / order.request.fps / order.pace
            due = time.monotonic()
            while True:
                self._hear(block=not self._free)
                if self._free:
                    self._step(drive)
                    due = max(due + period, time.monotonic() - period)
                    self._wait_until(due)

    def _step(self, drive: Drive) -> None:
        wanted, self._weather = self._weather, None
        weather = parse_weather(wanted or 'keep', drive.request.seed)
        if weather is not None:
            drive.session.set_weather(weather)
        tick = drive.tick()
        slot = self._free.pop(0)
        for name, place in self._frames.images(slot).items():
            place[...] = tick.images[name]
        self._connection.send(
            Ticked(slot, tick.frame, tick.elapsed_s, tick.ego, tick.camera_poses)
        )

    def _wait_until(self, due: float) -> None:
        while (left := due - time.monotonic()) > 0.0:
            if self._connection.poll(left):
                self._hear()

    def _hear(self, block: bool = False) -> None:
        try:
            while block or self._connection.poll():
                message = self._connection.recv()
                block = False
                if isinstance(message, Stop):
                    raise _Stopped
                if isinstance(message, Free):
                    self._free.append(message.slot)
                if isinstance(message, ChangeWeather):
                    self._weather = message.text
        except (EOFError, OSError):
            raise _Stopped from None

    def _say(self, text: str) -> None:
        self._connection.send(Said(text))


def main() -> None:
    """Entry: `python -m seg_node_sim.client.worker CONNECTION_FD MEMORY_FD`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to pass on
    signal.signal(signal.SIGTERM, _stop_on_signal)
    connection: Any = Connection(int(sys.argv[1]))
    try:
        Worker(connection, int(sys.argv[2])).run()
    except (_Stopped, BrokenPipeError):
        pass
    except ServerLost as error:
        _tell(connection, Failed('lost', str(error)))
    except ServerError as error:
        _tell(connection, Failed('server', str(error)))
    except SegNodeError as error:
        _tell(connection, Failed('config', str(error)))
    # The CARLA library's threads may abort a process that ends in the ordinary way.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _stop_on_signal(*_: object) -> None:
    raise _Stopped


def _tell(connection: Any, message: Failed) -> None:
    with contextlib.suppress(OSError):  # the parent may be gone
        connection.send(message)


if __name__ == '__main__':
    main()
