"""Where the demo's frames come from: the embedded world, a real CARLA, or recorded pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seg_node.class_map import ClassMap, load_class_map
from seg_node.ros.recorder import RecordedTopics
from seg_node.ros.session import ensure_running, node_process
from seg_node.ros_process import ros_arguments
from seg_node.sources import open_source

_ROLE = '/carla/ego_vehicle'


MASK = '/seg_node/mask'


@dataclass(frozen=True)
class CarlaRequest:
    """A drive in CARLA: `host` None starts the embedded server."""

    host: str | None
    port: int
    town: str
    weather: str
    traffic: int
    seed: int
    rate: float


@dataclass(frozen=True)
class Feed:
    """A running source: its topics, the map of its truth, and a check that it still runs."""

    topics: RecordedTopics
    truth: ClassMap | None
    simulated_time: bool
    check: Callable[[], None]


@contextlib.contextmanager
def recorded(path: Path, rate: float, folder: Path) -> Iterator[Feed]:
    """Publish pictures as a camera, in a process of its own."""
    open_source(path)  # says what is wrong with it here rather than in the log
    topics = RecordedTopics('/camera/image', MASK, '/camera/camera_info')
    arguments = ros_arguments({'input': str(path), 'rate': rate, 'loop': True, 'subscribers': 2})
    arguments += ['-r', '__ns:=/camera']
    log = folder / 'camera.log'
    with node_process('seg_node.ros.play_node', arguments, log) as process:
        yield Feed(topics, None, False, partial(ensure_running, process, log))


@contextlib.contextmanager
def carla(request: CarlaRequest, folder: Path) -> Iterator[Feed]:
    """Drive in CARLA: a server where none is given, and its ROS source, processes of their own."""
    with contextlib.ExitStack() as stack:
        host, port = request.host or '127.0.0.1', request.port
        if request.host is None:
            port = stack.enter_context(_embedded(request))
        arguments = ros_arguments(
            {
                'host': host,
                'port': port,
                'town': request.town,
                'weather': request.weather,
                'traffic': request.traffic,
                'seed': request.seed,
                'fps': request.rate,
            }
        )
        log = folder / 'carla_source.log'
        process = stack.enter_context(node_process('seg_node_sim.ros_source', arguments, log))
        topics = RecordedTopics(
            image=f'{_ROLE}/rgb_front/image',
            mask=MASK,
            camera_info=f'{_ROLE}/rgb_front/camera_info',
            truth=f'{_ROLE}/semantic_front/image',
            depth=f'{_ROLE}/depth_front/image',
            odometry=f'{_ROLE}/odometry',
        )
        check = partial(ensure_running, process, log)
        yield Feed(topics, load_class_map('carla_0_9_14'), True, check)


@contextlib.contextmanager
def _embedded(request: CarlaRequest) -> Iterator[int]:
    from seg_node_sim.server import ServerOptions, start_server_process

    options = ServerOptions(port=_free_port(), town=request.town, exit_with_parent=True)
    with start_server_process(options):
        yield options.port


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])
