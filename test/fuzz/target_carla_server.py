"""The embedded server as a process: damaged requests over real sockets, both ports."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import msgpack
from carla_requests import request
from fuzzing import Case, Target, damaged, nasty

from seg_node_sim.server import ServerOptions, start_server_process
from seg_node_sim.server.plain_client import PlainClient

_GROWS_MB = 250.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return min(int(probe.getsockname()[1]), 65000)


def _resident_mb(pid: int) -> float:
    return int(Path(f'/proc/{pid}/statm').read_text().split()[1]) * 4096 / 1e6


def _bytes(rng: random.Random) -> bytes:
    parts = []
    for number in range(rng.choice((1, 1, 2, 5))):
        method, args = request(rng)
        message = [0, number, method, [[False], *args]]
        if rng.random() < 0.1:
            message[rng.randrange(4)] = nasty(rng)
        with contextlib.suppress(OverflowError, ValueError):
            parts.append(msgpack.packb(message, unicode_errors='surrogateescape'))
    data = b''.join(parts)
    return damaged(data, rng) if rng.random() < 0.6 else data


@contextlib.contextmanager
def opened() -> Iterator[Case]:
    port = _free_port()
    with start_server_process(ServerOptions(port=port, preload=False)) as server:
        with PlainClient(port, timeout_s=10.0) as steady:
            first = _resident_mb(server.pid)

            def case(rng: random.Random) -> None:
                to_streams = rng.random() < 0.1
                address = ('127.0.0.1', port + 1 if to_streams else port)
                data = struct.pack('<I', rng.choice((0, 1, 1 << 31))) if to_streams else b''
                with (
                    contextlib.suppress(ConnectionError, TimeoutError),
                    socket.create_connection(address, timeout=5.0) as sock,
                ):
                    sock.sendall(data + _bytes(rng))
                    if rng.random() < 0.5:
                        sock.settimeout(0.05)
                        sock.recv(1 << 16)
                # A client that behaves is served at once, and the world goes on.
                assert steady.call('version') == [[1, '0.9.16']]
                if rng.random() < 0.02:
                    frame = steady.call('tick_cue')[0][1]
                    assert steady.call('tick_cue')[0][1] > frame
                    steady.call('load_new_episode', 'Highway', True, 0)
                    grown = _resident_mb(server.pid) - first
                    assert grown < _GROWS_MB, f'the server has grown by {grown:.0f} MB'

            yield case
        assert server.process.poll() is None, 'the server has ended'
        said = server.text()
        assert 'Traceback' not in said, said[-2000:]


TARGET = Target('carla_server', opened, short=250)
