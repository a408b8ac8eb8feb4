"""How a node's process starts and ends."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions, install_signal_handlers

from seg_node.errors import ConfigError, SegNodeError, cause_line, first_line
from seg_node.shared_memory import clear_dead, own_port
from seg_node.transport import use_shipped_profile
from seg_node.tuning import tune_allocator

_ENDING = (signal.SIGINT, signal.SIGTERM)


def _initialise(args: list[str] | None) -> None:
    """Start rclpy; what it says of bad arguments is a `ConfigError`."""
    try:
        # Its handlers end the context at once, and what is created in it just then can crash: they
        # come when the node spins.
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:
        raise ConfigError(f'ROS arguments: {first_line(error)}') from None


def _made(make: Callable[[], Any]) -> Any:
    """The node; what rclpy says of its name or parameters is a `ConfigError`."""
    try:
        return make()
    except (ParameterException, NameValidationException) as error:
        raise ConfigError(f'ROS arguments: {first_line(error)}') from None


def _ignore() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _interrupt_once() -> None:
    """Let the first Ctrl-C or SIGTERM be the only one: a second would interrupt what winds up."""

    def interrupt(*_: object) -> None:
        _ignore()
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            signal.signal(number, interrupt)


@contextmanager
def _held() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait: an executor or a participant half made cannot be taken down.

    What they interrupt there ends in tracebacks of rclpy's finalisers or in `std::terminate` of a
    Fast DDS thread that is just starting. Threads made inside keep the mask, which is right: the
    main thread answers signals.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wind_up(node: Any) -> None:
    try:
        if hasattr(node, 'stop'):
            node.stop()
        node.destroy_node()
    except Exception as error:
        if rclpy.ok():
            print(f'error: {cause_line(error)}', file=sys.stderr)


def run_node(make: Callable[[], Any], args: list[str] | None = None) -> int:
    """Run one node until it is told to stop; the exit status.

    `make` creates the node. Its `start()` is called once before spinning and `stop()` before it
    is destroyed, where it has them. Ctrl-C ends with 0: under launch two SIGINT arrive, so further
    ones are ignored while the node winds up.
    """
    clear_dead()
    use_shipped_profile()
    tune_allocator()
    _interrupt_once()
    node = None
    status = 0
    initialised = False
    try:
        with _held():
            with own_port():
                _initialise(args)
                initialised = True
                node = _made(make)
            executor = SingleThreadedExecutor()
            executor.add_node(node)
        if hasattr(node, 'start'):
            node.start()
        install_signal_handlers()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except SegNodeError as error:
        print(f'error: {error}', file=sys.stderr)
        status = 1
    except Exception as error:
        # rclpy's own handlers of Ctrl-C and SIGTERM end the context, whatever is made in it then.
        if not initialised or rclpy.ok():
            print(f'error: {cause_line(error)}', file=sys.stderr)
            status = 1
    finally:
        _ignore()
        if node is not None:
            _wind_up(node)
        rclpy.try_shutdown()
        # rclpy puts back the handlers that it had found, among them the one that interrupts.
        _ignore()
    return status
