"""The processes of the system, each of which can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from seg_node.rig_file import AXES, camera_mounts
from seg_node.ros.session import node_process
from seg_node.ros_process import ros_arguments
from seg_node.share import share_dir
from seg_node.soak.held import ProcessUse

_ROLE = '/carla/ego_vehicle'
IMAGE, CAMERA_INFO = f'{_ROLE}/rgb_front/image', f'{_ROLE}/rgb_front/camera_info'
MASK = '/seg_node/mask'
Opened = Callable[[], AbstractContextManager[Any]]


class SystemPart:
    """A process that `opened` starts: a context of what has a `pid` and ends with it."""

    def __init__(self, name: str, opened: Opened) -> None:
        self.name = name
        self.started = self.killed = 0
        self._opened = opened
        self._stack = ExitStack()
        self._process: Any = None
        self._since = 0.0
        self._frozen = False

    @property
    def age_s(self) -> float:
        """Seconds since it was last started."""
        return time.monotonic() - self._since

    def start(self) -> None:
        """Start it. Raises `ConfigError` where it does not come up."""
        server = self._stack.enter_context(self._opened())
        self._process = getattr(server, 'process', server)
        self.started += 1
        self._since = time.monotonic()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash or the kernel would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.killed += 1
        self.stop()

    def stop(self) -> None:
        """End it as Ctrl-C does, where it still runs."""
        if self._frozen:
            self.freeze()
        self._stack.close()

    @property
    def ended(self) -> bool:
        """Whether it has ended, which nobody asked it to."""
        return bool(self._process.poll() is not None)

    def held(self, at_s: float, meant_mb: float = 0.0) -> ProcessUse | None:
        """What it holds beside `meant_mb` of memory; None for one that has ended."""
        with contextlib.suppress(OSError):
            return ProcessUse.by(self._process.pid, at_s, meant_mb)
        return None

    def cpu_s(self) -> float:
        """Processor time that it has taken since it was started, all threads, seconds."""
        text = Path(f'/proc/{self._process.pid}/stat').read_text(encoding='ascii')
        user, system = text.rpartition(')')[2].split()[11:13]  # utime, stime: proc(5)
        return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')

    def freeze(self) -> None:
        """Stop it where it is (SIGSTOP), or let it go on."""
        self._frozen = not self._frozen
        self._process.send_signal(signal.SIGSTOP if self._frozen else signal.SIGCONT)


def parts(folder: Path, rate: float, town: str) -> dict[str, SystemPart]:
    """Server, node, lane map, a slow reader and source, as they start; logs go into `folder`."""
    from seg_node_sim.server import ServerOptions, start_server_process

    port = _free_port()

    def server() -> AbstractContextManager[Any]:
        return start_server_process(ServerOptions(port=port, town=town, exit_with_parent=True))

    source = ros_arguments({'port': port, 'traffic': 2, 'seed': 1, 'fps': rate})
    node = ros_arguments({'lane_points.source': 'depth'})
    for name, topic in (('', 'rgb_front'), ('depth/', 'depth_front')):
        node += ['-r', f'{name}image:={_ROLE}/{topic}/image']
        node += ['-r', f'{name}camera_info:={_ROLE}/{topic}/camera_info']
    mount = camera_mounts(share_dir() / 'config' / 'rig.json')['rgb_front']
    units = {'x': 'x_m', 'y': 'y_m', 'z': 'z_m'}
    place = {f'camera_{units.get(axis, axis + "_deg")}': mount[axis] for axis in AXES}
    lane_map = ros_arguments({'camera_mount': 'parameters', **place})
    lane_map += ['-r', f'odom:={_ROLE}/odometry']
    for name in ('mask', 'camera_info', 'lane_points'):
        lane_map += ['-r', f'{name}:=/seg_node/{name}']

    def process(name: str, module: str, arguments: list[str]) -> SystemPart:
        log = folder / f'{name}.log'
        return SystemPart(name, lambda: node_process(module, arguments, log))

    parts = (
        SystemPart('server', server),
        process('node', 'seg_node.ros.node', node),
        process('lane_map', 'seg_node.ros.lane_map_node', lane_map),
        process('reader', 'seg_node.ros.slow_reader', ['--ros-args', '-r', f'mask:={MASK}']),
        process('source', 'seg_node_sim.ros_source', source),
    )
    return {part.name: part for part in parts}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return min(int(probe.getsockname()[1]), 65000)
