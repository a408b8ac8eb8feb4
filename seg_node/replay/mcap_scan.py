"""Messages of an MCAP file that lost its end, as far as its bytes go.

A recorder that is killed leaves no index, and often half a chunk. Records are read one after the
other, and of the last chunk whatever can still be decompressed (https://mcap.dev/spec).
"""

from __future__ import annotations

import contextlib
import importlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

MAGIC = b'\x89MCAP0\r\n'
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
_HEAD = struct.Struct('<BQ')


@dataclass(frozen=True)
class Schema:
    """A message type: `package/msg/Name`, how it is written down, and the text."""

    name: str
    encoding: str
    text: str


@dataclass(frozen=True)
class Found:
    """One message; `log_ns` is its time of recording."""

    schema: Schema
    topic: str
    log_ns: int
    data: bytes


def fits(path: Path) -> bool:
    """Whether the file begins as an MCAP does."""
    with path.open('rb') as stream:
        return stream.read(len(MAGIC)) == MAGIC


def scan(path: Path) -> Iterator[Found]:
    """Every whole message, in the order of the file."""
    schemas: dict[int, Schema] = {}
    channels: dict[int, tuple[str, int]] = {}
    with path.open('rb') as stream:
        stream.seek(len(MAGIC))
        for code, data in _flattened(stream):
            # A record whose inside does not fit its length is left out like one that is cut off.
            with contextlib.suppress(struct.error, UnicodeDecodeError):
                if code == _SCHEMA:
                    key, name, encoding, text = _schema(data)
                    schemas[key] = Schema(name, encoding, text)
                elif code == _CHANNEL:
                    key, schema, topic = _channel(data)
                    channels[key] = topic, schema
                elif code == _MESSAGE:
                    key, _, log_ns, _ = struct.unpack_from('<HIQQ', data)
                    topic, schema = channels.get(key, ('', 0))
                    if schema in schemas:
                        yield Found(schemas[schema], topic, log_ns, data[22:])


def _flattened(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(code, content) of the records, those inside of chunks included."""
    while len(head := stream.read(_HEAD.size)) == _HEAD.size:
        code, length = _HEAD.unpack(head)
        data = stream.read(length)
        if code == _CHUNK:
            yield from _inside(_uncompressed(data))
        if code == _DATA_END or len(data) < length:
            return
        yield code, data


def _inside(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEAD.size <= len(data):
        code, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if at + length > len(data):
            return
        yield code, data[at : at + length]
        at += length


def _uncompressed(chunk: bytes) -> bytes:
    """The content of a chunk record, or the part of it that its bytes still give."""
    try:
        (size,) = struct.unpack_from('<I', chunk, 28)
        kind = chunk[32 : 32 + size].decode()
        data = chunk[32 + size + 8 :]
        return data if not kind else _decompressor(kind).decompress(data)
    except Exception:  # zstd and lz4 have errors of their own: nothing can be had
        return b''


def _decompressor(kind: str) -> Any:
    if kind == 'lz4':
        return importlib.import_module('lz4.frame').LZ4FrameDecompressor()
    if kind != 'zstd':
        raise ValueError(kind)
    try:
        zstd = importlib.import_module('compression.zstd')  # Python 3.14
    except ImportError:
        zstd = importlib.import_module('backports.zstd')
    return zstd.ZstdDecompressor()


def _schema(data: bytes) -> tuple[int, str, str, str]:
    (key,) = struct.unpack_from('<H', data)
    name, at = _text(data, 2)
    encoding, at = _text(data, at)
    text, _ = _text(data, at)
    return key, name, encoding, text


def _channel(data: bytes) -> tuple[int, int, str]:
    key, schema = struct.unpack_from('<HH', data)
    topic, _ = _text(data, 4)
    return key, schema, topic


def _text(data: bytes, at: int) -> tuple[str, int]:
    (size,) = struct.unpack_from('<I', data, at)
    return data[at + 4 : at + 4 + size].decode(), at + 4 + size
