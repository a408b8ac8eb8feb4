"""The `carla` package, or one line that says how to get it."""

from __future__ import annotations

from typing import Any

from seg_node.errors import ConfigError
from seg_node.prerequisites import install_command


def require_carla() -> Any:
    """The module `carla`. Raises `ConfigError` where it is not installed."""
    try:
        import carla
    except ImportError as error:
        raise ConfigError(
            f'carla: the CARLA client is not installed ({error}): {install_command("sim")} '
            'with Python 3.10 to 3.12'
        ) from None
    return carla
