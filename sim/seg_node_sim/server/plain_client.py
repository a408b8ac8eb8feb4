"""A client of the control channel without CARLA's library: one socket and msgpack.

For questions that need no library (`ask_version`), and for tests, which send what the library
never would.
"""

from __future__ import annotations

import socket
from typing import Any

import msgpack

_MAX_ANSWER_BYTES = 64 << 20


class PlainClient:
    """One connection; calls are answered in order.

    Raises OSError when nobody answers in time, ConnectionError when the server closes.
    """

    def __init__(self, port: int, host: str = '127.0.0.1', timeout_s: float = 20.0) -> None:
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.number = 0
        self._unpacker = msgpack.Unpacker(
            raw=False, unicode_errors='surrogateescape', max_buffer_size=_MAX_ANSWER_BYTES
        )

    def call(self, method: str, *args: Any) -> Any:
        """The enveloped result: `[[1, value]]`, `[[0, [message]]]`, `[[False]]` ..."""
        self.number += 1
        self.socket.sendall(
            msgpack.packb(
                [0, self.number, method, [[False], *args]], unicode_errors='surrogateescape'
            )
        )
        return self.read()

    def read(self) -> Any:
        """The result of request `number`; ValueError when something else comes."""
        while True:
            for message in self._unpacker:
                if not isinstance(message, list) or message[:3] != [1, self.number, None]:
                    raise ValueError(f'expected [1, {self.number}, nil, result], got {message!r}')
                return message[3]
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError('the server closed the connection without an answer')
            self._unpacker.feed(data)

    def __enter__(self) -> PlainClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
