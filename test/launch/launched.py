"""A running `ros2 launch seg_node …`, and what it leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

LIMIT_S = 240.0
"""Only a test that fails waits so long; a loaded machine starts slowly."""
ENVIRONMENT = {
    **os.environ,
    'ROS_DOMAIN_ID': '48',
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
}


def skip_without_ros2() -> Any:
    """Skip the calling module where ROS's launch or a colcon build of seg_node is not there.

    Where both are: `ament_index_python.packages`.
    """
    pytest.importorskip('launch_ros')
    packages = pytest.importorskip('ament_index_python.packages')
    if shutil.which('ros2') is None:
        pytest.skip('no ros2 on the PATH', allow_module_level=True)
    try:
        packages.get_package_prefix('seg_node')
    except packages.PackageNotFoundError:
        pytest.skip('seg_node is not built by colcon', allow_module_level=True)
    return packages


class Launched:
    """A running `ros2 launch` with what it has said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._seen = 0
        self._family: dict[int, psutil.Process] = {}
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def said(self) -> str:
        """Everything on standard output and error."""
        return ''.join(self.lines)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, *texts: str, again: bool = False) -> None:
        """Until every text has been said; fails when the launch ends before.

        `again`: said after the last call that waited for something.
        """
        deadline = time.monotonic() + LIMIT_S
        since = self._seen if again else 0
        with self._changed:
            while not all(text in self.said[since:] for text in texts):
                left = deadline - time.monotonic()
                assert left > 0 and self._reader.is_alive(), f'no {texts} in:\n{self.said}'
                self._changed.wait(min(left, 0.5))
        self._seen = len(self.said)
        self._remember_family()

    def _remember_family(self) -> None:
        for child in psutil.Process(self.process.pid).children(recursive=True):
            self._family[child.pid] = child

    def interrupt(self) -> None:
        """Ctrl-C in a terminal: the whole process group gets it."""
        self._remember_family()
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> int:
        """The exit status, once everything has ended."""
        try:
            status = self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f'not ended {LIMIT_S:g} s later:\n{self.said}')
        self._reader.join()
        return status

    def child(self, word: str) -> psutil.Process:
        """The running process whose command line has `word`."""
        self._remember_family()
        return next(p for p in self._family.values() if p.is_running() and word in p.cmdline())

    def left_behind(self) -> list[psutil.Process]:
        """Processes seen that are still there."""
        return psutil.wait_procs(list(self._family.values()), timeout=10)[1]


@contextmanager
def launched(folder: Path, *arguments: str) -> Iterator[Launched]:
    """`ros2 launch seg_node ARGUMENTS`; a first one that is a path is a launch file of its own."""
    package = [] if arguments[0].startswith('/') else ['seg_node']
    process = subprocess.Popen(
        ['ros2', 'launch', *package, *arguments],
        cwd=folder,
        env={**ENVIRONMENT, 'ROS_LOG_DIR': str(folder / 'log')},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # As in a terminal: a shell starts background jobs with SIGINT ignored, which is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    running = Launched(process)
    try:
        yield running
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    for port in range(23100, 23200, 4):
        with socket.socket() as probe, socket.socket() as beside:
            try:
                probe.bind(('127.0.0.1', port))
                beside.bind(('127.0.0.1', port + 1))
            except OSError:
                continue
            return port
    raise AssertionError('no free port')
