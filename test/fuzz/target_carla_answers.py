"""Our questions to a CARLA server, answered by one that sends damaged bytes."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator

import msgpack
from fuzzing import Case, Target, damaged, nasty, spoiled

from seg_node_sim.client.ask import town_of, towns_of
from seg_node_sim.client.errors import ServerError
from seg_node_sim.client.session import Address
from seg_node_sim.server.process import ask_version

_ANSWERS = (
    [[1, '0.9.16']],
    [[1, ['Carla/Maps/Grid', [[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]]]],
    [[1, ['/Game/Carla/Maps/Grid', 'Town01', 'Town01_Opt']]],
    [[0, ['no']]],
    [[True, ['no']]],
    [[False]],
)


def _answer(rng: random.Random) -> bytes:
    message = [1, 1, None, spoiled(rng.choice(_ANSWERS), rng, 0.3)]
    if rng.random() < 0.2:
        message[rng.randrange(4)] = nasty(rng)
    try:
        data = msgpack.packb(message, unicode_errors='surrogateescape')
    except (OverflowError, ValueError):
        data = b''
    return damaged(data, rng) if rng.random() < 0.5 else data


@contextlib.contextmanager
def opened() -> Iterator[Case]:
    with socket.create_server(('127.0.0.1', 0)) as listener:
        port = int(listener.getsockname()[1])
        answer = b''

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    with sock, contextlib.suppress(OSError):
                        sock.recv(4096)
                        sock.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()

        def case(rng: random.Random) -> None:
            nonlocal answer
            answer = _answer(rng)
            address = Address('127.0.0.1', port, 2.0)
            with contextlib.suppress(OSError):
                assert isinstance(ask_version('127.0.0.1', port), str)
            with contextlib.suppress(ServerError):
                assert isinstance(town_of(address), str)
            with contextlib.suppress(ServerError):
                assert all(isinstance(t, str) for t in towns_of(address))

        yield case
        # Closing does not wake a thread that accepts; a connection does.
        socket.create_connection(('127.0.0.1', port)).close()


TARGET = Target('carla_answers', opened, short=500)
