"""Checks of what is installed: whether it fits together, and what which verb lacks."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator

from seg_node import prerequisites
from seg_node.finding import Finding
from seg_node.venv import NAME, packages_of, venv_dir

_SHOWN = ('numpy', 'openvino', 'onnxruntime', 'pydantic', 'rosbags')
_NEEDS = {
    'bags (segment, play, replay, lane-map)': (('rosbags',), 'runtime'),
    'videos (segment, play, demo)': (('av',), 'runtime'),
    "another framework's model (a sidecar beside an ONNX)": (('onnx', 'pydantic'), 'runtime'),
    'CARLA (sim, demo, carla_source, carla_server)': (('carla', 'msgpack', 'numba'), 'sim'),
}
"""Modules and the extra that has them, by what needs them."""


def check_packages() -> Iterator[Finding]:
    """Every check in turn; none raises, also where numpy or OpenCV cannot be imported."""
    arrays = prerequisites.array_problem()
    runtime = prerequisites.no_runtime()
    pydantic = prerequisites.pydantic_problem()
    yield _versions(arrays)
    for what, problem in (('numpy', arrays), ('runtime', runtime), ('pydantic', pydantic)):
        if problem:
            yield Finding('error', what, problem)
    yield from _ros_setup()
    for what, (modules, extra) in _NEEDS.items():
        lacking = [name for name in modules if importlib.util.find_spec(name) is None]
        if lacking:
            advice = prerequisites.install_command(extra)
            yield Finding('note', what, f'not installed: {", ".join(lacking)}', advice)


def _versions(arrays: str) -> Finding:
    shown = [f'Python {sys.version.split()[0]}']
    for package in _SHOWN:
        try:
            shown.append(f'{package} {importlib.metadata.version(package)}')
        except importlib.metadata.PackageNotFoundError:
            continue
    if not arrays:  # apt's OpenCV has no metadata
        shown.append(f'OpenCV {sys.modules["cv2"].__version__}')
    return Finding('ok', 'packages', ', '.join(shown))


def _ros_setup() -> Iterator[Finding]:
    """Under a ROS distribution: the virtual environment beside the workspace."""
    if 'ROS_DISTRO' not in os.environ or sys.prefix != sys.base_prefix:
        return
    venv, advice = venv_dir(), prerequisites.install_command('runtime')
    if venv is None:
        yield Finding('note', NAME, 'there is none beside the workspace', advice)
    elif not packages_of(venv).is_dir():
        version = '.'.join(map(str, sys.version_info[:2]))
        yield Finding('error', NAME, f'{venv}: not of Python {version}', advice)
    else:
        yield Finding('ok', NAME, str(venv))
