"""The executables of `ros2 run seg_node`: quiet about a Ctrl-C from the first moment on.

`python -m seg_node.executables NAME …` is the same without an installed script.

A node's imports take a second or more. What interrupts them would otherwise end in a traceback
from the middle of a library; under launch that looks like a crash.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator


def seg_node() -> int:
    """The segmentation node."""
    return _run('seg_node.ros.node')


def play() -> int:
    """The recorded camera."""
    return _run('seg_node.ros.play_node')


def lane_map() -> int:
    """The lane map."""
    return _run('seg_node.ros.lane_map_node')


def carla_source() -> int:
    """The source of CARLA's frames."""
    return _run('seg_node_sim.ros_source')


def carla_server() -> int:
    """The embedded CARLA server."""
    return _run('seg_node_sim.server.__main__')


EXECUTABLES = {
    made.__name__: made for made in (seg_node, play, lane_map, carla_source, carla_server)
}


@contextlib.contextmanager
def interrupt_ends(status: int, message: str = '') -> Iterator[None]:
    """A Ctrl-C within the block ends the process at once with `status`.

    For imports, where there is nothing to clean up. Other threads than the main one, and programs
    that ignore Ctrl-C or take it themselves, are left alone.
    """
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not ours or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        if message:
            print(message, file=sys.stderr, flush=True)
        os._exit(status)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _run(module: str) -> int:
    with interrupt_ends(0):
        main = importlib.import_module(module).main
    try:
        return int(main())
    except KeyboardInterrupt:
        return 0


if __name__ == '__main__':
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ''
    if name not in EXECUTABLES:
        sys.exit(f'error: executable {name!r}: expected one of {", ".join(EXECUTABLES)}')
    sys.exit(EXECUTABLES[name]())
