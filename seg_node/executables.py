"""The executables of `ros2 run seg_node`: quiet about Ctrl-C and SIGTERM from the first moment.

`python -m seg_node.executables NAME …` is the same without an installed script. Each works with
the virtual environment beside the workspace (`seg_node.venv`), and says in one line what is not
installed.

A node's imports take a second or more. What interrupts them would otherwise end in a traceback
from the middle of a library; under launch that looks like a crash.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

# Nothing of ours up here: until the handlers are set, a signal ends in a traceback.


def seg_node() -> int:
    """The segmentation node; with arguments that are not ROS's, what `python -m seg_node` does."""
    return _run('seg_node.ros.node' if _is_for_ros(sys.argv[1:]) else 'seg_node.cli')


def play() -> int:
    """The recorded camera: as parameters of the node, or as the verb `play` has them."""
    return _node_or_verb('seg_node.ros.play_node', 'play')


def lane_map() -> int:
    """The lane map: the node, or with arguments of its own the verb `lane-map`."""
    return _node_or_verb('seg_node.ros.lane_map_node', 'lane-map')


def carla_source() -> int:
    """The source of CARLA's frames."""
    return _node('seg_node_sim.ros_source')


def carla_server() -> int:
    """The embedded CARLA server."""
    return _run('seg_node_sim.server.__main__')


def check_model() -> int:
    """Whether a model can be run; for the launch files."""
    return _run('seg_node.model.check')


def check_source() -> int:
    """Whether CARLA could be driven so; for the launch files."""
    return _run('seg_node_sim.ros.check')


EXECUTABLES = {
    function.__name__: function
    for function in (
        seg_node,
        play,
        lane_map,
        carla_source,
        carla_server,
        check_model,
        check_source,
    )
}


@contextlib.contextmanager
def interrupt_ends(status: int, message: str = '', terminated: bool = False) -> Iterator[None]:
    """A Ctrl-C within the block ends the process at once with `status`; `terminated`: SIGTERM too.

    For imports, where there is nothing to clean up. Other threads than the main one, and programs
    that ignore a signal or take it themselves, are left alone.
    """
    untouched = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    if not terminated:
        del untouched[signal.SIGTERM]
    ours = {n: handler for n, handler in untouched.items() if signal.getsignal(n) is handler}

    def end(*_: object) -> None:
        if message:
            print(message, file=sys.stderr, flush=True)
        os._exit(status)

    try:
        for number in ours:
            signal.signal(number, end)
    except ValueError:  # another thread than the main one
        ours = {}
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


def _is_for_ros(words: Sequence[str]) -> bool:
    return not words or '--ros-args' in words


def _node(module: str) -> int:
    """A node, which has parameters and no arguments."""
    words = sys.argv[1:]
    if _is_for_ros(words):
        return _run(module)
    program = Path(sys.argv[0]).name
    usage = f'usage: {program} --ros-args -p NAME:=VALUE -r NAME:=TOPIC …'
    asked = words[0] in ('-h', '--help')
    print(
        usage if asked else f'error: {program}: got {words[0]!r}; {usage}',
        file=sys.stdout if asked else sys.stderr,
    )
    return 0 if asked else 2


def _node_or_verb(module: str, verb: str) -> int:
    if _is_for_ros(sys.argv[1:]):
        return _run(module)
    sys.argv.insert(1, verb)
    return _run('seg_node.cli')


def _run(module: str) -> int:
    try:
        with interrupt_ends(0, terminated=True):
            from seg_node.prerequisites import array_problem
            from seg_node.venv import use_venv

            use_venv()
            if problem := array_problem():
                print(f'error: {problem}', file=sys.stderr)
                return 1
            main = importlib.import_module(module).main
        return int(main())
    except KeyboardInterrupt:
        return 0
    except ImportError as error:
        from seg_node.prerequisites import missing

        print(f'error: {missing(error)}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ''
    if name not in EXECUTABLES:
        sys.exit(f'error: executable {name!r}: expected one of {", ".join(EXECUTABLES)}')
    sys.exit(EXECUTABLES[name]())
