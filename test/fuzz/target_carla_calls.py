"""The server's calls in this process: every answer has its envelope, the world stays finite."""

from __future__ import annotations

import contextlib
import logging
import math
import random
import struct
from collections.abc import Iterator
from typing import Any

import msgpack
from carla_requests import request
from fuzzing import Case, Target

from seg_node_sim.server.actor_calls import ActorCalls
from seg_node_sim.server.batch import BatchRunner
from seg_node_sim.server.dispatch import Dispatcher
from seg_node_sim.server.episode_calls import (
    EpisodeCalls,
    Pacer,
    TickCalls,
    TrafficManagerRegister,
)
from seg_node_sim.server.streams import StreamHub
from seg_node_sim.server.versions import sensor_ids
from seg_node_sim.server.world import World

_MOST = 1e7  # of any number in a snapshot: metres, m/s, degrees


class _Listener:
    """A stream session that keeps the last message."""

    busy = False
    last = b''

    def send(self, buffers: list[Any]) -> None:
        self.last = b''.join(bytes(b) for b in buffers)


def _check_snapshot(message: bytes) -> None:
    for place in range(4 + 84, len(message), 119):
        numbers = struct.unpack_from('<15f', message, place + 5)
        assert all(math.isfinite(n) and abs(n) <= _MOST for n in numbers), numbers


@contextlib.contextmanager
def opened() -> Iterator[Case]:
    logging.disable(logging.WARNING)
    hub = StreamHub()
    world = World('Highway', hub, sensor_ids('0.9.16'), preload=False)
    managers = TrafficManagerRegister()
    episode = EpisodeCalls(world, hub, Pacer(30.0), '0.9.16', managers)
    actors = ActorCalls(world)
    groups = [episode, actors, TickCalls(episode, BatchRunner(actors).apply), managers]
    dispatcher, listener = Dispatcher(groups), _Listener()
    world.stream.add(listener)  # type: ignore[arg-type]

    def case(rng: random.Random) -> None:
        for _ in range(4):
            method, args = request(rng)
            if 'sensor.' in repr(args):
                continue  # spawning one builds the renderer, which is another target's business
            answer = dispatcher.result(method, args)
            assert isinstance(answer, list)
            if method != 'apply_batch':
                ((tag, *_),) = answer
                assert tag in (0, 1)
            msgpack.packb(answer, unicode_errors='surrogateescape')
        world.tick(0.05)
        _check_snapshot(listener.last)
        if len(world.actors) > 40:
            world.load('')

    try:
        yield case
    finally:
        logging.disable(logging.NOTSET)
        world.recorder.stop()
        world.close()


TARGET = Target('carla_calls', opened, short=600)
