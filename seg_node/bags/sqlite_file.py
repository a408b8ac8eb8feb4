"""A rosbag2 file of sqlite3 (https://github.com/ros2/rosbag2, `rosbag2_storage_sqlite3`).

Not by rosbags, which opens a file all or not at all: one definition in a language that it does
not know, or one topic that is not CDR, and nothing can be read.

A column of sqlite3 holds values of any type (https://sqlite.org/datatype3.html): rows that hold
what no recorder writes are left out, messages among them are missing from the count.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from seg_node.bags.channel import BagMessage, Channel, Complain

MAGIC = b'SQLite format 3\0'


class SqliteFile:
    """Open sqlite3 storage. Raises `sqlite3.Error`."""

    def __init__(self, path: Path) -> None:
        # As a URI, so that nothing is written beside a file in a folder that is read-only.
        address = f'{path.resolve().as_uri()}?mode=ro&immutable=1'
        # One thread reads at a time, but not always the one that opened or closes the file.
        self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        self._connection.text_factory = lambda raw: raw.decode('utf-8', 'replace')
        try:
            self._by_number = self._read_channels()
            query = 'SELECT topic_id, count(*) FROM messages GROUP BY topic_id'
            counts = dict(self._connection.execute(query))
        except BaseException:
            self._connection.close()
            raise
        self.channels = tuple((c, counts.get(number, 0)) for number, c in self._by_number.items())

    def _read_channels(self) -> dict[int, Channel]:
        definitions: dict[str, tuple[str, str]] = {}
        if self._connection.execute('PRAGMA table_info(message_definitions)').fetchall():
            columns = ('topic_type', 'encoding', 'encoded_message_definition')
            query = f'SELECT {", ".join(columns)} FROM message_definitions'
            for kind, language, text in self._connection.execute(f'{query} {_texts(*columns)}'):
                definitions[kind] = language, text
        columns = ('name', 'type', 'serialization_format')
        query = f'SELECT id, {", ".join(columns)} FROM topics {_texts(*columns)} ORDER BY id'
        return {
            number: Channel.of(topic, kind, encoding, *definitions.get(kind, ('', '')))
            for number, topic, kind, encoding in self._connection.execute(query)
        }

    def messages(
        self, topics: Sequence[str], start_ns: int | None, complain: Complain
    ) -> Iterator[BagMessage]:
        """See `Storage`."""
        channels = {
            n: channel for n, channel in self._by_number.items() if channel.topic in topics
        }
        places = ', '.join('?' * len(channels))
        rows = self._connection.execute(
            'SELECT topic_id, timestamp, data FROM messages '
            f'WHERE topic_id IN ({places}) AND timestamp >= ? '
            "AND typeof(timestamp) = 'integer' AND typeof(data) = 'blob' ORDER BY timestamp, id",
            (*channels, -(2**63) if start_ns is None else start_ns),
        )
        for number, log_ns, data in rows:
            yield BagMessage(channels[number], log_ns, data)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


def _texts(*columns: str) -> str:
    return 'WHERE ' + ' AND '.join(f"typeof({column}) = 'text'" for column in columns)
