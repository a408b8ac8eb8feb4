"""A drive in a child process: what everything outside sim/client uses.

The CARLA library ends its process when a server dies at the wrong moment (its Traffic Manager
threads), holds Python's lock in long calls, and may abort at exit. In a process of its own none of
that reaches the program; images come through shared memory.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

from seg_node.errors import ConfigError
from seg_node_sim.client import messages
from seg_node_sim.client.carla_api import require_carla
from seg_node_sim.client.child import Child
from seg_node_sim.client.drive import DriveRequest, Tick
from seg_node_sim.client.errors import ClientFailed, ServerError, ServerLost
from seg_node_sim.client.session import LOAD_TIMEOUT_S
from seg_node_sim.client.weather import parse_weather

_SLOTS = 4
_STARTS = 3
_EXIT_S = 10.0
_EXIT_UNCONNECTED_S = 1.0


class DriveProcess:
    """A running drive. Use it in a `with` block, then iterate over its ticks.

    `ready` says what was found. Raises, from entering the block or from iterating: `ConfigError`
    (wrong request), `ServerError` (no server, or it refused), `ServerLost` (it went away).
    """

    def __init__(
        self,
        request: DriveRequest,
        pace: float = 0.0,
        retry_s: float = 0.0,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.request = request
        self._order = messages.DriveOrder(request, _SLOTS, pace, retry_s)
        self._say = say
        self._wake_in, self._wake_out = socket.socketpair()
        self._watch: socket.socket | None = None
        self._connected = False
        self._child: Child | None = None
        self.ready: messages.Ready | None = None

    @property
    def pid(self) -> int:
        """Process id of the child."""
        assert self._child is not None
        return self._child.process.pid

    def __enter__(self) -> DriveProcess:
        require_carla()
        try:
            for start in range(1, _STARTS + 1):
                self._child = Child(self._order)
                try:
                    self.ready = self._wait_ready()
                    return self
                except ClientFailed as error:
                    if start == _STARTS:
                        raise
                    self._say(f'{error}; starting another')
                    self._end_child()
            raise AssertionError('unreachable')
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def change_weather(self, text: str) -> None:
        """Another weather from the next tick on; `parse_weather` says what `text` may be."""
        parse_weather(text)
        child = self._child
        if child is not None:
            child.send(messages.ChangeWeather(text))

    def interrupt(self) -> None:
        """Let the iteration end soon; may be called from another thread or a signal handler."""
        with contextlib.suppress(OSError):
            self._wake_in.send(b'x')

    def __iter__(self) -> Iterator[Tick]:
        """Ticks for ever. A tick's images are valid until the next one is asked for."""
        child = self._child
        assert child is not None
        # A tick and its images have each their own time-out in the child, which speaks first.
        patience = 3 * self.request.timeout_s + 5.0
        while True:
            message = self._receive(patience)
            if message is None:
                return
            if not isinstance(message, messages.Ticked):
                continue
            yield Tick(
                message.frame,
                message.elapsed_s,
                message.ego,
                child.frames.images(message.slot),
                message.camera_poses,
            )
            child.send(messages.Free(message.slot))

    def stop(self) -> None:
        """End the child: it destroys what it spawned and gives the settings back."""
        with _signals_held():
            self._end_child()
            self._wake_in.close()
            self._wake_out.close()

    def _wait_ready(self) -> messages.Ready:
        patience = self._order.retry_s + LOAD_TIMEOUT_S + 4 * self.request.timeout_s
        message = self._receive(patience)
        if not isinstance(message, messages.Ready):
            raise ServerError(f'drive process: expected Ready, got {message!r}')
        return message

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.send(messages.Stop())
        if self.ready is None:  # it is busy spawning, and does not listen
            child.process.terminate()
        if not self._wait_for_end(child):
            child.kill()
        child.process.wait()
        child.close()
        self._connected = False
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _wait_for_end(self, child: Child) -> bool:
        """Whether the child ends by itself; no use waiting once the server is gone."""
        patience = _EXIT_S + 2 * self.request.timeout_s
        deadline = time.monotonic() + (patience if self._connected else _EXIT_UNCONNECTED_S)
        while (left := deadline - time.monotonic()) > 0.0:
            sources = [child.connection, *([self._watch] if self._watch is not None else [])]
            readable = wait(sources, left)
            if self._watch in readable and self._server_closed():
                return False
            if child.connection in readable:
                try:
                    child.connection.recv()
                except (EOFError, OSError):
                    return True
        return False

    def _watch_server(self) -> None:
        """Hold a connection to the server: its end tells of a killed server at once, where the
        CARLA library only runs into its time-out.
        """
        self._connected = True
        address = self.request.address
        with contextlib.suppress(OSError):
            self._watch = socket.create_connection((address.host, address.port), 2.0)

    def _receive(self, patience_s: float) -> Any:
        """The next message that is not for the log; None after `interrupt`."""
        child = self._child
        assert child is not None
        deadline = time.monotonic() + patience_s
        while True:
            sources = [child.connection, self._wake_out]
            if self._watch is not None:
                sources.append(self._watch)
            readable = wait(sources, max(0.0, deadline - time.monotonic()))
            if self._wake_out in readable:
                return None
            if not readable:
                child.kill()
                raise ServerLost(f'server {self.request.address}: no frame for {patience_s:g} s')
            if self._watch in readable and self._server_closed():
                child.kill()  # there is nothing left for it to clean up
                raise ServerLost(f'server {self.request.address} went away')
            if child.connection not in readable:
                continue
            try:
                message = child.connection.recv()
            except (EOFError, OSError):
                raise self._ended(child) from None
            if isinstance(message, messages.Said):
                self._say(message.text)
            elif isinstance(message, messages.Connected):
                if not message.synchronous:  # as another child must leave it
                    self._order = replace(self._order, asynchronous=True)
                self._watch_server()
            elif isinstance(message, messages.Failed):
                raise _error(message)
            else:
                return message

    def _ended(self, child: Child) -> ServerError:
        # A library that crashes for a dead server may do so before the socket tells of it.
        kind = ServerLost if self._watch is None or wait([self._watch], 0.5) else ClientFailed
        return kind(f'server {self.request.address}: {child.epitaph()}')

    def _server_closed(self) -> bool:
        assert self._watch is not None
        try:
            if self._watch.recv(1):
                return False
        except OSError:
            pass
        self._watch.close()
        self._watch = None
        return True


def _error(failed: messages.Failed) -> ServerError | ConfigError:
    kinds: dict[str, type[ServerError] | type[ConfigError]] = {
        'lost': ServerLost, 'server': ServerError, 'config': ConfigError, 'hangs': ClientFailed
    }  # fmt: skip
    return kinds[failed.kind](failed.text)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Ignore Ctrl-C for a moment: cleaning up must not be cut short by a second one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
