"""Does it last: servers killed in mid-drive, clients started and killed again and again.

    python -m seg_node_sim.endurance --kills 50 --launches 40 --json out/endurance.json

`kills`: the source node drives; its server is killed with SIGKILL and another started on the same
port. Counted: seconds from the new server's answer to new frames, and what the node's process
holds afterwards. `launches`: drives are started on one server; every second client is killed with
SIGKILL. Counted: seconds to the first frame, and what the server's process holds afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from seg_node.children import child_environment
from seg_node.errors import SegNodeError
from seg_node.files import write_json
from seg_node.progress import track
from seg_node_sim.client.ask import ask
from seg_node_sim.client.drive import DriveRequest
from seg_node_sim.client.errors import ServerLost
from seg_node_sim.client.remote import DriveProcess
from seg_node_sim.client.rig import Rig, SpawnPoint, camera_set
from seg_node_sim.client.session import Address
from seg_node_sim.client.traffic import free_port
from seg_node_sim.server import ServerOptions, start_server_process

_SETTLED = 5
"""Cycles after which a process holds what it needs: what comes then would be a leak."""
_DRIVE_S = 1.0
_LIMIT_S = 60.0
_SHARED_MEMORY = Path('/dev/shm')


@dataclass(frozen=True)
class NodeUse:
    """What a process and its children hold."""

    files: int
    threads: int
    processes: int
    memory_mb: float
    shared_memory_files: int

    @classmethod
    def by(cls, pid: int) -> NodeUse:
        """As it is now."""
        process = psutil.Process(pid)
        shared = list(_SHARED_MEMORY.iterdir()) if _SHARED_MEMORY.is_dir() else []
        return cls(
            process.num_fds(),
            process.num_threads(),
            1 + len(process.children(recursive=True)),
            round(process.memory_info().rss / 2**20, 1),
            len(shared),
        )

    def grown(self, before: NodeUse) -> dict[str, float]:
        """What has been added since `before`."""
        return {
            name: round(value - getattr(before, name), 1) for name, value in vars(self).items()
        }


def kill_servers(cycles: int, town: str) -> dict[str, Any]:
    """See the module's text. Raises `SegNodeError` when the node does not come back."""
    port = free_port()
    options = ServerOptions(port=port, town=town, exit_with_parent=True)
    seconds: list[float] = []
    begun = last = None
    with _source_node(port) as (process, drives):
        for cycle in track(range(cycles + 1), 'servers killed', cycles + 1):
            with start_server_process(options) as server:
                answers = time.monotonic()
                drives(_LIMIT_S)
                if cycle:
                    seconds.append(time.monotonic() - answers)
                time.sleep(_DRIVE_S)
                last = NodeUse.by(process.pid)
                if cycle <= _SETTLED:
                    begun = last
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
        process.send_signal(signal.SIGINT)
        stopped = time.monotonic()
        status = process.wait(_LIMIT_S)
    return {
        'kills': cycles,
        'reconnect_s_p50': _at(seconds, 0.5),
        'reconnect_s_max': _at(seconds, 1.0),
        'node_grew_by': last.grown(begun) if last and begun else {},
        'node_stop_s': round(time.monotonic() - stopped, 2),
        'node_status': status,
    }


@contextlib.contextmanager
def _source_node(
    port: int,
) -> Iterator[tuple[subprocess.Popen[str], Callable[[float], None]]]:
    """The node in a process of its own, and a call that waits until it drives (again)."""
    command = [sys.executable, '-m', 'seg_node_sim.ros_source', '--ros-args']
    for name, value in (('port', port), ('traffic', 4), ('seed', 1)):
        command += ['-p', f'{name}:={value}']
    driving: queue.Queue[str] = queue.Queue()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=child_environment())

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            if 'driving in' in line:
                driving.put(line)
            elif 'error' in line.lower():
                print(line, end='', file=sys.stderr)

    def wait(limit_s: float) -> None:
        try:
            driving.get(timeout=limit_s)
        except queue.Empty:
            raise SegNodeError(f'the source node does not drive after {limit_s:g} s') from None

    threading.Thread(target=read, daemon=True).start()
    try:
        yield process, wait
    finally:
        process.kill()
        process.wait()


def start_clients(launches: int, town: str) -> dict[str, Any]:
    """See the module's text."""
    rig = Rig(cameras=camera_set(160, 96, 90.0, SpawnPoint(x=1.5, z=1.7), ('rgb', 'semantic')))
    options = ServerOptions(port=free_port(), town=town, exit_with_parent=True)
    said: list[str] = []
    seconds: list[float] = []
    begun = last = None
    with start_server_process(options) as server:
        request = DriveRequest(port=options.port, rig=rig, traffic=10, timeout_s=20.0)
        for number in track(range(launches), 'clients started', launches):
            started = time.monotonic()
            # A client that is killed is lost in mid-drive; that is what is wanted.
            with contextlib.suppress(ServerLost), DriveProcess(request, say=said.append) as drive:
                for count, _ in enumerate(drive):
                    if count == 0:
                        seconds.append(time.monotonic() - started)
                    if count == 5:
                        if number % 2 == 0:
                            break
                        os.kill(drive.pid, signal.SIGKILL)
            last = NodeUse.by(server.pid)
            if number <= _SETTLED:
                begun = last
        synchronous = ask(Address(port=options.port), 'get_episode_settings')[0]
    return {
        'launches': launches,
        'driving': len(seconds),
        'first_frame_s_p50': _at(seconds, 0.5),
        'first_frame_s_max': _at(seconds, 1.0),
        'wake_ups_mended': sum('wake-up' in line for line in said),
        'clients_started_again': sum('starting another' in line for line in said),
        'left_synchronous': bool(synchronous) and launches % 2 == 1,
        'server_grew_by': last.grown(begun) if last and begun else {},
    }


def _at(values: list[float], share: float) -> float | None:
    ordered = sorted(values)
    return round(ordered[int((len(ordered) - 1) * share)], 2) if ordered else None


def main(arguments: list[str] | None = None) -> int:
    """Entry."""
    parser = argparse.ArgumentParser(
        prog='seg_node_sim.endurance',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--kills', type=int, default=50, help='servers killed (%(default)s)')
    parser.add_argument('--launches', type=int, default=40, help='clients started (%(default)s)')
    parser.add_argument('--town', default='Grid', help='(%(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures')
    options = parser.parse_args(arguments)
    figures = {}
    if options.launches:
        figures['clients'] = start_clients(options.launches, options.town)
        print(figures['clients'], flush=True)
    if options.kills:
        figures['servers'] = kill_servers(options.kills, options.town)
        print(figures['servers'], flush=True)
    if options.json:
        write_json(options.json, figures)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
