"""`colcon test` with what apt has alone: modules of tests are skipped, none is an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
import pytest

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in HIDDEN:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)

HIDDEN = {'carla', 'hypothesis', 'matplotlib', 'mcap', 'msgpack', 'numba', 'onnx', 'onnxruntime',
          'openvino', 'av', 'rclpy', 'rosbags', 'torch', 'distributed', 'lightning'}
if len(sys.argv) > 2:
    HIDDEN = set(sys.argv[2].split())
sys.meta_path.insert(0, Hidden())
sys.exit(pytest.main(['--collect-only', '-q', '-rs', '-p', 'no:cacheprovider', '-W', 'ignore',
                      sys.argv[1]]))
"""


def collected(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-c', PROGRAM, *map(str, arguments)],
        cwd=REPOSITORY,
        env={**os.environ, 'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1'},
        capture_output=True,
        text=True,
        timeout=170,
    )


def test_the_tests_are_collected_without_errors() -> None:
    done = collected('test')
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "No module named 'rosbags'" in done.stdout
    assert 'test/seg_node/test_classes.py' in done.stdout


def test_what_is_not_an_extra_is_an_error() -> None:
    done = collected('test/seg_node/test_files.py', 'cv2')
    assert done.returncode != 0
    assert "No module named 'cv2'" in done.stdout + done.stderr
