"""A whole MCAP file, read by its index: only the chunks that hold what is asked for."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from mcap.reader import SeekingReader

from seg_node.bags.channel import BagMessage, Channel, Complain
from seg_node.bags.mcap_records import (
    MAGIC,
    MESSAGE,
    MESSAGE_HEAD,
    NoIndex,
    chunk_at,
    read_bounded,
    records,
)
from seg_node.errors import first_line


class McapFile:
    """Open MCAP with an index. Raises `NoIndex` without one, or what `mcap` raises."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open('rb')
        try:
            self._stream.seek(-len(MAGIC), os.SEEK_END)
            if self._stream.read() != MAGIC:
                raise ValueError('the magic at its end is missing')
            self._stream.seek(0)
            self._index(SeekingReader(_Bounded(self._stream)).get_summary())  # type: ignore[arg-type]
        except BaseException:
            self._stream.close()
            raise

    def _index(self, summary: Any) -> None:
        if summary is None or summary.statistics is None:
            raise NoIndex
        if summary.statistics.message_count and not (summary.channels and summary.chunk_indexes):
            raise NoIndex
        counts = summary.statistics.channel_message_counts
        self._by_number = {c.id: _channel(c, summary.schemas) for c in summary.channels.values()}
        self._chunks = sorted(
            summary.chunk_indexes, key=lambda c: (c.message_start_time, c.chunk_start_offset)
        )
        self.channels = tuple((c, counts.get(number, 0)) for number, c in self._by_number.items())

    def messages(
        self, topics: Sequence[str], start_ns: int | None, complain: Complain
    ) -> Iterator[BagMessage]:
        """See `Storage`. A damaged chunk is left out; the others are read."""
        channels = {
            n: channel for n, channel in self._by_number.items() if channel.topic in topics
        }
        start = 0 if start_ns is None else start_ns
        waiting: list[tuple[int, int, BagMessage]] = []
        serial = 0
        for chunk in self._chunks:
            there = chunk.message_index_offsets.keys()
            if chunk.message_end_time < start or (there and not there & channels.keys()):
                continue
            # Chunks may overlap in time: only what is before the next one can go.
            while waiting and waiting[0][0] < chunk.message_start_time:
                yield heapq.heappop(waiting)[2]
            try:
                content = chunk_at(self._stream, chunk.chunk_start_offset)
            except Exception as error:  # zstd and lz4 have errors of their own
                complain(f'chunk at byte {chunk.chunk_start_offset}: {first_line(error)}')
                continue
            for code, data in records(content):
                if code != MESSAGE or len(data) < MESSAGE_HEAD.size:
                    continue
                number, _, log_ns, _ = MESSAGE_HEAD.unpack_from(data)
                if number in channels and log_ns >= start:
                    message = BagMessage(channels[number], log_ns, data[MESSAGE_HEAD.size :])
                    heapq.heappush(waiting, (log_ns, serial, message))
                    serial += 1
        while waiting:
            yield heapq.heappop(waiting)[2]

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


class _Bounded:
    """A file for `mcap`, which allocates what a damaged length asks for."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, length: int) -> bytes:
        return read_bounded(self._stream, length)


def _channel(channel: Any, schemas: dict[int, Any]) -> Channel:
    schema = schemas.get(channel.schema_id)
    if schema is None:
        return Channel.of(channel.topic, '', channel.message_encoding)
    text = schema.data.decode('utf-8', 'replace')
    return Channel.of(channel.topic, schema.name, channel.message_encoding, schema.encoding, text)
