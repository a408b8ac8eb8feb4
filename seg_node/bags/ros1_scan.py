"""Messages of a ROS 1 bag without its index, as far as its bytes go.

A recorder that is killed leaves chunks but neither index nor chunk infos. Records are read one
after the other, and the last chunk only as far as it can be decompressed
(http://wiki.ros.org/Bags/Format/2.0).
"""

from __future__ import annotations

import bz2
import contextlib
import importlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from seg_node.bags.channel import Channel
from seg_node.bags.mcap_records import MOST_UNCOMPRESSED, read_bounded

MAGIC = b'#ROSBAG V2.0\n'
_MESSAGE, _CHUNK, _CONNECTION = 0x02, 0x05, 0x07
_LENGTH = struct.Struct('<I')
_Fields = dict[str, bytes]


def fits(path: Path) -> bool:
    """Whether the file begins as a ROS 1 bag does."""
    with path.open('rb') as stream:
        return stream.read(len(MAGIC)) == MAGIC


def scan(path: Path) -> Iterator[tuple[Channel, int, bytes]]:
    """(channel, log time in ns, data) of every whole message, in the order of the file."""
    channels: dict[bytes, Channel] = {}
    with path.open('rb') as stream:
        stream.seek(len(MAGIC))
        for fields, data in _flattened(stream):
            # A record that lacks what it should have is left out like one that is cut off.
            with contextlib.suppress(LookupError, struct.error, ValueError):
                code = fields['op'][0]
                if code == _CONNECTION:
                    channels[fields['conn']] = _channel(fields['topic'].decode(), _fields(data))
                elif code == _MESSAGE:
                    seconds, nanoseconds = struct.unpack('<II', fields['time'])
                    yield channels[fields['conn']], seconds * 10**9 + nanoseconds, data


def _channel(topic: str, connection: _Fields) -> Channel:
    text = connection['message_definition'].decode()
    return Channel.of(topic, connection['type'].decode(), 'ros1', 'ros1msg', text)


def _flattened(stream: BinaryIO) -> Iterator[tuple[_Fields, bytes]]:
    """(header, data) of the records, those inside of chunks included."""
    while (header := _block(stream)) is not None:
        data = _block(stream, whole=False)
        if data is None:
            return
        fields = _fields(header)
        if fields.get('op') == bytes((_CHUNK,)):
            yield from _inside(_uncompressed(fields, data))
        else:
            yield fields, data


def _block(stream: BinaryIO, whole: bool = True) -> bytes | None:
    """The next block that begins with its length; None at the end, or of a cut one if `whole`."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = read_bounded(stream, length)
    return None if whole and len(data) < length else data


def _inside(data: bytes) -> Iterator[tuple[_Fields, bytes]]:
    at = 0
    while (header := _slice(data, at)) is not None:
        at += _LENGTH.size + len(header)
        content = _slice(data, at)
        if content is None:
            return
        yield _fields(header), content
        at += _LENGTH.size + len(content)


def _slice(data: bytes, at: int) -> bytes | None:
    if at + _LENGTH.size > len(data):
        return None
    end = at + _LENGTH.size + _LENGTH.unpack_from(data, at)[0]
    return data[at + _LENGTH.size : end] if end <= len(data) else None


def _fields(header: bytes) -> _Fields:
    """`name=value` fields of a header."""
    fields: _Fields = {}
    at = 0
    while (field := _slice(header, at)) is not None:
        name, _, value = field.partition(b'=')
        fields[name.decode('ascii', 'replace')] = value
        at += _LENGTH.size + len(field)
    return fields


def _uncompressed(fields: _Fields, data: bytes) -> bytes:
    """The content of a chunk, or the part of it that its bytes still give."""
    kind = fields.get('compression', b'')
    if kind == b'none':
        return data
    with contextlib.suppress(Exception):  # lz4 has errors of its own: nothing can be had
        limit = min(*_LENGTH.unpack(fields['size']), MOST_UNCOMPRESSED)
        if kind == b'bz2':
            return bz2.BZ2Decompressor().decompress(data, limit)
        if kind == b'lz4':
            lz4 = importlib.import_module('lz4.frame').LZ4FrameDecompressor()
            return bytes(lz4.decompress(data, max_length=limit))
    return b''
