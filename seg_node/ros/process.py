"""How a node's process starts and ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from seg_node.errors import SegNodeError
from seg_node.ros.dds import tune_allocator, use_shipped_profile


def run_node(make: Callable[[], Any], args: list[str] | None = None) -> int:
    """Run one node until it is told to stop; the exit status.

    `make` creates the node. Its `start()` is called once before spinning and `stop()` before it
    is destroyed, where it has them. Ctrl-C ends with 0: under launch two SIGINT arrive, so further
    ones are ignored while the node winds up.
    """
    use_shipped_profile()
    tune_allocator()
    node = None
    status = 0
    try:
        rclpy.init(args=args)
        node = make()
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
