"""A drive in a child process: what everything outside sim/client uses.

The CARLA library ends its process when a server dies at the wrong moment (its Traffic Manager
threads), holds Python's lock in long calls, and may abort at exit. In a process of its own none of
that reaches the program; images come through shared memory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from seg_node.errors import ConfigError
from seg_node_sim.client.carla_api import require_carla
from seg_node_sim.client.drive import DriveRequest, Tick
from seg_node_sim.client.errors import ServerError, ServerLost
from seg_node_sim.client.messages import (
    ChangeWeather,
    Connected,
    Failed,
    Free,
    Order,
    Ready,
    Said,
    Stop,
    Ticked,
)
from seg_node_sim.client.session import LOAD_TIMEOUT_S
from seg_node_sim.client.shared import SharedFrames
from seg_node_sim.client.weather import parse_weather

_SLOTS = 4
_EXIT_S = 10.0


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
        self._order = Order(request, _SLOTS, pace, retry_s)
        self._say = say
        self._wake_in, self._wake_out = socket.socketpair()
        self._watch: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Any = None
        self._frames: SharedFrames | None = None
        self.ready: Ready | None = None

    @property
    def pid(self) -> int:
        """Process id of the child."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> DriveProcess:
        require_carla()
        try:
            self._start()
            patience = self._order.retry_s + LOAD_TIMEOUT_S + 4 * self.request.timeout_s
            message = self._receive(patience)
            if not isinstance(message, Ready):
                raise ServerError(f'drive process: expected Ready, got {message!r}')
            self.ready = message
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def change_weather(self, text: str) -> None:
        """Another weather from the next tick on; `parse_weather` says what `text` may be."""
        parse_weather(text)
        self._send(ChangeWeather(text))

    def interrupt(self) -> None:
        """Let the iteration end soon; may be called from another thread or a signal handler."""
        with contextlib.suppress(OSError):
            self._wake_in.send(b'x')

    def __iter__(self) -> Iterator[Tick]:
        """Ticks for ever. A tick's images are valid until the next one is asked for."""
        assert self._frames is not None
        # A tick and its images have each their own time-out in the child, which speaks first.
        patience = 3 * self.request.timeout_s + 5.0
        while True:
            message = self._receive(patience)
            if message is None:
                return
            if not isinstance(message, Ticked):
                continue
            yield Tick(
                message.frame,
                message.elapsed_s,
                message.ego,
                self._frames.images(message.slot),
                message.camera_poses,
            )
            self._send(Free(message.slot))

    def stop(self) -> None:
        """End the child: it destroys what it spawned and gives the settings back."""
        with _signals_held():
            process, self._process = self._process, None
            if process is None:
                return
            self._send(Stop())
            try:
                process.wait(_EXIT_S + 2 * self.request.timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._close()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._frames = SharedFrames(self.request.rig, _SLOTS)
        # Started from anywhere, the child must find the same package as this process.
        package_root = str(Path(__file__).absolute().parents[2])
        paths = [package_root, os.environ.get('PYTHONPATH', '')]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable, '-m', 'seg_node_sim.client.worker',
                    str(theirs.fileno()), str(self._frames.descriptor),
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env={**os.environ, 'PYTHONPATH': os.pathsep.join(p for p in paths if p)},
                pass_fds=(theirs.fileno(), self._frames.descriptor),
                start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on
            )  # fmt: skip
        self._connection = Connection(ours.detach())
        self._connection.send(self._order)

    def _watch_server(self) -> None:
        """Hold a connection to the server: its end tells of a killed server at once, where the
        CARLA library only runs into its time-out.
        """
        address = self.request.address
        with contextlib.suppress(OSError):
            self._watch = socket.create_connection((address.host, address.port), 2.0)

    def _receive(self, patience_s: float) -> Any:
        """The next message that is not for the log; None after `interrupt`."""
        deadline = time.monotonic() + patience_s
        while True:
            sources = [self._connection, self._wake_out]
            if self._watch is not None:
                sources.append(self._watch)
            readable = wait(sources, max(0.0, deadline - time.monotonic()))
            if self._wake_out in readable:
                return None
            if not readable:
                self._kill()
                raise ServerLost(f'server {self.request.address}: no frame for {patience_s:g} s')
            if self._watch is not None and self._watch in readable and self._server_closed():
                self._kill()
                raise ServerLost(f'server {self.request.address} went away')
            if self._connection not in readable:
                continue
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                raise self._ended() from None
            if isinstance(message, Said):
                self._say(message.text)
            elif isinstance(message, Connected):
                self._watch_server()
            elif isinstance(message, Failed):
                raise _error(message)
            else:
                return message

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

    def _kill(self) -> None:
        """The server is gone, so there is nothing for the child to clean up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _ended(self) -> ServerLost:
        assert self._process is not None
        status = self._process.wait()
        said = os.pread(self._log.fileno(), 1 << 16, 0).decode(errors='replace').strip()
        last = said.splitlines()[-1] if said else 'nothing'
        how = signal.Signals(-status).name if status < 0 else f'status {status}'
        return ServerLost(
            f'server {self.request.address}: the client ended with {how}, saying {last}'
        )

    def _send(self, message: Any) -> None:
        with contextlib.suppress(OSError):
            self._connection.send(message)

    def _close(self) -> None:
        self._connection.close()
        self._log.close()
        self._wake_in.close()
        self._wake_out.close()
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self._frames is not None:
            self._frames.close_descriptor()
            self._frames = None


def _error(failed: Failed) -> ServerError | ConfigError:
    kinds = {'lost': ServerLost, 'server': ServerError, 'config': ConfigError}
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
