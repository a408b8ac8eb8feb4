"""Every node and verb in an imitation of a ROS distribution, set up as its users do.

python scripts/try_distribution.py humble --python python3.10
python scripts/try_distribution.py jazzy --python python3.12

A copy of that Python gets, as its system packages, what apt has there (scripts/ros/apt-*.txt) and
ROS 2 from PyPI. Then, in a workspace: what a node says before `make ros-setup`, the set-up itself,
`colcon build`, and every executable until it works. Needs a Python that can be copied (of uv or
pyenv, not /usr's). Minutes; a line for each step.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from seg_node.children import Patience  # noqa: E402  needs nothing that is installed

FILES = REPOSITORY / 'scripts' / 'ros'
SYSTEM = ('ros-rclpy>=9.1.2', 'ros-sensor-msgs', 'ros-diagnostic-msgs', 'ros-nav-msgs',
          'ros-std-srvs', 'ros-rosgraph-msgs', 'ros-lifecycle-msgs', 'ros-geometry-msgs',
          'ros-visualization-msgs', 'ros-rmw-fastrtps-cpp', 'colcon-common-extensions',
          'colcon-ros', 'catkin_pkg', 'setuptools<80', 'pytest>=7')  # fmt: skip
NOT_SOURCE = shutil.ignore_patterns(
    '.git', '.venv*', 'out', 'runs', 'build', 'install', 'log', '__pycache__', '*.egg-info',
    '.*_cache', 'seg_node_venv',
)  # fmt: skip
PORT = 24800
LIMIT_S = 240.0
"""Of a node's own work: the server compiles its renderer here for the first time."""


class TryError(Exception):
    """A step that did not do what it should, with what it said."""


