"""The virtual environment beside a workspace is found by the system's Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
VERSION = 'python{}.{}'.format(*sys.version_info[:2])
CODE = """
import os, subprocess, sys
from seg_node.venv import use_venv
print(use_venv())
import only_there
print(only_there.__file__)
at = sys.path.index(os.path.dirname(only_there.__file__))
print([p for p in sys.path[at:] if p.endswith("lib-dynload")])
subprocess.run([sys.executable, "-c", "import only_there; print(only_there.__file__)"])
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    packages = tmp_path / 'seg_node_venv' / 'lib' / VERSION / 'site-packages'
    packages.mkdir(parents=True)
    (packages / 'only_there.py').touch()
    (tmp_path / 'seg_node_venv' / 'pyvenv.cfg').touch()
    return tmp_path


def place(workspace: Path, folder: str) -> Path:
    """The package as an install leaves it; the folder for PYTHONPATH."""
    package = workspace / folder / 'seg_node'
    package.mkdir(parents=True)
    for name in ('__init__.py', 'venv.py'):
        shutil.copy(REPOSITORY / 'seg_node' / name, package)
    return package.parent


def run(code: str, path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    base = sys._base_executable  # type: ignore[attr-defined]
    kept = {name: value for name, value in os.environ.items() if name != 'SEG_NODE_VENV'}
    return subprocess.run(
        [base, '-c', code],
        env={**kept, 'PYTHONPATH': str(path), 'PYTHONUNBUFFERED': '1', **environment},
        cwd=path,  # which `-c` puts before PYTHONPATH
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    'folder',
    [
        f'install/seg_node/lib/{VERSION}/site-packages',
        f'install/lib/{VERSION}/site-packages',
        'build/seg_node',
        'src/seg_node',
    ],
)
def test_it_is_found_from_everywhere(workspace: Path, folder: str) -> None:
    packages = workspace / 'seg_node_venv' / 'lib' / VERSION / 'site-packages'
    done = run(CODE, place(workspace, folder))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == str(packages)
    # After the standard library, as its own Python would have it; children find it too.
    assert lines[1:] == [f'{packages}/only_there.py', '[]', f'{packages}/only_there.py']


def test_a_variable_names_another(workspace: Path, tmp_path: Path) -> None:
    other = tmp_path / 'other'
    (workspace / 'seg_node_venv').rename(other)
    done = run(CODE, place(workspace, 'src/seg_node'), SEG_NODE_VENV=str(other))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(other))


def test_none_is_no_trouble(tmp_path: Path) -> None:
    code = 'from seg_node.venv import use_venv; print(use_venv())'
    assert run(code, place(tmp_path, 'src/seg_node')).stdout == 'None\n'
