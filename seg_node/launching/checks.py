"""What is refused before anything is started, in one line.

The nodes read their parameters in processes of their own, seconds later. Each check is the same
code in a process beside `ros2 launch`, which stays small and free of the runtimes' threads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from launch import LaunchContext
from seg_node.children import child_environment
from seg_node.launching.arguments import in_params_file, path, text

_LIMIT_S = 120.0


@dataclass(frozen=True)
class Check:
    """An executable of `seg_node.executables` that judges `values`: exit status 0, or a line."""

    executable: str
    values: dict[str, Any]


def refuse(checks: Iterable[Check]) -> None:
    """Run `checks` side by side. Raises `RuntimeError` with the line of the first that fails."""
    running = [(check, _started(check)) for check in checks]
    lines = [_complaint(check, process) for check, process in running]
    for line in filter(None, lines):
        raise RuntimeError(line)


def _started(check: Check) -> subprocess.Popen[str]:
    command = [sys.executable, '-m', 'seg_node.executables', check.executable]
    return subprocess.Popen(
        [*command, json.dumps(check.values)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(),
    )


def _complaint(check: Check, process: subprocess.Popen[str]) -> str:
    try:
        _, said = process.communicate(timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f'{check.executable}: no answer in {_LIMIT_S:g} s'
    if process.returncode == 0:
        return ''
    lines = [line for line in said.splitlines() if line.strip()]
    ours = [line for line in lines if line.startswith('error: ')]
    last = (ours or lines or [f'{check.executable}: exit status {process.returncode}'])[-1]
    return last.removeprefix('error: ')


def model_check(context: LaunchContext) -> list[Check]:
    """The check of a runtime, and of the model that an argument or the parameter file names.

    A node that is told an unusable file waits to be told another; a launch has nobody to tell it.
    Raises `RuntimeError`, one line, when there is no such file.
    """
    file = path(context, 'model') or in_params_file(context, 'model')
    if not file:
        return [Check('check_model', {})]
    if not Path(file).is_file():
        raise RuntimeError(f'model: expected a model file, there is no {file}')
    values = {
        name: text(context, name) or in_params_file(context, name)
        for name in ('backend', 'precision')
    }
    return [Check('check_model', {'path': file, **values})]


def require_package(name: str, apt_name: str, what: str) -> None:
    """Raise `RuntimeError`, one line, when the ROS package `name` is not installed."""
    try:
        get_package_prefix(name)
    except PackageNotFoundError:
        distro = os.environ.get('ROS_DISTRO', '$ROS_DISTRO')
        raise RuntimeError(
            f'{what}: the package {name} is not installed; '
            f'sudo apt install ros-{distro}-{apt_name}'
        ) from None
