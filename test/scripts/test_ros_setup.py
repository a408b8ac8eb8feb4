"""`make ros-setup`: what it refuses. What it makes is shown by scripts/try_distribution.py."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / 'scripts' / 'ros_setup.py'
SPEC = importlib.util.spec_from_file_location('ros_setup', SCRIPT)
assert SPEC is not None and SPEC.loader is not None
ros_setup = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(ros_setup)


def refusal(*arguments: str, python: str = sys.executable) -> str:
    done = subprocess.run(
        [python, str(SCRIPT), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count('\n') == 1, done.stderr
    return done.stderr


def test_an_unknown_distribution_is_one_line() -> None:
    assert 'expected one of humble, jazzy, kilted, rolling' in refusal('--distro', 'foxy')


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason='not in a virtual environment')
def test_a_virtual_environment_is_not_the_system() -> None:
    assert 'deactivate first' in refusal('--distro', 'humble')


def test_arrays_are_the_systems() -> None:
    check = ros_setup._check_arrays
    local = str(Path.home() / '.local' / 'lib')
    good = {'numpy': ['1.26.4', '/usr/lib/numpy'], 'cv2': ['4.6.0', '/usr/lib/cv2.so']}
    check(good)
    with pytest.raises(ros_setup.SetupError, match='sudo apt install python3-opencv'):
        check(good | {'cv2': [None, "No module named 'cv2'"]})
    with pytest.raises(ros_setup.SetupError, match=r"hides apt's: .* -m pip uninstall numpy"):
        check(good | {'numpy': ['2.2.6', local]})
    with pytest.raises(ros_setup.SetupError, match=r'not usable with numpy 1\.26'):
        check(good | {'cv2': [None, 'numpy.core.multiarray failed to import']})


def test_the_workspace_is_the_folder_above_src(tmp_path: Path) -> None:
    clone = tmp_path / 'ws' / 'src' / 'perception' / 'seg_node'
    assert ros_setup.workspace_of(clone) == tmp_path / 'ws'
    assert ros_setup.workspace_of(tmp_path / 'seg_node') == tmp_path / 'seg_node'


def test_every_distribution_has_its_constraints() -> None:
    for distro in ros_setup.DISTRIBUTIONS:
        lines = (ros_setup.FILES / f'constraints-{distro}.txt').read_text().splitlines()
        assert [line for line in lines if line.startswith('numpy')], distro
    required = (ros_setup.FILES / 'requirements.txt').read_text().splitlines()
    names = {line.partition('>')[0].partition('=')[0] for line in required}
    assert {'openvino', 'pydantic', 'msgpack', 'av', 'rosbags', 'rich', 'carla', 'numba'} <= names
    assert not names & {'numpy', 'opencv-python', 'opencv-python-headless', 'scipy'}
