"""Records of an MCAP file as far as its bytes go, with every length held against what is there.

A recorder that is killed leaves no index, and often half a chunk. Records are read one after the
other, and of the last chunk whatever can still be decompressed (https://mcap.dev/spec). Not by
`mcap`'s StreamReader: it gives nothing of a chunk that is cut off, and allocates what a damaged
length asks for.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from seg_node.bags.channel import Channel

MAGIC = b'\x89MCAP0\r\n'
_SCHEMA, _CHANNEL, MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
_HEAD = struct.Struct('<BQ')
_CHUNK_HEAD = struct.Struct('<QQQI')
MESSAGE_HEAD = struct.Struct('<HIQQ')
MOST_UNCOMPRESSED = 1 << 30
"""Bytes that one chunk may come to: what is larger is damaged, or meant to fill the memory."""


class NoIndex(ValueError):
    """A file that may be whole, but tells nowhere what is in it."""


def fits(path: Path) -> bool:
    """Whether the file begins as an MCAP does."""
    with path.open('rb') as stream:
        return stream.read(len(MAGIC)) == MAGIC


def scan(path: Path) -> Iterator[tuple[Channel, int, bytes]]:
    """(channel, log time in ns, data) of every whole message, in the order of the file."""
    schemas: dict[int, tuple[str, str, str]] = {0: ('', '', '')}
    channels: dict[int, Channel] = {}
    with path.open('rb') as stream:
        stream.seek(len(MAGIC))
        for code, data in _flattened(stream):
            # A record whose inside does not fit its length is left out like one that is cut off.
            with contextlib.suppress(LookupError, struct.error, ValueError):
                if code == _SCHEMA:
                    key, (name, encoding, text) = _fields(data, '<H', 3)
                    schemas[key[0]] = name, encoding, text
                elif code == _CHANNEL:
                    (number, schema), (topic, encoding) = _fields(data, '<HH', 2)
                    name, language, text = schemas[schema]
                    channels[number] = Channel.of(topic, name, encoding, language, text)
                elif code == MESSAGE:
                    number, _, log_ns, _ = MESSAGE_HEAD.unpack_from(data)
                    yield channels[number], log_ns, data[MESSAGE_HEAD.size :]


def read_bounded(stream: BinaryIO, length: int) -> bytes:
    """Up to `length` bytes, without asking for more memory than the file has bytes left."""
    left = os.fstat(stream.fileno()).st_size - stream.tell()
    return stream.read(max(0, min(length, left)))


def chunk_at(stream: BinaryIO, offset: int) -> bytes:
    """The uncompressed content of the chunk record at byte `offset`.

    Raises `ValueError` when it is not whole.
    """
    stream.seek(offset)
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size or head[0] != _CHUNK:
        raise ValueError('expected a chunk')
    (length,) = struct.unpack_from('<Q', head, 1)
    chunk = read_bounded(stream, length)
    if len(chunk) < length:
        raise ValueError(f'cut off: expected {length} bytes, got {len(chunk)}')
    _, _, size, checksum = _CHUNK_HEAD.unpack_from(chunk)
    content = _uncompressed(chunk)
    if len(content) != size:
        raise ValueError(f'expected {size} bytes when uncompressed, got {len(content)}')
    if checksum and zlib.crc32(content) != checksum:
        raise ValueError('its checksum is wrong')
    return content


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(code, content) of the whole records in `data`."""
    at = 0
    while at + _HEAD.size <= len(data):
        code, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if at + length > len(data):
            return
        yield code, data[at : at + length]
        at += length


def _flattened(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(code, content) of the records, those inside of chunks included."""
    while len(head := stream.read(_HEAD.size)) == _HEAD.size:
        code, length = _HEAD.unpack(head)
        data = read_bounded(stream, length)
        if code == _CHUNK:
            with contextlib.suppress(Exception):  # zstd and lz4: nothing can be had
                yield from records(_uncompressed(data))
        if code == _DATA_END or len(data) < length:
            return
        yield code, data


def _uncompressed(chunk: bytes) -> bytes:
    """The content of a chunk record, or the part of it that its bytes still give."""
    claimed = _CHUNK_HEAD.unpack_from(chunk)[2]
    kind, at = _text(chunk, _CHUNK_HEAD.size)
    data = chunk[at + 8 :]
    limit = min(claimed, MOST_UNCOMPRESSED)
    return data if not kind else bytes(_decompressor(kind).decompress(data, max_length=limit))


def _decompressor(kind: str) -> Any:
    if kind == 'lz4':
        return importlib.import_module('lz4.frame').LZ4FrameDecompressor()
    if kind != 'zstd':
        raise ValueError(f'compression {kind!r}: expected zstd or lz4')
    try:
        zstd = importlib.import_module('compression.zstd')  # Python 3.14
    except ImportError:
        zstd = importlib.import_module('backports.zstd')
    return zstd.ZstdDecompressor()


def _fields(data: bytes, numbers: str, texts: int) -> tuple[tuple[int, ...], list[str]]:
    """The numbers at the beginning of a record and the texts that follow them."""
    at = struct.calcsize(numbers)
    fields = []
    for _ in range(texts):
        text, at = _text(data, at)
        fields.append(text)
    return struct.unpack_from(numbers, data), fields


def _text(data: bytes, at: int) -> tuple[str, int]:
    (size,) = struct.unpack_from('<I', data, at)
    return data[at + 4 : at + 4 + size].decode(), at + 4 + size
