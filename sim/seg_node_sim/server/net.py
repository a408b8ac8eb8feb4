"""One thread that owns every socket of the server.

The reactor accepts, reads and flushes; the world thread writes straight to the sockets and
leaves only the remainder of a message that the kernel would not take to the reactor.  So a
message of a megabyte goes out without being copied, and a slow or dead reader never blocks
the world.  Limits (`seg_node_sim.server.limits`) hold here: connections at once, bytes that a
client does not read, seconds that it may leave something unfinished.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from seg_node_sim.server.limits import Budget, Limits, Notices

_LOG = logging.getLogger(__name__)
_READ_BYTES = 1 << 16
_IOV_MAX = 64  # buffers a sendmsg; far below the kernel's limit of 1024
_UNREAD = 'it does not read its answers'
_LOOK_S = 1.0  # how often deadlines are looked at, and a listener that was paused is tried again

Buffer = bytes | bytearray | memoryview


class Connection:
    """A non-blocking TCP connection; `send` may be called from any thread.

    deadline: monotonic seconds at which the socket thread closes it, with `overdue` as the cause.
    spoken: whether the peer has sent something whole.
    """

    def __init__(self, reactor: Reactor, sock: socket.socket, peer: str) -> None:
        self.peer = peer
        self.on_data: Callable[[bytes], None] = lambda data: None
        self.on_close: Callable[[], None] = lambda: None
        self.deadline: float | None = None
        self.overdue = ''
        self.spoken = False
        self.active_at = time.monotonic()
        self._reactor = reactor
        self._sock = sock
        self._pending: deque[memoryview] = deque()
        self._unsent = 0
        self._unsent_limits: tuple[int, Budget] | None = None
        self._reading = True
        self._lock = threading.Condition()
        self._closed = False
        self._refused = False

    @property
    def closed(self) -> bool:
        """Whether either side has closed it."""
        return self._closed

    @property
    def refused(self) -> bool:
        """True when this side closed it: what it still asks for is not done."""
        return self._refused

    @property
    def busy(self) -> bool:
        """True while a part of an earlier message still waits for the peer to read."""
        return bool(self._pending)

    def limit_unsent(self, size: int, budget: Budget) -> None:
        """Close a peer that leaves more than `size` bytes unread, or more than `budget` has."""
        self._unsent_limits = (size, budget)

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send the buffers as one message; they must not be changed afterwards."""
        with self._lock:
            if self._closed or self._refused:
                return
            was_busy = bool(self._pending)
            if was_busy and self._unsent_limits and self._unsent > self._unsent_limits[0]:
                self.refuse(_UNREAD)
                return
            views = [memoryview(b).cast('B') for b in buffers if len(b)]
            self._pending.extend(views)
            self._unsent += sum(len(v) for v in views)
            if not was_busy:
                try:
                    self._write_some()
                except OSError:
                    self._reactor.call(self.close)
                    return
                self.active_at = time.monotonic()
                if self._pending:
                    self._reactor.call(self._watch)
            if self._pending and not self._account():
                self.refuse(_UNREAD)

    def _account(self) -> bool:
        """Hold what is unsent against the budget of all clients; False when that is used up."""
        return self._unsent_limits is None or self._unsent_limits[1].hold(self, self._unsent)

    def refuse(self, why: str) -> None:
        """Close a peer that broke a rule, from any thread; what it still asks for is dropped."""
        if not self._refused:
            self._refused = True
            self._reactor.notices.warn(why.split(':')[0], f'closing {self.peer}: {why}')
            self._reactor.call(self.close)

    def read(self, reading: bool) -> None:
        """Read from the peer, or leave what it sends to the kernel; from any thread."""
        self._reading = reading
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
            if self._unsent_limits is not None:
                self._unsent_limits[1].hold(self, 0)
            self._lock.notify_all()
        self._reactor.forget(self)
        self._sock.close()
        self.on_close()

    def close_soon(self) -> None:
        """Close from any thread."""
        self._reactor.call(self.close)

    def check(self, now: float, finish_s: float) -> None:
        """Close a peer whose time is up.  Only in the reactor's thread."""
        if self.deadline is not None and now > self.deadline:
            self.refuse(self.overdue)
        elif self._unsent_limits is not None and self.busy and now > self.active_at + finish_s:
            self.refuse(_UNREAD)

    def _write_some(self) -> None:
        while self._pending:
            chunk = [self._pending[i] for i in range(min(len(self._pending), _IOV_MAX))]
            try:
                sent = self._sock.sendmsg(chunk)
            except (BlockingIOError, InterruptedError):
                return
            self._unsent -= sent
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
            events = selectors.EVENT_READ if self._reading else 0
            self._reactor.watch(self, events | (selectors.EVENT_WRITE if self.busy else 0))

    def _ready(self, events: int) -> None:
        self.active_at = time.monotonic()
        if events & selectors.EVENT_WRITE:
            with self._lock:
                try:
                    self._write_some()
                except OSError:
                    events = 0
                self._account()
                done = not self._pending
            if not events:
                self.close()
                return
            if done:
                self._watch()
        if events & selectors.EVENT_READ and not self._closed and self._reading:
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

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.notices = Notices(_LOG)
        self._room = self.limits.open_connections()
        self._selector = selectors.DefaultSelector()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._drain_wakeups)
        self._listeners: dict[socket.socket, Callable[[int], None]] = {}
        self._paused = False
        self._look_at = 0.0
        self._connections: set[Connection] = set()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name='sockets', daemon=True)

    @property
    def connections(self) -> int:
        """How many are open."""
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
        self._listeners[listener] = lambda _: self._accept(listener, on_connect)
        self._selector.register(listener, selectors.EVENT_READ, self._listeners[listener])
        return int(listener.getsockname()[1])

    def start(self) -> None:
        """Starts the socket thread."""
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

    def watch(self, connection: Connection, events: int) -> None:
        """Wait for these events of a connection; 0 for none."""
        sock = connection._sock
        known = sock in self._selector.get_map()
        if events and known:
            self._selector.modify(sock, events, connection._ready)
        elif events:
            self._selector.register(sock, events, connection._ready)
        elif known:
            self._selector.unregister(sock)

    def forget(self, connection: Connection) -> None:
        """Wait for nothing of this connection any more."""
        self._connections.discard(connection)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection._sock)

    def _request_stop(self) -> None:
        self._stopping = True

    def _accept(self, listener: socket.socket, on_connect: Callable[[Connection], None]) -> None:
        try:
            sock, address = listener.accept()
        except BlockingIOError:
            return  # it went away before we looked
        except OSError as error:
            # Out of descriptors, say: the listener would be ready again at once, for ever.
            self.notices.warn('accept', f'cannot accept a connection: {error}')
            self._pause(True)
            return
        peer = f'{address[0]}:{address[1]}'
        if len(self._connections) >= self._room and not self._make_room():
            sock.close()
            self.notices.warn('room', f'closing {peer}: {self._room} connections are open')
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection = Connection(self, sock, peer)
        self._connections.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, connection._ready)
        on_connect(connection)

    def _make_room(self) -> bool:
        """Close the connection that has been silent longest, if it has been so for long."""
        now = time.monotonic()
        patience = {True: self.limits.idle_s, False: self.limits.silent_s}
        silent = [
            c for c in self._connections if now - c.active_at > patience[c.spoken] and not c.busy
        ]
        if not silent:
            return False
        oldest = min(silent, key=lambda c: (c.spoken, c.active_at))
        self.notices.warn('idle', f'closing {oldest.peer}: silent, and others want to connect')
        oldest.close()
        return True

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        for listener, accept in self._listeners.items():
            if paused and listener in self._selector.get_map():
                self._selector.unregister(listener)
            elif not paused and listener not in self._selector.get_map():
                self._selector.register(listener, selectors.EVENT_READ, accept)

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_S
        if self._paused:
            self._pause(False)
        for connection in list(self._connections):
            connection.check(now, self.limits.finish_s)

    def _drain_wakeups(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_read.recv(4096):
                pass

    def _run(self) -> None:
        while not self._stopping:
            for key, events in self._selector.select(_LOOK_S):
                if key.fileobj in self._selector.get_map():
                    self._guarded(functools.partial(key.data, events))
            while self._calls:
                self._guarded(self._calls.popleft())
            self._guarded(self._look)
        for connection in list(self._connections):
            connection.close()
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()

    def _guarded(self, function: Callable[[], None]) -> None:
        # One broken connection must not end the thread that serves all others.
        try:
            function()
        except Exception as error:
            self.notices.warn(
                type(error).__name__, f'error in the socket thread: {error}', trace=True
            )
