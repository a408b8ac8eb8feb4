"""Bags that rosbags reads for us: ROS 1, and folders of rosbag2 whose files are compressed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag2 import Reader as Reader2

from seg_node.bags.channel import BagMessage, Channel, Complain


class RosbagsFile:
    """A ROS 1 file, or a folder of ROS 2. Raises what rosbags raises."""

    def __init__(self, path: Path) -> None:
        self._reader = Reader2(path) if path.is_dir() else Reader1(path)
        self._reader.open()
        encoding = 'cdr' if path.is_dir() else 'ros1'
        idl = MessageDefinitionFormat.IDL
        self._channels = {
            c.id: Channel.of(
                c.topic,
                c.msgtype,
                encoding,
                'ros2idl' if c.msgdef.format == idl else 'ros2msg',
                c.msgdef.data,
            )
            for c in self._reader.connections
        }
        self.channels = tuple((self._channels[c.id], c.msgcount) for c in self._reader.connections)

    def messages(
        self, topics: Sequence[str], start_ns: int | None, complain: Complain
    ) -> Iterator[BagMessage]:
        """See `Storage`."""
        chosen = [c for c in self._reader.connections if c.topic in topics]
        if chosen:  # rosbags takes none for all
            for connection, log_ns, raw in self._reader.messages(chosen, start=start_ns):
                yield BagMessage(self._channels[connection.id], log_ns, raw)

    def close(self) -> None:
        """Close the files."""
        with contextlib.suppress(Exception):
            self._reader.close()
