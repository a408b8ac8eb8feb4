"""One thread that owns every socket of the server.

The reactor accepts, reads and flushes; the world thread writes straight to the sockets and
leaves only the remainder of a message that the kernel would not take to the reactor.  So a
message of a megabyte goes out without being copied, and a slow or dead reader never blocks
the world.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

_LOG = logging.getLogger(__name__)
_READ_BYTES = 1 << 16
_IOV_MAX = 64  # buffers a sendmsg; far below the kernel's limit of 1024

Buffer = bytes | bytearray | memoryview


class Connection:
    """A non-blocking TCP connection; `send` may be called from any thread."""

    def __init__(self, reactor: Reactor, sock: socket.socket, peer: str) -> None:
        self.peer = peer
        self.on_data: Callable[[bytes], None] = lambda data: None
        self.on_close: Callable[[], None] = lambda: None
        self._reactor = reactor
        self._sock = sock
        self._pending: deque[memoryview] = deque()
        self._lock = threading.Condition()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def busy(self) -> bool:
        """True while a part of an earlier message still waits for the peer to read."""
        return bool(self._pending)

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send the buffers as one message; they must not be changed afterwards."""
        with self._lock:
            if self._closed:
                return
            was_busy = bool(self._pending)
            self._pending.extend(memoryview(b).cast('B') for b in buffers if len(b))
            if was_busy:
                return
            try:
                self._write_some()
            except OSError:
                self._reactor.call(self.close)
                return
            if self._pending:
                self._reactor.call(self._watch)

    def wait_sent(self, deadline: float) -> bool:
        """Wait until nothing is pending; False when `deadline` (monotonic s) came first."""
        with self._lock:
            return self._lock.wait_for(
                lambda: self._closed or not self._pending, max(0.0, deadline - time.monotonic())
            )

    def close(self) -> None:
        """Close at once; calls `on_close` one time.  Only in the reactor's thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._pending.clear()
            self._lock.notify_all()
        self._reactor.forget(self)
        self._sock.close()
        self.on_close()

    def close_soon(self) -> None:
        """Close from any thread."""
        self._reactor.call(self.close)

    def _write_some(self) -> None:
        while self._pending:
            chunk = [self._pending[i] for i in range(min(len(self._pending), _IOV_MAX))]
            try:
                sent = self._sock.sendmsg(chunk)
            except (BlockingIOError, InterruptedError):
                return
            while sent:
                head = self._pending[0]
                if sent < len(head):
                    self._pending[0] = head[sent:]
                    break
                sent -= len(head)
                self._pending.popleft()
        self._lock.notify_all()

    def _watch(self) -> None:
        if not self._closed:
            self._reactor.want_write(self, self.busy)

    def _ready(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            with self._lock:
                try:
                    self._write_some()
                except OSError:
                    events = 0
                done = not self._pending
            if not events:
                self.close()
                return
            if done:
                self._reactor.want_write(self, False)
        if events & selectors.EVENT_READ and not self._closed:
            try:
                data = self._sock.recv(_READ_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b''
            if data:
                self.on_data(data)
            else:
                self.close()


class Reactor:
    """The socket thread: `listen`, `start`, `stop`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._drain_wakeups)
        self._listeners: list[socket.socket] = []
        self._connections: set[Connection] = set()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name='sockets', daemon=True)

    @property
    def connections(self) -> int:
        return len(self._connections)

    def listen(self, host: str, port: int, on_connect: Callable[[Connection], None]) -> int:
        """Accept connections on host:port (0 = any free one); returns the port.

        Raises OSError when the port is in use.
        """
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(128)
        except OSError:
            listener.close()
            raise
        listener.setblocking(False)
        self._listeners.append(listener)
        self._selector.register(
            listener, selectors.EVENT_READ, lambda _: self._accept(listener, on_connect)
        )
        return int(listener.getsockname()[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close every socket and end the thread."""
        if self._thread.is_alive():
            self.call(self._request_stop)
            self._thread.join(5.0)
        for listener in self._listeners:
            listener.close()

    def call(self, function: Callable[[], None]) -> None:
        """Run a function in the socket thread, soon."""
        self._calls.append(function)
        # A full pipe already holds a wake-up; a closed one means that the server ends.
        with contextlib.suppress(OSError):
            self._wake_write.send(b'.')

    def want_write(self, connection: Connection, wanted: bool) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0)
        self._selector.modify(connection._sock, events, connection._ready)

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection._sock)

    def _request_stop(self) -> None:
        self._stopping = True

    def _accept(self, listener: socket.socket, on_connect: Callable[[Connection], None]) -> None:
        try:
            sock, address = listener.accept()
        except OSError as error:
            _LOG.warning('cannot accept a connection: %s', error)
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, sock, f'{address[0]}:{address[1]}')
        self._connections.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, connection._ready)
        on_connect(connection)

    def _drain_wakeups(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_read.recv(4096):
                pass

    def _run(self) -> None:
        while not self._stopping:
            for key, events in self._selector.select():
                if key.fileobj in self._selector.get_map():
                    self._guarded(lambda call=key.data, mask=events: call(mask))
            while self._calls:
                self._guarded(self._calls.popleft())
        for connection in list(self._connections):
            connection.close()
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()

    @staticmethod
    def _guarded(function: Callable[[], None]) -> None:
        # One broken connection must not end the thread that serves all others.
        try:
            function()
        except Exception:
            _LOG.exception('error in the socket thread')
