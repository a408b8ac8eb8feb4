"""The programmers' door: what it offers, how fast it opens, and the README's example."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

import seg_node
from seg_node.benchmark.scene import road_scene
from seg_node.camera.size import Size
from seg_node.children import child_environment

README = Path(__file__).resolve().parents[2] / 'README.md'


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-W', 'error', '-c', code],
        capture_output=True, text=True, check=False, cwd=folder,
        env=child_environment(XDG_CACHE_HOME=str(folder)),
    )  # fmt: skip


def test_the_example_of_the_readme_runs(tmp_path):
    section = README.read_text(encoding='utf-8').partition('## From Python\n')[2]
    code = re.search(r'```python\n(.*?)```', section, re.S)
    assert code
    picture = road_scene(Size(640, 360))
    cv2.imwrite(str(tmp_path / 'road.jpg'), picture)
    after = (
        'assert result.mask.shape == sure.shape == picture.shape[:2] == (360, 640)\n'
        'assert overlay.shape == picture.shape and 0.2 < road.mean() < 0.8\n'
    )
    done = run_python(code.group(1) + after, tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r'\d\d% of the picture is road\n', done.stdout)


def test_importing_the_package_imports_nothing_heavy(tmp_path):
    code = (
        'import sys, seg_node\n'
        'assert "load_model" in dir(seg_node)\n'
        'heavy = {"numpy", "cv2", "openvino", "onnx", "pydantic", "yaml", "av", "torch"}\n'
        'print(sorted(heavy & set(sys.modules)))\n'
        'seg_node.SegNodeError\n'
        'print(sorted(heavy & set(sys.modules)))\n'
    )
    done = run_python(code, tmp_path)
    assert done.stdout == '[]\n[]\n', done.stderr


@pytest.mark.parametrize('name', seg_node.__all__)
def test_every_public_name_is_there_typed_and_documented(name):
    value = getattr(seg_node, name)
    if name == 'LANE':
        assert value.names == ('background', 'road', 'lane_marking')
        return
    assert len(inspect.getdoc(value) or '') > 20
    if inspect.isfunction(value):
        signature = inspect.signature(value)
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(p.annotation is not p.empty for p in signature.parameters.values())


def test_the_door_is_one_table():
    """What type checkers see, what is imported on use, and `__all__` are the same names."""
    assert sorted(seg_node._PLACE_OF) == sorted(seg_node.__all__)
    source = Path(seg_node.__file__).read_text(encoding='utf-8')
    seen = source.partition('if TYPE_CHECKING:\n')[2].partition('\n\n')[0]
    for line in seen.splitlines():
        place, names = re.fullmatch(r' +from seg_node\.([\w.]+) import (.+)', line).groups()
        assert tuple(names.split(', ')) == seg_node._PLACES[place]
    with pytest.raises(AttributeError, match='has no attribute'):
        seg_node.nothing  # noqa: B018
    for place in seg_node._PLACES:
        importlib.import_module(f'seg_node.{place}')
