"""The streaming channel: world snapshots and sensor data, one TCP connection a subscription.

A client connects to the token's port, sends the stream id (u32) and from then on only reads
messages ``size u32 | payload``.
"""

from __future__ import annotations

import logging
import secrets
import struct
import threading
import time
from collections.abc import Sequence

from seg_node_sim.server.net import Buffer, Connection

_LOG = logging.getLogger(__name__)
_TCP = 1
_SIZE = struct.Struct('<I')


def make_token(stream_id: int, port: int) -> bytes:
    """24 bytes: id u32, port u16, protocol u8, address type u8 (0 = as connected), 16 address."""
    return struct.pack('<IHBB16x', stream_id, port, _TCP, 0)


class Stream:
    """The subscribers of one stream id."""

    def __init__(self, stream_id: int, token: bytes) -> None:
        self.id = stream_id
        self.token = token
        self._sessions: tuple[Connection, ...] = ()

    @property
    def has_subscribers(self) -> bool:
        """Whether anybody listens."""
        return bool(self._sessions)

    @property
    def sessions(self) -> tuple[Connection, ...]:
        """The connections that listen, in the order of their coming."""
        return self._sessions

    def add(self, session: Connection) -> None:
        """One more listens."""
        self._sessions = (*self._sessions, session)

    def remove(self, session: Connection) -> None:
        """One listens no more; nothing where it did not."""
        self._sessions = tuple(s for s in self._sessions if s is not session)

    def send(self, buffers: Sequence[Buffer], *, skip_busy: bool) -> int:
        """Send one message to all; returns how many sessions were skipped as still busy."""
        size = sum(memoryview(b).nbytes for b in buffers)
        message = [_SIZE.pack(size), *buffers]
        skipped = 0
        for session in self._sessions:
            if skip_busy and session.busy:
                skipped += 1
            else:
                session.send(message)
        return skipped


class StreamHub:
    """All streams of the server; knows who subscribes to what.

    Thread-safe: sessions come and go in the socket thread, messages are sent by the world.
    """

    def __init__(self, finish_s: float = 30.0) -> None:
        self.port = 0
        self.caller: Connection | None = None  # whose request is being served
        self._finish_s = finish_s
        self._streams: dict[int, Stream] = {}
        # Who announced a subscription to which stream; overdue ones are not waited for.
        self._expected: set[tuple[Connection | None, int]] = set()
        self._overdue: set[tuple[Connection | None, int]] = set()
        # The world's stream is 1, as in CARLA.  Sensors begin anywhere: a client of an earlier
        # server here, which subscribes anew to what it had, must not get another sensor's data.
        self._next_id = 1
        self._sensor_base = 2 + secrets.randbelow(1 << 30)
        self._changed = threading.Condition()

    def create(self) -> Stream:
        """A new stream with an id that no other has had."""
        with self._changed:
            stream = Stream(self._next_id, make_token(self._next_id, self.port))
            self._streams[stream.id] = stream
            self._next_id = max(self._next_id + 1, self._sensor_base)
        return stream

    def close(self, stream: Stream) -> None:
        """End a stream.  Its sessions stay open, silent, until the clients close them.

        A client whose session is closed by the server connects again at once, and again.
        """
        with self._changed:
            self._streams.pop(stream.id, None)
            for announced in (self._expected, self._overdue):
                announced -= {a for a in announced if a[1] == stream.id}
            for session in stream.sessions:
                session.on_close = lambda: None
                stream.remove(session)

    def token(self, stream_id: int) -> bytes | None:
        """Token of a stream, asked for right before a subscription; None when unknown."""
        with self._changed:
            stream = self._streams.get(stream_id)
            if stream is None:
                return None
            late = any(who is self.caller for who, _ in self._overdue)
            (self._overdue if late else self._expected).add((self.caller, stream_id))
            return stream.token

    def accept(self, connection: Connection) -> None:
        """A new connection of the streaming port: the first four bytes name the stream."""
        received = bytearray()
        connection.deadline = time.monotonic() + self._finish_s
        connection.overdue = f'it named no stream within {self._finish_s:g} s'

        def on_data(data: bytes) -> None:
            received.extend(data)
            if len(received) >= 4:
                connection.on_data = lambda data: None
                connection.deadline, connection.spoken = None, True
                self._subscribe(connection, struct.unpack_from('<I', received)[0])

        connection.on_data = on_data

    def wait_expected(self, timeout_s: float) -> None:
        """Wait until subscriptions that the caller has announced have arrived.

        `Sensor.listen` asks for the token and subscribes behind the caller's back; without
        this the first tick after it would bring no image, sometimes.  Who announces and does not
        come is not waited for again until a subscription to what it announced arrives.
        """
        caller = self.caller
        if not self._expected:
            return
        with self._changed:

            def missing() -> set[tuple[Connection | None, int]]:
                return {a for a in self._expected if a[0] is caller}

            if not self._changed.wait_for(lambda: not missing(), timeout_s):
                self._overdue |= missing()
                self._expected -= self._overdue

    def forget(self, caller: Connection) -> None:
        """A client is gone: nothing is expected of it any more."""
        with self._changed:
            for announced in (self._expected, self._overdue):
                announced -= {a for a in announced if a[0] is caller}
        if self.caller is caller:
            self.caller = None

    def wait_sent(self, timeout_s: float) -> None:
        """Wait for readers that lag behind; close those that do not catch up."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            lagging = [s for stream in self._streams.values() for s in stream.sessions if s.busy]
        for session in lagging:
            if not session.wait_sent(deadline):
                _LOG.warning('%s read nothing for %g s: closed', session.peer, timeout_s)
                session.close_soon()

    def _subscribe(self, connection: Connection, stream_id: int) -> None:
        with self._changed:
            known = self._expected | self._overdue
            for who in {who for who, stream in known if stream == stream_id}:
                self._expected.discard((who, stream_id))
                # It does come, if late: its other announcements count again.
                self._overdue -= {a for a in self._overdue if a[0] is who}
            stream = self._streams.get(stream_id)
            if stream is not None:
                stream.add(connection)
                connection.on_close = lambda: self._unsubscribe(stream, connection)
            self._changed.notify_all()

    def _unsubscribe(self, stream: Stream, connection: Connection) -> None:
        with self._changed:
            stream.remove(connection)
