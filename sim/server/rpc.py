"""The control channel: msgpack-rpc as CARLA's client speaks it (rpclib).

A connection is a bare sequence of msgpack objects: requests ``[0, id, method, params]``,
answers ``[1, id, nil, result]``.  ``params[0]`` is ``[is_async]``.  Results are wrapped in an
envelope; a failure's message becomes a RuntimeError in the client.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from seg_node_sim.server.net import Connection

_LOG = logging.getLogger(__name__)
_MAX_REQUEST_BYTES = 64 << 20  # an OpenDRIVE text is the largest thing a client sends

VOID_OK = [[False]]


def value(result: Any) -> list[Any]:
    """Envelope of a returned value."""
    return [[1, result]]


def value_error(message: str) -> list[Any]:
    """Envelope of a failed call that would have returned a value."""
    return [[0, [message]]]


def void_error(message: str) -> list[Any]:
    """Envelope of a failed call that returns nothing."""
    return [[True, [message]]]


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a client, in the order in which its connection sent it."""

    connection: Connection
    msgid: int
    method: str
    is_async: bool
    args: Sequence[Any]

    def answer(self, envelope: Any) -> None:
        self.connection.send([msgpack.packb([1, self.msgid, None, envelope])])


class RpcChannel:
    """Turns the bytes of one connection into requests on the world's queue."""

    def __init__(self, connection: Connection, requests: queue.SimpleQueue[Any]) -> None:
        self._connection = connection
        self._requests = requests
        self._unpacker = msgpack.Unpacker(
            raw=False,
            unicode_errors='surrogateescape',
            strict_map_key=False,
            max_buffer_size=_MAX_REQUEST_BYTES,
        )
        connection.on_data = self._on_data

    def _on_data(self, data: bytes) -> None:
        try:
            self._unpacker.feed(data)
            for message in self._unpacker:
                self._requests.put(self._parse(message))
        except Exception as error:
            # Garbage cannot be resynchronised: there is no framing.
            _LOG.warning('closing %s: not msgpack-rpc (%s)', self._connection.peer, error)
            self._connection.close()

    def _parse(self, message: Any) -> Request:
        kind, msgid, method, params = message
        if kind != 0 or not isinstance(method, str):
            raise ValueError(f'expected [0, id, method, params], got {str(message)[:80]}')
        is_async = bool(params[0][0]) if params and isinstance(params[0], list) else False
        return Request(self._connection, int(msgid), method, is_async, params[1:])
