"""How a node's process starts and ends."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from seg_node.errors import ConfigError, SegNodeError
from seg_node.ros.dds import tune_allocator, use_shipped_profile


def _made(make: Callable[[], Any], args: list[str] | None) -> Any:
    """Start rclpy and make the node; what it says of bad arguments is a `ConfigError`."""
    try:
        rclpy.init(args=args)
    except RuntimeError as error:
        raise ConfigError(f'ROS arguments: {_first_line(error)}') from None
    try:
        return make()
    except (ParameterException, NameValidationException) as error:
        raise ConfigError(f'ROS arguments: {_first_line(error)}') from None


def _interrupt_once() -> None:
    """Let the first Ctrl-C be the only one: a second would interrupt what winds up."""

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupt)


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def run_node(make: Callable[[], Any], args: list[str] | None = None) -> int:
    """Run one node until it is told to stop; the exit status.

    `make` creates the node. Its `start()` is called once before spinning and `stop()` before it
    is destroyed, where it has them. Ctrl-C ends with 0: under launch two SIGINT arrive, so further
    ones are ignored while the node winds up.
    """
    use_shipped_profile()
    tune_allocator()
    _interrupt_once()
    node = None
    status = 0
    try:
        node = _made(make, args)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        if hasattr(node, 'start'):
            node.start()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except SegNodeError as error:
        print(f'error: {error}', file=sys.stderr)
        status = 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if node is not None:
            if hasattr(node, 'stop'):
                node.stop()
            node.destroy_node()
        rclpy.try_shutdown()
    return status
