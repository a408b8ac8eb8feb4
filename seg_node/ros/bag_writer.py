"""Messages as they come over DDS, into an MCAP file."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

from rclpy.serialization import serialize_message

from seg_node.bags.writer import McapWriter
from seg_node.errors import InputError
from seg_node.stamps import stamp_ns

_TYPES = {
    'Image': 'sensor_msgs/msg/Image',
    'CameraInfo': 'sensor_msgs/msg/CameraInfo',
    'Odometry': 'nav_msgs/msg/Odometry',
}
_MAX_WAITING = 400
"""Messages that may wait for the disk before the bag stops taking more."""


class BagThread:
    """Writes rclpy messages, stamped with the time of their headers, in a thread of its own.

    Raises `InputError` at the end of the block when the bag could not be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: queue.Queue[tuple[str, str, Any] | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name='bag')
        self._problem: InputError | None = None
        self.lost = 0

    def __enter__(self) -> BagThread:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        if self._problem is not None and kind is None:
            raise self._problem

    def write(self, topic: str, kind: Any, message: Any) -> None:
        """Append one message; counted in `lost` when the disk is too slow or full."""
        try:
            self._waiting.put_nowait((topic, _TYPES[kind.__name__], message))
        except queue.Full:
            self.lost += 1

    def _run(self) -> None:
        try:
            with McapWriter(self._path) as bag:
                while (item := self._waiting.get()) is not None:
                    topic, kind, message = item
                    data = serialize_message(message)
                    bag.put_serialized(topic, stamp_ns(message), kind, data)
        except InputError as error:
            self._problem = error
            # A block that ends must not wait for room that nobody makes.
            while self._waiting.get() is not None:
                self.lost += 1
