"""Writing a bag: one MCAP file, whole or not there, that ROS 2, rosbags and Foxglove read."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from seg_node.bags.typestore import standard_types
from seg_node.errors import InputError
from seg_node.files import write_errors

_FOREVER = QosTime(2147483647, 4294967295)
_VERSION = 9
"""Of rosbag2's metadata, as ROS 2 Jazzy writes it."""


def check_bag_name(path: Path) -> None:
    """Raise `InputError` for a file name that is no bag that is written."""
    if path.suffix != '.mcap':
        raise InputError(f'{path}: expected a name that ends in .mcap')


class McapWriter:
    """Writes messages into FILE.mcap; the file appears when the block ends well.

    Raises `InputError` when the file cannot be written, in one line with the reason. Not
    thread-safe.
    """

    def __init__(self, path: Path) -> None:
        check_bag_name(path)
        self._path = path
        self._store = standard_types()
        self._channels: dict[str, Any] = {}

    @property
    def types(self) -> Any:
        """Message classes by the name of their type, e.g. `sensor_msgs/msg/Image`."""
        return self._store.types

    def __enter__(self) -> McapWriter:
        with write_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # rosbags writes a folder with metadata; the MCAP in it says everything itself.
            self._folder = tempfile.TemporaryDirectory(
                dir=self._path.parent, prefix=f'.{self._path.stem}-'
            )
            bag = Path(self._folder.name) / self._path.stem
            self._writer = Writer(bag, version=_VERSION, storage_plugin=StoragePlugin.MCAP)
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is not None:
                with contextlib.suppress(OSError):
                    self._writer.abort()
                return
            with write_errors(self._path):
                self._writer.close()
                (self._writer.path / self._path.name).replace(self._path)
        finally:
            self._folder.cleanup()

    def put(self, topic: str, time_ns: int, message: Any, latched: bool = False) -> None:
        """Append a message of one of `types`; `latched` topics are replayed to late readers."""
        kind = message.__msgtype__
        self.put_serialized(
            topic, time_ns, kind, self._store.serialize_cdr(message, kind), latched
        )

    def put_serialized(
        self, topic: str, time_ns: int, kind: str, data: bytes | memoryview, latched: bool = False
    ) -> None:
        """Append the CDR bytes of a message of type `kind`, as rclpy serializes it."""
        with write_errors(self._path):
            if topic not in self._channels:
                self._channels[topic] = self._writer.add_connection(
                    topic, kind, typestore=self._store, offered_qos_profiles=[_qos(latched)]
                )
            self._writer.write(self._channels[topic], time_ns, data)


def _qos(latched: bool) -> Qos:
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(
        QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, durability,
        _FOREVER, _FOREVER, QosLiveliness.SYSTEM_DEFAULT, _FOREVER, False,
    )  # fmt: skip
