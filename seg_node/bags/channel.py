"""What a bag holds: channels, their messages, and the topics that a reader of it sees."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

READABLE = ('cdr', 'ros1')
"""Encodings of messages that can be deserialized: ROS 2's and ROS 1's."""
Complain = Callable[[str], None]


@dataclass(frozen=True)
class Channel:
    """How the messages of one topic are written.

    `type`: `package/msg/Name`. `encoding`: of the messages, one of `READABLE` or another's name.
    `text`: the definition in the language `schema` (ros2msg, ros1msg, ros2idl, omgidl), or empty.
    """

    topic: str
    type: str
    encoding: str = 'cdr'
    schema: str = ''
    text: str = ''

    @classmethod
    def of(cls, topic: str, kind: str, encoding: str, schema: str = '', text: str = '') -> Channel:
        """With the type's name made whole: `sensor_msgs/Image` is `sensor_msgs/msg/Image`."""
        package, slash, name = kind.partition('/')
        if encoding in READABLE and slash and '/' not in name:
            kind = f'{package}/msg/{name}'
        return cls(topic, kind, encoding, schema, text)


@dataclass(frozen=True)
class Topic:
    """One topic: `type` as `package/msg/Name`, `count` of its messages (0: not known)."""

    name: str
    type: str
    count: int
    encoding: str = 'cdr'

    def __str__(self) -> str:
        foreign = '' if self.encoding in READABLE else f', {self.encoding or "no encoding"}'
        return f'{self.name} ({self.type}{foreign})'


@dataclass(frozen=True)
class BagMessage:
    """One serialized message; `log_ns` is the time at which it was recorded."""

    channel: Channel
    log_ns: int
    raw: bytes

    @property
    def topic(self) -> str:
        """Name of its topic."""
        return self.channel.topic

    @property
    def type(self) -> str:
        """Its type, `package/msg/Name`."""
        return self.channel.type

    @property
    def stamp_ns(self) -> int:
        """Header stamp in ns, or the log time where the header has none.

        Only for messages that begin with a header. In CDR the stamp follows the 4 bytes of the
        encapsulation, in ROS 1 the 4 bytes of `seq`.
        """
        try:
            seconds, nanoseconds = struct.unpack_from(f'{self._order}iI', self.raw, 4)
        except (struct.error, IndexError):
            return self.log_ns
        return seconds * 10**9 + nanoseconds or self.log_ns

    @property
    def frame_id(self) -> str:
        """`frame_id` of the header, which follows the stamp in both formats."""
        try:
            (length,) = struct.unpack_from(f'{self._order}I', self.raw, 12)
        except (struct.error, IndexError):
            return ''
        return self.raw[16 : 16 + length].rstrip(b'\0').decode('utf-8', 'replace')

    @property
    def _order(self) -> str:
        return '<' if self.channel.encoding == 'ros1' or self.raw[1] & 1 else '>'


class Storage(Protocol):
    """An open file of a bag: its channels with the number of messages of each (0: not known)."""

    @property
    def channels(self) -> Sequence[tuple[Channel, int]]:
        """Every channel, with its number of messages."""

    def messages(
        self, topics: Sequence[str], start_ns: int | None, complain: Complain
    ) -> Iterator[BagMessage]:
        """Messages of `topics` by time of recording; what is damaged is told to `complain`."""

    def close(self) -> None:
        """Closes the file."""