@dataclass(frozen=True)
class Imitation:
    """A distribution's Python and a workspace with this package."""

    distro: str
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """The distribution's own interpreter."""
        return self.folder / 'system' / 'bin' / 'python3'

    @property
    def workspace(self) -> Path:
        """The colcon workspace."""
        return self.folder / 'ws'

    @property
    def clone(self) -> Path:
        """This package's sources in it."""
        return self.workspace / 'src' / 'seg_node'

    def run(self, *command: str | Path, fails: bool = False) -> str:
        """What a command says; raises `TryError` where its status is not as expected."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.workspace,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        if (done.returncode != 0) != fails:
            words = ' '.join(map(str, command))
            raise TryError(f'{words}: status {done.returncode}\n{done.stdout}')
        return done.stdout

    def executable(self, name: str) -> Path:
        """As `ros2 run seg_node NAME` starts it."""
        return self.workspace / 'install' / 'seg_node' / 'lib' / 'seg_node' / name


def prepare(distro: str, python: str, folder: Path) -> Imitation:
    """A copy of `python` with the distribution's packages, and the sources in a workspace."""
    base = subprocess.run(
        [python, '-c', 'import sys; print(sys.base_prefix)'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if base == '/usr':
        raise TryError(f'{python}: expected a Python that can be copied, got that of /usr')
    system = folder / 'system'
    skipped = shutil.ignore_patterns('test', '__pycache__', 'idlelib', 'share')
    shutil.copytree(base, system, symlinks=True, ignore=skipped)
    (folder / 'ws' / 'src').mkdir(parents=True)
    shutil.copytree(REPOSITORY, folder / 'ws' / 'src' / 'seg_node', ignore=NOT_SOURCE)
    site = next(system.glob('lib/python3.*/site-packages'))
    (site.parent / 'EXTERNALLY-MANAGED').unlink(missing_ok=True)
    install = [str(system / 'bin' / 'python3'), '-m', 'pip', 'install', '--quiet']
    install += ['--disable-pip-version-check', '--root-user-action=ignore']
    subprocess.run([*install, '-r', str(FILES / f'apt-{distro}.txt'), *SYSTEM], check=True)
    # From here on as on Ubuntu 24.04: nothing more goes into the system (PEP 668).
    (site.parent / 'EXTERNALLY-MANAGED').write_text('[externally-managed]\nError=apt only\n')
    inherited = {name: os.environ[name] for name in ('HOME', 'LANG') if name in os.environ}
    environment = {
        **inherited,
        'PATH': os.pathsep.join([str(system / 'bin'), '/usr/bin', '/bin']),
        'ROS_DISTRO': distro,
        'ROS_DOMAIN_ID': '87',
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_LOG_DIR': str(folder / 'log'),
        'XDG_CACHE_HOME': str(folder / 'cache'),
        'AMENT_PREFIX_PATH': os.pathsep.join([str(folder / 'ws/install/seg_node'), str(system)]),
        'PYTHONPATH': str(folder / 'ws/install/seg_node/lib' / site.parent.name / 'site-packages'),
        'PYTHONUNBUFFERED': '1',
    }
    return Imitation(distro, folder, environment)


def one_line_each(imitation: Imitation) -> None:
    """Before the set-up each node says in one line what it lacks, and the command."""
    for name in ('carla_source', 'seg_node'):
        command: list[str | Path] = [imitation.executable(name), '--ros-args']
        if name == 'seg_node':
            command = [imitation.python, '-m', 'seg_node.executables', 'check_model', '{}']
        said = imitation.run(*command, fails=True).strip()
        if len(said.splitlines()) != 1 or 'ros-setup' not in said:
            raise TryError(f'{name}: expected one line with the command, got\n{said}')
        print(f'  {said}')


def start(imitation: Imitation, words: Sequence[str | Path], sign: str) -> subprocess.Popen[str]:
    """A process that has said `sign`."""
    log = imitation.folder / f'{Path(words[0]).name}.log'
    with log.open('w') as out:
        process = subprocess.Popen(
            [str(word) for word in words],
            cwd=imitation.workspace,
            env=dict(imitation.environment),
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    patience = Patience(process.pid, LIMIT_S)
    while sign not in log.read_text():
        if process.poll() is not None or patience.over:
            process.kill()
            raise TryError(f'{words[0]}: expected {sign!r}, got\n{log.read_text()}')
        time.sleep(0.2)
    print(f'  {Path(words[0]).name}: {sign}')
    return process


def every_node(imitation: Imitation) -> None:
    """Server, source, node, lane map and player, each until it says that it works."""
    pictures = imitation.folder / 'pictures'
    pictures.mkdir()
    make = 'import cv2, numpy, sys\nfor i in range(5): cv2.imwrite('
    make += 'f"{sys.argv[1]}/{i}.png", numpy.full((90, 160, 3), 40 * i, numpy.uint8))'
    imitation.run(imitation.python, '-c', make, pictures)
    to = imitation.executable
    running = []
    try:
        server: list[str | Path] = [to('carla_server'), '--port', str(PORT), '--town', 'Grid']
        running.append(start(imitation, server, 'protocol on'))
        source: list[str | Path] = [to('carla_source'), '--ros-args', '-p', f'port:={PORT}']
        source += ['-p', 'fps:=5.0']
        running.append(start(imitation, source, 'driving in Grid'))
        running.append(start(imitation, [to('seg_node')], 'active: waiting for frames'))
        running.append(start(imitation, [to('lane_map')], '[lane_map]'))
        running.append(start(imitation, [to('play'), str(pictures)], '5 pictures published'))
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGINT)
        statuses = [process.wait(60) for process in reversed(running)]
    if any(statuses):
        raise TryError(f'exit status after Ctrl-C: expected 0 of each, got {statuses}')
    out = imitation.folder / 'masks'
    imitation.run(imitation.python, '-m', 'seg_node', 'segment', pictures, '-o', out)
    print('  segment: 5 pictures')
    print(imitation.run(imitation.python, '-m', 'seg_node', 'doctor'))


def main() -> int:
    """Exit status 0, or 1 with what went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('distro', choices=[p.stem[4:] for p in sorted(FILES.glob('apt-*.txt'))])
    parser.add_argument('--python', required=True, help='a Python of that distribution')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            print(f'{options.distro}: packages')
            imitation = prepare(options.distro, options.python, Path(folder))
            print('colcon build')
            imitation.run('colcon', 'build', '--packages-select', 'seg_node')
            print('before ros-setup')
            one_line_each(imitation)
            print('tests are collected')
            imitation.run(imitation.python, '-m', 'pytest', '--collect-only', imitation.clone)
            print('ros-setup')
            imitation.run(imitation.python, imitation.clone / 'scripts' / 'ros_setup.py')
            print('every node')
            every_node(imitation)
        except TryError as error:
            print(f'error: {options.distro}: {error}', file=sys.stderr)
            return 1
    print(f'{options.distro}: every node works')
    return 0


if __name__ == '__main__':
    sys.exit(main())
