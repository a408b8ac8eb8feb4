"""Make the virtual environment that seg_node needs beside a ROS distribution: `make ros-setup`.

It lies beside the workspace (`WORKSPACE/seg_node_venv`), sees the system's packages, and adds what
apt does not have in a fit version: the runtimes, pydantic 2, and what bags, videos and CARLA need.
Nothing of the system changes; numpy and OpenCV stay those of apt, which cv_bridge and the other
packages of the distribution are built for. Nodes and verbs find it by themselves
(`seg_node/venv.py`), also under `ros2 run` and `ros2 launch`.

Run by the system's Python, with nothing installed: only the standard library is imported.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FILES = REPOSITORY / 'scripts' / 'ros'
NAME = 'seg_node_venv'
DISTRIBUTIONS = ('humble', 'jazzy', 'kilted', 'rolling')
_LOOK = """
import json, sys
found = {}
for name in ('numpy', 'cv2'):
    try:
        module = __import__(name)
        found[name] = [module.__version__, module.__file__]
    except ImportError as error:
        found[name] = [None, str(error).strip().splitlines()[-1]]
print(json.dumps(found))
"""


class SetupError(Exception):
    """What stands in the way, in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 with one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--distro', default=os.environ.get('ROS_DISTRO', ''))
    parser.add_argument(
        '--workspace', type=Path, help='default: the folder that has src/ with this clone in it'
    )
    options = parser.parse_args(arguments)
    try:
        venv = set_up(options.distro, options.workspace or workspace_of(REPOSITORY))
    except SetupError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'{venv} is ready; colcon build and ros2 run find it by themselves')
    return 0


def workspace_of(clone: Path) -> Path:
    """The workspace with `src/…/clone`, or the clone itself outside of one."""
    for folder in clone.parents:
        if folder.name == 'src':
            return folder.parent
    return clone


def set_up(distro: str, workspace: Path) -> Path:
    """The environment, made or brought up to date. Raises `SetupError`."""
    if distro not in DISTRIBUTIONS:
        known = ', '.join(DISTRIBUTIONS)
        raise SetupError(
            f'ROS_DISTRO: expected one of {known}, got {distro!r}: '
            'source /opt/ros/DISTRO/setup.bash, or give --distro'
        )
    if sys.prefix != sys.base_prefix:
        raise SetupError(
            f"Python: expected the system's, got the virtual environment {sys.prefix}: "
            'deactivate first, or make ros-setup PYTHON=/usr/bin/python3'
        )
    system = _look(Path(sys.executable))
    _check_arrays(system)
    venv = workspace / NAME
    python = _make(venv)
    command = [str(python), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    command += ['-r', str(FILES / 'requirements.txt')]
    command += ['-c', str(FILES / f'constraints-{distro}.txt'), f'numpy=={system["numpy"][0]}']
    if subprocess.run(command, env=_clean_environment(), check=False).returncode != 0:
        raise SetupError(f'{venv}: pip failed, see above; nothing of the system has changed')
    inside = _look(python)
    for name in ('numpy', 'cv2'):
        if inside[name] != system[name]:
            raise SetupError(f'{name}: expected {system[name]} as outside, got {inside[name]}')
    return venv


def _check_arrays(system: dict[str, list[str]]) -> None:
    """numpy and OpenCV must be the system's, and fit each other. Raises `SetupError`."""
    packages = {'numpy': 'python3-numpy', 'cv2': 'python3-opencv'}
    for name, package in packages.items():
        version, place = system[name]
        if version is None and 'No module named' in place:
            raise SetupError(f'{name}: not installed: sudo apt install {package}')
        local = str(Path.home() / '.local')
        if version is not None and place.startswith(local):
            pip = 'opencv-python' if name == 'cv2' else name
            raise SetupError(
                f"{name} {version} in {local} hides apt's: {sys.executable} -m pip uninstall {pip}"
            )
        if version is None:
            numpy = system['numpy'][0]
            raise SetupError(f'{name}: not usable with numpy {numpy}: {place}')


def _make(venv: Path) -> Path:
    """The environment's Python; an environment of another Python is made anew."""
    python = venv / 'bin' / 'python'
    version = 'python{}.{}'.format(*sys.version_info[:2])
    if venv.exists() and not (venv / 'lib' / version / 'site-packages').is_dir():
        if not (venv / 'pyvenv.cfg').is_file():
            raise SetupError(f'{venv}: is there, and no virtual environment')
        shutil.rmtree(venv)
    if not python.exists():
        try:
            import ensurepip  # noqa: F401 - Debian has it in a package of its own
        except ImportError:
            raise SetupError('venv: not installed: sudo apt install python3-venv') from None
        command = [sys.executable, '-m', 'venv', '--system-site-packages', str(venv)]
        if subprocess.run(command, env=_clean_environment(), check=False).returncode != 0:
            raise SetupError(f'{venv}: python -m venv failed, see above')
    (venv / 'COLCON_IGNORE').touch()
    return python


def _look(python: Path) -> dict[str, list[str]]:
    done = subprocess.run(
        [str(python), '-c', _LOOK],
        capture_output=True,
        text=True,
        env=_clean_environment(),
        check=False,
    )
    if done.returncode != 0:
        raise SetupError(f'{python}: {done.stderr.strip().splitlines()[-1]}')
    installed: dict[str, list[str]] = json.loads(done.stdout)
    return installed


def _clean_environment() -> dict[str, str]:
    """Without the workspace's own paths, in which pip would look for what is installed."""
    return {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}


if __name__ == '__main__':
    sys.exit(main())
