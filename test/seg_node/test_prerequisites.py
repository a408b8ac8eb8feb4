"""What is missing or unfit is one line with the command that mends it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MAKE = f'make -C {REPOSITORY} ros-setup'


def said(code: str, *folders: Path, distro: str = 'humble') -> tuple[int, str]:
    """Exit status and output of a program that finds modules in `folders` first."""
    paths = [*map(str, folders), str(REPOSITORY), str(REPOSITORY / 'sim')]
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(paths), 'ROS_DISTRO': distro},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


@pytest.fixture
def old_pydantic(tmp_path: Path) -> Path:
    """pydantic 1.10 as far as our imports see it."""
    package, info = tmp_path / 'pydantic', tmp_path / 'pydantic-1.10.14.dist-info'
    package.mkdir()
    info.mkdir()
    (package / '__init__.py').write_text('class BaseModel: pass\nVERSION = "1.10.14"\n')
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: pydantic\nVersion: 1.10.14\n')
    return tmp_path


@pytest.fixture
def foreign_opencv(tmp_path: Path) -> Path:
    """An OpenCV that was built for another numpy: pages of text, then ImportError."""
    (tmp_path / 'cv2.py').write_text(
        'import sys\n'
        'print("A module that was compiled using NumPy 1.x\\n" * 30, file=sys.stderr)\n'
        'raise ImportError("numpy.core.multiarray failed to import")\n'
    )
    return tmp_path


SOURCE = (
    'import sys; sys.argv[1:] = ["--ros-args"]; from seg_node.executables import *; '
    'sys.exit(carla_source())'
)
NODE = SOURCE.replace('carla_source', 'seg_node')
VERB = 'import sys; from seg_node.cli import main; sys.exit(main(["{0}"]))'


def test_pydantic_of_the_distribution_is_one_line(old_pydantic: Path) -> None:
    pytest.importorskip('rclpy')
    status, text = said(SOURCE, old_pydantic)
    assert status == 1
    assert text == f'error: pydantic: expected 2.6 or newer, got 1.10.14: {MAKE}\n'


@pytest.mark.parametrize('code', [NODE, SOURCE, VERB.format('segment')])
def test_opencv_of_another_numpy_is_one_line(foreign_opencv: Path, code: str) -> None:
    status, text = said(code, foreign_opencv)
    assert status == 1
    assert text.startswith('error: OpenCV: not usable with numpy ')
    assert text.endswith(f'pip uninstall numpy, then {MAKE}\n') and text.count('\n') == 1


def test_doctor_tells_it_too(foreign_opencv: Path) -> None:
    status, text = said(VERB.format('doctor'), foreign_opencv)
    assert status == 1
    assert 'error   numpy: OpenCV: not usable' in text
    assert 'Traceback' not in text and 'compiled' not in text


def test_doctor_names_what_each_verb_lacks(old_pydantic: Path) -> None:
    hide = 'import sys; sys.modules.update(rosbags=None, msgpack=None); '
    status, text = said(hide + VERB.format('doctor'), old_pydantic)
    assert status == 1
    assert 'error   pydantic: pydantic: expected 2.6 or newer, got 1.10.14' in text
    assert f'not installed: rosbags  → {MAKE}' in text
    assert f'not installed: msgpack  → {MAKE}' in text


def test_neither_runtime_names_both_and_the_command() -> None:
    hide = 'import sys; sys.modules.update(openvino=None, onnxruntime=None)\n'
    load = (
        'from seg_node.errors import SegNodeError\n'
        'from seg_node.model.loader import load_model\n'
        'try: load_model()\n'
        'except SegNodeError as error: print(error)\n'
    )
    expected = f'runtime: neither openvino nor onnxruntime is installed: {MAKE}\n'
    assert said(hide + load) == (0, expected)
    check = 'from seg_node.model.check import main\nsys.exit(main(["{}"]))'
    assert said(hide + check) == (1, f'error: {expected}')


@pytest.mark.parametrize(
    ('module', 'command'),
    [
        ('vision_msgs', 'sudo apt install ros-humble-vision-msgs'),
        ('cv2', 'sudo apt install python3-opencv'),
        ('msgpack', MAKE),
    ],
)
def test_a_missing_module_names_its_command(module: str, command: str) -> None:
    code = (
        'from seg_node.prerequisites import missing\n'
        f'print(missing(ModuleNotFoundError("no", name="{module}.msg")))\n'
    )
    assert said(code) == (0, f'{module}: not installed: {command}\n')


def test_without_a_distribution_it_is_pip_in_the_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    from seg_node.prerequisites import install_command

    monkeypatch.delenv('ROS_DISTRO', raising=False)
    expected = f"{sys.executable} -m pip install '{REPOSITORY}[sim]'"
    if sys.prefix == sys.base_prefix:
        expected = f'make -C {REPOSITORY} setup'
    assert install_command('sim') == expected


def test_no_message_names_a_project_of_the_index() -> None:
    """PyPI has no seg_node; only a path to the clone can be installed."""
    for folder in ('seg_node', 'sim', 'training', 'docs', 'README.md'):
        place = REPOSITORY / folder
        files = [place] if place.is_file() else [*place.rglob('*.py'), *place.rglob('*.md')]
        for path in files:
            text = path.read_text(encoding='utf-8')
            assert "install 'seg_node[" not in text and 'install "seg_node[' not in text, path


def test_the_viewer_is_told_with_the_command_that_works_from_the_clone(tmp_path: Path) -> None:
    for name in ('rerun', 'rerun_cli'):
        (tmp_path / f'{name}.py').write_text(
            f'raise ModuleNotFoundError("No module named {name!r}", name={name!r})\n'
        )
    picture = REPOSITORY / 'README.md'
    code = f'import sys; from seg_node.cli import main; sys.exit(main(["view", {str(picture)!r}]))'
    status, told = said(code, tmp_path)
    assert status == 1
    assert told == f'error: rerun: not installed: make -C {REPOSITORY} view\n'
