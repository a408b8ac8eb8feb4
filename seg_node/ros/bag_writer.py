"""Messages as they come over DDS, into an MCAP file."""

from __future__ import annotations

import contextlib
import queue
import tempfile
import threading
from pathlib import Path
from typing import Any

from rclpy.serialization import serialize_message
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

_TYPES = {
    'Image': 'sensor_msgs/msg/Image',
    'CameraInfo': 'sensor_msgs/msg/CameraInfo',
    'Odometry': 'nav_msgs/msg/Odometry',
}
_MAX_WAITING = 400
"""Messages that may wait for the disk before the bag stops taking more."""


class BagWriter:
    """Writes rclpy messages, stamped with the time of their headers, in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: queue.Queue[tuple[str, str, Any] | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name='bag')
        self.lost = 0

    def __enter__(self) -> BagWriter:
        self._thread.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._waiting.put(None)
        self._thread.join()

    def write(self, topic: str, kind: Any, message: Any) -> None:
        """Append one message; counted in `lost` when the disk is too slow."""
        try:
            self._waiting.put_nowait((topic, _TYPES[kind.__name__], message))
        except queue.Full:
            self.lost += 1

    def _run(self) -> None:
        # rosbags writes a folder with metadata; the one MCAP file in it says everything itself.
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(dir=self._path.parent, prefix=f'.{self._path.stem}-')
            )
            parts = Path(folder) / 'bag'
            writer = Writer(parts, version=9, storage_plugin=StoragePlugin.MCAP)
            writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            with writer:
                self._drain(writer)
            next(parts.glob('*.mcap')).replace(self._path)

    def _drain(self, writer: Writer) -> None:
        store = get_typestore(Stores.ROS2_JAZZY)
        connections: dict[str, Any] = {}
        while (item := self._waiting.get()) is not None:
            topic, kind, message = item
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            stamp = message.header.stamp
            nanoseconds = stamp.sec * 1_000_000_000 + stamp.nanosec
            writer.write(connections[topic], nanoseconds, serialize_message(message))
