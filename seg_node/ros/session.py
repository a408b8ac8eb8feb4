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
from rclpy.executors import SingleThreadedExecutor

from seg_node.errors import InputError
from seg_node.ros.dds import tune_allocator, use_shipped_profile


@contextlib.contextmanager
def private_graph() -> Iterator[None]:
    """rclpy on a ROS graph of this machine alone, so that neighbours neither hear nor disturb.

    A ROS_DOMAIN_ID that the user has set is kept.
    """
    os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(80, 99)))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('AMENT_PREFIX_PATH', sys.prefix)
    use_shipped_profile()
    tune_allocator()
    rclpy.init(args=[])
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
            [sys.executable, '-m', module, *arguments], stdout=output, stderr=output
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
    lines = log.read_text(encoding='utf-8', errors='replace').strip().splitlines()
    reason = lines[-1] if lines else 'it said nothing'
    raise InputError(f'{log.stem} ended with status {process.returncode}: {reason}')


@contextlib.contextmanager
def spinning(node: Any) -> Iterator[None]:
    """Spin `node` in a thread of its own, and destroy it at the end."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join(5)
        node.destroy_node()
