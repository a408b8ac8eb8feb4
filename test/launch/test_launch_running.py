"""`ros2 launch seg_node …` for real, where a ROS distribution and a build by colcon are there."""

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

import cv2
import numpy as np
import psutil
import pytest

pytest.importorskip('launch_ros')
packages = pytest.importorskip('ament_index_python.packages')
if shutil.which('ros2') is None:
    pytest.skip('no ros2 on the PATH', allow_module_level=True)
try:
    packages.get_package_prefix('seg_node')
except packages.PackageNotFoundError:
    pytest.skip('seg_node is not built by colcon', allow_module_level=True)

LIMIT_S = 90.0
ENVIRONMENT = {
    **os.environ,
    'ROS_DOMAIN_ID': '48',
    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
}


class Launched:
    """A running `ros2 launch` with what it has said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
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

    def wait_for(self, *texts: str) -> None:
        """Until every text has been said; fails when the launch ends before."""
        deadline = time.monotonic() + LIMIT_S
        with self._changed:
            while not all(text in self.said for text in texts):
                left = deadline - time.monotonic()
                assert left > 0 and self._reader.is_alive(), f'no {texts} in:\n{self.said}'
                self._changed.wait(min(left, 0.5))
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
        status = self.process.wait(LIMIT_S)
        self._reader.join()
        return status

    def left_behind(self) -> list[psutil.Process]:
        """Processes seen that are still there."""
        return psutil.wait_procs(list(self._family.values()), timeout=10)[1]


@contextmanager
def launched(folder: Path, *arguments: str) -> Iterator[Launched]:
    process = subprocess.Popen(
        ['ros2', 'launch', 'seg_node', *arguments],
        cwd=folder,
        env={**ENVIRONMENT, 'ROS_LOG_DIR': str(folder / 'log')},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    running = Launched(process)
    try:
        yield running
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index in range(12):
        picture = np.full((90, 160, 3), 10 * index, np.uint8)
        cv2.imwrite(str(folder / f'{index:03}.png'), picture)
    return folder


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


def test_replay_ends_by_itself(tmp_path: Path, pictures: Path, contract_model: Path) -> None:
    arguments = ('player:=play', f'input:={pictures}', f'model:={contract_model}', 'rate:=20')
    with launched(tmp_path, 'replay.launch.py', *arguments) as running:
        running.wait_for('12 pictures published')
        assert running.end() == 0
        assert 'model green_red' in running.said
        assert 'process has died' not in running.said
        assert not running.left_behind()


def test_ctrl_c_ends_a_camera_with_exit_status_0(tmp_path: Path, contract_model: Path) -> None:
    arguments = (f'model:={contract_model}', 'namespace:=front', 'image_topic:=eye/image')
    with launched(tmp_path, 'camera.launch.py', *arguments) as running:
        running.wait_for('waiting for frames on /front/eye/image')
        running.interrupt()
        assert running.end() == 0
        assert 'process has died' not in running.said
        assert not running.left_behind()


def test_carla_drives_in_the_embedded_town(tmp_path: Path, contract_model: Path) -> None:
    pytest.importorskip('carla')
    arguments = (
        f'port:={free_port()}', 'town:=Highway', 'traffic:=0', 'fps:=5', 'lane_map:=true',
        f'model:={contract_model}',
    )  # fmt: skip
    with launched(tmp_path, 'carla.launch.py', *arguments) as running:
        running.wait_for('driving in Highway', 'active: waiting for frames')
        running.interrupt()
        # What was spawned is taken away while the server still answers, so nobody waits.
        assert running.end() == 0
        assert 'went away' not in running.said and 'timed out' not in running.said
        assert 'process has died' not in running.said
        assert not running.left_behind()


@pytest.mark.parametrize(
    ('arguments', 'complaint'),
    [
        (('camera.launch.py', 'backend:=cuda'), 'Argument "backend" provided value "cuda"'),
        (('camera.launch.py', 'params_file:=none.yaml'), 'params_file: expected a parameter file'),
        (('replay.launch.py', 'input:=none'), 'input: expected a recording'),
        (('camera.launch.py', 'model:=no.onnx'), 'model: expected a model file, there is no'),
        (('carla.launch.py', 'model:=no.onnx'), 'model: expected a model file, there is no'),
        (('carla.launch.py', 'port:=abc'), 'port: expected a whole number'),
    ],
)
def test_a_wrong_argument_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    with launched(tmp_path, *arguments) as running:
        assert running.end() == 1
        assert complaint in running.said
        assert 'Traceback' not in running.said
        assert 'process started' not in running.said


def test_missing_rtabmap_says_how_to_get_it(tmp_path: Path) -> None:
    try:
        packages.get_package_prefix('rtabmap_launch')
    except packages.PackageNotFoundError:
        pass
    else:
        pytest.skip('RTAB-Map is installed')
    for arguments in (('rtabmap.launch.py',), ('carla.launch.py', 'rtabmap:=true')):
        with launched(tmp_path, *arguments) as running:
            assert running.end() == 1
            assert 'sudo apt install ros-' in running.said
