"""A node in a process of its own, and a probe in this one: for the demo and for measurements."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from seg_node.children import child_environment
from seg_node.errors import InputError, last_line
from seg_node.shared_memory import clear_dead
from seg_node.transport import use_shipped_profile
from seg_node.tuning import tune_allocator


@contextlib.contextmanager
def private_graph() -> Iterator[None]:
    """rclpy on a ROS graph of this machine alone, so that neighbours neither hear nor disturb.

    A ROS_DOMAIN_ID that the user has set is kept.
    """
    os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(80, 99)))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    with named_graph():
        yield


@contextlib.contextmanager
def named_graph() -> Iterator[None]:
    """rclpy on the ROS graph that the environment names."""
    os.environ.setdefault('AMENT_PREFIX_PATH', sys.prefix)
    clear_dead()
    use_shipped_profile()
    tune_allocator()
    # Ctrl-C is this process's to handle: rclpy's own handler would end the graph under its feet.
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        rclpy.try_shutdown()


@contextlib.contextmanager
def node_process(
    module: str, arguments: Sequence[str] = (), log: Path | None = None
) -> Iterator[subprocess.Popen[Any]]:
    """Run `python -m module` beside this process; end it with Ctrl-C, then by force."""
    with contextlib.ExitStack() as stack:
        output: IO[str] | None = stack.enter_context(log.open('w')) if log is not None else None
        process = subprocess.Popen(
            [sys.executable, '-m', module, *arguments],
            stdout=output,
            stderr=output,
            env=child_environment(),
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ensure_running(process: subprocess.Popen[Any], log: Path) -> None:
    """Raise `InputError` with the last line of its log when a node's process has ended."""
    if process.poll() is None:
        return
    reason = last_line(log.read_text(encoding='utf-8', errors='replace')) or 'it said nothing'
    raise InputError(f'{log.stem} ended with status {process.returncode}: {reason}')


@contextlib.contextmanager
def spinning(node: Any) -> Iterator[None]:
    """Spin `node` in a thread of its own, and destroy it at the end."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join(5)
        node.destroy_node()
