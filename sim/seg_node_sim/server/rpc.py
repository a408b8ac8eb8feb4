"""The control channel: msgpack-rpc as CARLA's client speaks it (rpclib).

A connection is a bare sequence of msgpack objects: requests ``[0, id, method, params]``,
answers ``[1, id, nil, result]``.  ``params[0]`` is ``[is_async]``.  Results are wrapped in an
envelope; a failure's message becomes a RuntimeError in the client.

Whatever a client sends costs at most its own connection: requests are cut out of the bytes
without building objects, are bounded in size and in number of objects, and are read only as fast
as the world answers them.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from seg_node_sim.server.limits import Budget, Limits
from seg_node_sim.server.net import Connection

_LOG = logging.getLogger(__name__)
_PER_REQUEST = 200  # bytes that a waiting request takes besides its own
_LONGEST_MESSAGE = 600  # characters of a failure's text
_U32 = 1 << 32

VOID_OK = [[False]]


def value(result: Any) -> list[Any]:
    """Envelope of a returned value."""
    return [[1, result]]


def value_error(message: str) -> list[Any]:
    """Envelope of a failed call that would have returned a value."""
    return [[0, [plain(message)]]]


def void_error(message: str) -> list[Any]:
    """Envelope of a failed call that returns nothing."""
    return [[True, [plain(message)]]]


def plain(message: str) -> str:
    """One line of valid UTF-8: clients cannot decode anything else."""
    line = ' '.join(message.split()).encode('utf-8', 'backslashreplace').decode()
    return line if len(line) <= _LONGEST_MESSAGE else f'{line[:_LONGEST_MESSAGE]}...'


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a client, in the order in which its connection sent it."""

    connection: Connection
    msgid: int
    method: str
    is_async: bool
    args: Sequence[Any]

    def answer(self, envelope: Any) -> None:
        """Send the result. Text that is not UTF-8 goes back as the bytes that came."""
        try:
            data = msgpack.packb([1, self.msgid, None, envelope], unicode_errors='surrogateescape')
        except (TypeError, ValueError, OverflowError) as error:
            failure = value_error(f'{self.method}: the result cannot be sent: {error}')
            data = msgpack.packb([1, self.msgid, None, failure])
        self.connection.send([data])


@dataclass(frozen=True, slots=True)
class RawRequest:
    """The bytes of one request, on their way to the world's thread."""

    channel: RpcChannel
    data: bytes

    def parse(self) -> Request:
        """The call; ValueError when the bytes are something else."""
        message = msgpack.unpackb(
            self.data, raw=False, unicode_errors='surrogateescape', strict_map_key=False
        )
        if not isinstance(message, list) or len(message) != 4:
            raise ValueError(f'expected [0, id, method, params], got {repr(message)[:60]}')
        kind, msgid, method, params = message
        if type(kind) is not int or kind != 0 or type(msgid) is not int or not 0 <= msgid < _U32:
            raise ValueError(f'expected [0, id of 32 bits, ...], got {repr(message)[:60]}')
        if not isinstance(method, str) or not isinstance(params, list):
            raise ValueError(f'expected a name and a list, got {repr(message)[:60]}')
        is_async = bool(params[0][0]) if params and isinstance(params[0], list) else False
        return Request(self.channel.connection, msgid, method, is_async, params[1:])

    def done(self) -> None:
        """The world has dealt with it."""
        self.channel.finished(self)


