"""The watch over ticks, on a port that answers as a Traffic Manager's does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import msgpack
import pytest

from seg_node_sim.client.tick_watch import TickWatch


class World:
    """A world that has moved on when told so."""

    def __init__(self) -> None:
        self.frame = 7

    def get_snapshot(self) -> SimpleNamespace:
        return SimpleNamespace(frame=self.frame)


class Manager:
    """Takes calls on a TCP port; a tick that waits for it goes on when it is woken."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool]] = []
        self.woken = threading.Event()
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            unpacker = msgpack.Unpacker()
            while data := sock.recv(4096):
                unpacker.feed(data)
                for _, number, method, (mode,) in unpacker:
                    self.calls.append((method, mode))
                    sock.sendall(msgpack.packb([1, number, None, None]))
                    if not mode:
                        self.woken.set()
            sock.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def manager() -> Iterator[Manager]:
    made = Manager()
    yield made
    made.close()


def test_a_tick_that_hangs_after_its_frame_has_come_is_woken(manager: Manager) -> None:
    said: list[str] = []
    world = World()
    watch = TickWatch(manager.port, said.append)
    with watch.over(world):
        world.frame += 1
        assert manager.woken.wait(20.0)
    watch.stop()
    assert manager.calls[:2] == [
        ('set_synchronous_mode', False),
        ('set_synchronous_mode', True),
    ]
    assert watch.mended == 1 and len(said) == 1


def test_a_tick_that_waits_for_the_server_is_left_alone(manager: Manager) -> None:
    world = World()
    watch = TickWatch(manager.port)
    with watch.over(world):
        time.sleep(1.5)
    with watch.over(world):
        world.frame += 1
    time.sleep(1.2)
    watch.stop()
    assert manager.calls == []


def test_it_gives_up_when_waking_does_not_help() -> None:
    with socket.socket() as nobody:  # bound, but not listening
        nobody.bind(('127.0.0.1', 0))
        gone = threading.Event()
        world = World()
        watch = TickWatch(nobody.getsockname()[1], given_up=gone.set)
        with watch.over(world):
            world.frame += 1
            assert gone.wait(30.0)
        watch.stop()
