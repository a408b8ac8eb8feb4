"""Every way to install it gives commands that run, from another folder and without the clone."""

from __future__ import annotations

import importlib.util
import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('openvino')

REPOSITORY = Path(__file__).resolve().parents[2]
NOT_SOURCE = shutil.ignore_patterns(
    '.git', '.venv*', 'out', 'build', 'install', 'log', '__pycache__', '*.egg-info', '.*_cache'
)
WHERE = (
    'import seg_node; from seg_node.share import share_dir; '
    'from seg_node.model.loader import default_model; '
    'print(seg_node.__file__, share_dir(), default_model(), sep="\\n")'
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    target = tmp_path / 'workspace' / 'src' / 'seg_node'
    shutil.copytree(REPOSITORY, target, symlinks=True, ignore=NOT_SOURCE)
    return target


def run(folder: Path, environment: dict[str, str], *command: str | Path) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(**more: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'VIRTUAL_ENV')}
    return inherited | more


def segments(folder: Path, variables: dict[str, str], *program: str | Path) -> None:
    """A picture is segmented with the shipped model."""
    folder.mkdir()
    cv2.imwrite(str(folder / 'road.png'), np.full((90, 160, 3), 90, np.uint8))
    run(folder, variables, *program, 'segment', 'road.png', '-o', 'masks')
    assert [path.name for path in (folder / 'masks').glob('*.png')]


@pytest.mark.timeout(600)  # a busy machine; alone some 20 s
@pytest.mark.parametrize('options', [(), ('--editable',)], ids=['plain', 'editable'])
def test_pip_installs_commands_that_run(
    clone: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    pytest.importorskip('pip')
    target = tmp_path / 'venv'
    venv.create(target, with_pip=False)
    python = target / 'bin' / 'python'
    # What it depends on comes from the environment of the tests, this package does not.
    (own,) = target.glob('lib/python3.*/site-packages')
    (own / 'dependencies.pth').write_text('\n'.join(site.getsitepackages()) + '\n')
    pip = [sys.executable, '-m', 'pip', '--quiet', '--disable-pip-version-check']
    install = ['--python', str(python), 'install', '--no-deps', '--no-build-isolation']
    run(tmp_path, environment(), *pip, *install, *options, clone)
    lines = run(tmp_path, environment(), python, '-c', WHERE).splitlines()
    root = clone if options else target
    assert all(Path(line).is_relative_to(root) for line in lines), lines
    if not options:
        shutil.rmtree(clone)
    segments(tmp_path / 'elsewhere', environment(), python, '-m', 'seg_node')
    assert 'usage: ' in run(tmp_path, environment(), target / 'bin' / 'seg_node', '--help')


@pytest.mark.skipif(importlib.util.find_spec('colcon_ros') is None, reason='no colcon here')
@pytest.mark.timeout(600)
@pytest.mark.parametrize('options', [(), ('--symlink-install',)], ids=['copied', 'symlinked'])
def test_colcon_installs_executables_that_run(
    clone: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    workspace = clone.parents[1]
    colcon = [sys.executable, '-m', 'colcon', 'build', '--packages-select', 'seg_node']
    run(workspace, environment(), *colcon, *options)
    installed = workspace / 'install' / 'seg_node'
    # What `source install/setup.bash` and `ros2 run` make of it.
    program = f'. {workspace}/install/setup.sh >/dev/null 2>&1; env -0'
    sourced = run(tmp_path, environment(), 'sh', '-c', program)
    variables = dict(item.partition('=')[::2] for item in sourced.split('\0') if item)
    assert str(installed) in variables['AMENT_PREFIX_PATH'].split(os.pathsep)
    lines = run(tmp_path, variables, sys.executable, '-c', WHERE).splitlines()
    assert all(Path(line).is_relative_to(workspace) for line in lines), lines
    if not options:
        shutil.rmtree(clone)
    executables = installed / 'lib' / 'seg_node'
    segments(tmp_path / 'elsewhere', variables, executables / 'seg_node')
    for name in ('seg_node', 'play', 'carla_source', 'carla_server', 'lane_map'):
        assert 'usage: ' in run(tmp_path, variables, executables / name, '--help'), name
