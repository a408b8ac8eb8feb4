"""A rig of cameras in one node: sends at one moment, and keeps what nodes say of each camera."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from seg_node.camera.size import Size
from seg_node.errors import InputError
from seg_node.images.frames import fill_image
from seg_node.ros.play_node import pinhole_camera_info
from seg_node.ros.probe import RELIABLE, Array

COUNTS = ('received', 'published', 'superseded', 'stale', 'rejected', 'unread')
_PATIENCE_S = 240.0
"""A busy machine starts slowly."""


@dataclass(frozen=True)
class Reading:
    """A camera's status at one time: `counts` by name, age of masks in ms."""

    time_s: float
    counts: dict[str, int]
    age_p99_ms: float

    @property
    def unaccounted(self) -> int:
        """Frames received of which nothing is said."""
        return self.counts['received'] - sum(self.counts[name] for name in COUNTS[1:])


class RigProbe(Node):
    """Sends `pictures`, uint8 (H, W, 3) BGR, one of each camera; `readings` by camera."""

    def __init__(self, names: Sequence[str], pictures: Sequence[Array]) -> None:
        super().__init__('rig')
        self.readings: dict[str, list[Reading]] = {name: [] for name in names}
        self._pictures = [fill_image(Image(), pixels, 'bgr8') for pixels in pictures]
        self._info = pinhole_camera_info(Size.of(pictures[0]), 90.0)
        self._senders = [
            tuple(
                self.create_publisher(kind, f'/{name}/{topic}', RELIABLE)
                for kind, topic in ((Image, 'image'), (CameraInfo, 'camera_info'))
            )
            for name in names
        ]
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def connect(self) -> None:
        """Send until every camera is answered for. Raises `InputError` when that takes long."""
        end = time.monotonic() + _PATIENCE_S
        while not all(r and r[-1].counts['published'] for r in self.readings.values()):
            if time.monotonic() > end:
                raise InputError('bench --cameras: expected masks of every camera, none came')
            self.send()
            time.sleep(0.3)

    def send_for(self, seconds: float, rate: float) -> dict[str, list[Reading]]:
        """Send `rate` times a second; the readings of that time, at least two, by camera.

        A busy machine reports late: it is sent to for longer. Raises `InputError` when that lasts.
        """
        for readings in self.readings.values():
            readings.clear()
        due = time.monotonic()
        begun, end = due, due + seconds
        while due < end or any(len(r) < 2 for r in self.readings.values()):
            if due > begun + seconds + _PATIENCE_S:
                raise InputError(
                    'bench --cameras: expected /diagnostics of every camera, none came'
                )
            time.sleep(max(0.0, due - time.monotonic()))
            self.send()
            due = max(due + 1.0 / rate, time.monotonic() - 1.0)
        return {name: list(readings) for name, readings in self.readings.items()}

    def send(self) -> None:
        """A picture of every camera, all of one stamp."""
        self._info.header.stamp = self.get_clock().now().to_msg()
        for picture, (images, infos) in zip(self._pictures, self._senders):
            picture.header = self._info.header
            infos.publish(self._info)
            images.publish(picture)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name, _, kind = status.name.partition(': ')
            camera = next((part for part in name.split('/') if part in self.readings), None)
            if kind != 'segmentation' or camera is None:
                continue
            values = {item.key: item.value for item in status.values}
            counts = {key: int(values[f'frames_{key}']) for key in COUNTS}
            age = float(values.get('frame_age_ms_p99', 'nan'))
            self.readings[camera].append(Reading(time.monotonic(), counts, age))
