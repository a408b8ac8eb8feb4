"""An embedded server for the client tests, and free ports of their range."""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Callable, Iterator
from functools import partial

import pytest

pytest.importorskip('carla')

from seg_node_sim.client.drive import DriveRequest
from seg_node_sim.client.rig import CameraKind, Rig, SpawnPoint, camera_set
from seg_node_sim.client.session import Address
from seg_node_sim.server import ServerOptions, start_server_process

_OFFSET = random.Random(os.getpid()).randrange(0, 400) * 2


def _free(first: int, last: int) -> int:
    """A port of the range whose next one is free as well."""
    for port in itertools.chain(range(first + _OFFSET, last, 2), range(first, last, 2)):
        try:
            for number in (port, port + 1):
                with socket.socket() as probe:
                    probe.bind(('', number))
        except OSError:
            continue
        return port
    raise RuntimeError(f'no free port from {first} to {last}')


@pytest.fixture(scope='session')
def free_server_port() -> Callable[[], int]:
    return partial(_free, 22000, 22998)


@pytest.fixture(scope='session')
def embedded(free_server_port: Callable[[], int]) -> Iterator[Address]:
    """A server that lives for all tests."""
    options = ServerOptions(port=free_server_port(), town='Grid', exit_with_parent=True)
    with start_server_process(options):
        yield Address('127.0.0.1', options.port, 20.0)


@pytest.fixture(scope='session')
def request_for() -> Callable[..., DriveRequest]:
    return _request_for


def _request_for(
    address: Address,
    kinds: tuple[CameraKind, ...] = ('rgb', 'depth', 'semantic'),
    **changes: object,
) -> DriveRequest:
    """A small drive in Grid."""
    mount = SpawnPoint(x=1.5, z=1.8, pitch=8.0)
    values: dict[str, object] = {
        'host': address.host,
        'port': address.port,
        'timeout_s': address.timeout_s,
        'rig': Rig(cameras=camera_set(160, 96, 90.0, mount, kinds)),
        'town': 'Grid',
        'weather': 'ClearNoon',
        'seed': 4,
        'traffic_port': _free(28500, 29498),
        'settle': 5,
    }
    return DriveRequest.model_validate(values | changes)