class RpcChannel:
    """Turns the bytes of one connection into requests on the world's queue.

    held: budget of large requests, of all connections.
    """

    def __init__(
        self,
        connection: Connection,
        requests: queue.SimpleQueue[Any],
        limits: Limits,
        held: Budget,
    ) -> None:
        self.connection = connection
        self._requests = requests
        self._limits = limits
        self._held = held
        self._buffer = bytearray()
        self._waiting = 0  # bytes on the queue
        self._waiting_large = 0  # of them in requests that the budget pays for
        self._reading = True
        self._lock = threading.Lock()
        self._new_framer()
        connection.on_data = self._on_data

    def closed(self) -> None:
        """The connection is gone: what it held for an unfinished request is free again."""
        self.connection.on_data = lambda data: None
        self._buffer.clear()
        self._new_framer()
        self._hold()

    def finished(self, request: RawRequest) -> None:
        """A request has been dealt with; may be called from any thread."""
        size = len(request.data)
        with self._lock:
            self._waiting -= size + _PER_REQUEST
            if size > self._limits.small_bytes:
                self._waiting_large -= size
            resume = not self._reading and self._waiting < self._limits.waiting_bytes // 2
            self._reading = self._reading or resume
        if size > self._limits.small_bytes:
            self._hold()
        if resume:
            self.connection.read(True)

    def _new_framer(self) -> None:
        # It finds the ends of messages without building objects.
        self._framer = msgpack.Unpacker(max_buffer_size=self._limits.message_bytes + (1 << 17))
        self._begin = 0  # place of the buffer's first byte in what the framer has seen

    def _on_data(self, data: bytes) -> None:
        try:
            self._buffer += data
            self._framer.feed(data)
            while self._cut_one():
                pass
            self._check_unfinished()
        except Exception as error:
            # Garbage cannot be resynchronised: there is no framing.
            self.connection.refuse(f'not msgpack-rpc: {error}')
            self.closed()

    def _cut_one(self) -> bool:
        try:
            self._framer.skip()
        except msgpack.OutOfData:
            return False
        end = self._framer.tell() - self._begin
        message = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._begin += end
        if len(message) > self._limits.small_bytes:
            count_objects(message, self._limits.objects)
            self._new_framer()  # the old one keeps its largest buffer
            self._framer.feed(bytes(self._buffer))
        self._put(message)
        return True

    def _put(self, message: bytes) -> None:
        with self._lock:
            self._waiting += len(message) + _PER_REQUEST
            if len(message) > self._limits.small_bytes:
                self._waiting_large += len(message)
            pause = self._reading and self._waiting > self._limits.waiting_bytes
            self._reading = self._reading and not pause
        self.connection.spoken = True
        self._requests.put(RawRequest(self, message))
        if pause:
            self.connection.read(False)

    def _check_unfinished(self) -> None:
        size = len(self._buffer)
        if size > self._limits.message_bytes:
            raise ValueError(f'a request of more than {self._limits.message_bytes} bytes')
        if size == 0:
            self.connection.deadline = None
        elif self.connection.deadline is None:
            self.connection.deadline = time.monotonic() + self._limits.finish_s
            self.connection.overdue = (
                f'a request was not complete after {self._limits.finish_s:g} s'
            )
        if not self._hold():
            raise ValueError('large requests of all clients together take too much memory')

    def _hold(self) -> bool:
        unfinished = len(self._buffer)
        # The framer has a copy, in a buffer of up to twice the size.
        large = 3 * unfinished if unfinished > self._limits.small_bytes else 0
        return self._held.hold(self, large + self._waiting_large)


def _header_sizes() -> list[tuple[int, int]]:
    """By first byte: (bytes of a whole object without its payload, bytes of the length field)."""
    sizes = [(1, 0)] * 256
    for first in range(0xA0, 0xC0):
        sizes[first] = (1 + (first & 31), 0)
    for first, header, field in (
        (0xC4, 2, 1), (0xC5, 3, 2), (0xC6, 5, 4), (0xC7, 3, 1), (0xC8, 4, 2), (0xC9, 6, 4),
        (0xCA, 5, 0), (0xCB, 9, 0), (0xCC, 2, 0), (0xCD, 3, 0), (0xCE, 5, 0), (0xCF, 9, 0),
        (0xD0, 2, 0), (0xD1, 3, 0), (0xD2, 5, 0), (0xD3, 9, 0), (0xD4, 3, 0), (0xD5, 4, 0),
        (0xD6, 6, 0), (0xD7, 10, 0), (0xD8, 18, 0), (0xD9, 2, 1), (0xDA, 3, 2), (0xDB, 5, 4),
        (0xDC, 3, 0), (0xDD, 5, 0), (0xDE, 3, 0), (0xDF, 5, 0),
    ):  # fmt: skip
        sizes[first] = (header, field)
    return sizes


_SIZES = _header_sizes()


def count_objects(message: bytes, most: int) -> int:
    """Number of msgpack objects in whole messages, containers included (msgpack specification).

    Raises ValueError when there are more than `most`; takes no memory for them.
    """
    place, count, end = 0, 0, len(message)
    while place < end:
        count += 1
        if count > most:
            raise ValueError(f'a request of more than {most} objects')
        size, field = _SIZES[message[place]]
        if field:
            size += int.from_bytes(message[place + 1 : place + 1 + field], 'big')
        place += size
    return count
