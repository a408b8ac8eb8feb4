"""ROS from the command line: what is missing, in one line, and parameters as ROS arguments."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

from seg_node.errors import ConfigError
from seg_node.prerequisites import install_command


def require_rclpy() -> None:
    """Raise `ConfigError` that says how to get ROS when rclpy is not there."""
    if importlib.util.find_spec('rclpy') is None:
        raise ConfigError(
            f'rclpy: not installed; source a ROS 2 distribution, or {install_command("ros")}'
        )


def ros_arguments(values: dict[str, Any]) -> list[str]:
    """`--ros-args -p name:=value …` of parameter values (None is left out)."""
    arguments = ['--ros-args']
    for name, value in values.items():
        if value is not None:
            arguments += ['-p', f'{name}:={json.dumps(value)}']
    return arguments
