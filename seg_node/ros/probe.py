"""A camera and a reader in one node: sends frames, gets answers back, knows the time between."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from seg_node.camera.size import Size
from seg_node.errors import InputError
from seg_node.images.frames import fill_image
from seg_node.ros.play_node import pinhole_camera_info
from seg_node.stamps import stamp_ns

RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
Array = npt.NDArray[np.uint8]


@dataclass
class Trip:
    """What came of the frames sent: `latency_ms` from sending to the answer's arrival."""

    sent: int = 0
    answered: int = 0
    latency_ms: list[float] = field(default_factory=list)


class LatencyProbe(Node):
    """Publishes `image` and `camera_info`, subscribes the topic `answer` (a mask or an echo).

    `on_answer` gets each answer and the frame it belongs to.
    """

    def __init__(
        self,
        answer: str,
        on_answer: Callable[[Image, Array], None] | None = None,
        node_name: str = 'probe',
    ) -> None:
        super().__init__(node_name)
        self.trip = Trip()
        self.diagnostics: dict[str, str] = {}
        self._on_answer = on_answer
        self._lock = threading.Lock()
        self._flying: dict[int, tuple[float, Array]] = {}
        self._images = self.create_publisher(Image, 'image', RELIABLE)
        self._infos = self.create_publisher(CameraInfo, 'camera_info', RELIABLE)
        self._reader = self.create_subscription(Image, answer, self._on_message, RELIABLE)
        self._first_arrival = math.inf
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._answer = answer

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Wait until somebody reads the images and somebody publishes the answer.

        Raises `InputError` when nobody does in time.
        """
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            readers = self._images.get_subscription_count()
            if readers and self.count_publishers(self._answer):
                return
            time.sleep(0.02)
        raise InputError(f'{self._answer}: expected a running node, none after {timeout_s:.0f} s')

    def warm_up(self, pixels: Array, timeout_s: float = 120.0, every_s: float = 0.1) -> None:
        """Send frames, one `every_s`, until the first answer: both directions are then connected.

        They do not count. Raises `InputError` when no answer comes in time.
        """
        if not self._send_until(
            pixels, 1.0 / every_s, lambda: bool(self.trip.answered), timeout_s
        ):
            raise InputError(f'{self._answer}: no answer after {timeout_s:.0f} s')
        self.take_trip()

    def take_trip(self) -> Trip:
        """What came of the frames until now; from here on a new one counts."""
        with self._lock:
            self._flying.clear()
            done, self.trip = self.trip, Trip()
        return done

    def send_all(self, frames: Iterable[Array], rate: float) -> None:
        """Send uint8 (H, W, 3) BGR frames, `rate` a second, and wait for the last answers."""
        due = time.monotonic()
        for pixels in frames:
            time.sleep(max(0.0, due - time.monotonic()))
            self.send(pixels)
            due += 1.0 / rate
        end = time.monotonic() + 2.0
        while self._flying and time.monotonic() < end:
            time.sleep(0.02)

    def join_again(self, pixels: Array, rate: float, away_s: float = 0.5) -> float:
        """Milliseconds from subscribing to the first answer, after nobody read for `away_s`.

        Frames are sent all the while, `rate` a second. Raises `InputError` without an answer.
        """
        self.destroy_subscription(self._reader)
        self._send_until(pixels, rate, lambda: False, away_s)
        self._first_arrival = math.inf
        joined = time.perf_counter()
        self._reader = self.create_subscription(Image, self._answer, self._on_message, RELIABLE)
        if not self._send_until(pixels, rate, lambda: self._first_arrival < math.inf, 5.0):
            raise InputError(f'{self._answer}: no answer to a new reader within 5 s')
        return (self._first_arrival - joined) * 1e3

    def _send_until(
        self, pixels: Array, rate: float, done: Callable[[], bool], limit_s: float
    ) -> bool:
        end = time.perf_counter() + limit_s
        while time.perf_counter() < end:
            if done():
                return True
            self.send(pixels)
            time.sleep(1.0 / rate)
        return done()

    def send(self, pixels: Array) -> None:
        """Send one frame now."""
        now = self.get_clock().now()
        info = pinhole_camera_info(Size.of(pixels), 90.0)
        info.header.stamp = now.to_msg()
        info.header.frame_id = 'camera_optical_frame'
        with self._lock:
            self._flying[now.nanoseconds] = (time.perf_counter(), pixels)
            if len(self._flying) > 60:  # superseded ones get no answer
                self._flying.pop(next(iter(self._flying)))
        self.trip.sent += 1
        self._infos.publish(info)
        self._images.publish(fill_image(Image(header=info.header), pixels, 'bgr8'))

    def _on_message(self, message: Image) -> None:
        arrived = time.perf_counter()
        self._first_arrival = min(self._first_arrival, arrived)
        with self._lock:
            sent = self._flying.pop(stamp_ns(message), None)
        if sent is None:
            return
        self.trip.answered += 1
        self.trip.latency_ms.append((arrived - sent[0]) * 1e3)
        if self._on_answer is not None:
            self._on_answer(message, sent[1])

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith(': segmentation'):
                self.diagnostics = {item.key: item.value for item in status.values}

    def settled_counts(self, timeout_s: float = 10.0) -> dict[str, int]:
        """The node's frame counts once they add up and have stopped changing."""
        last: dict[str, int] = {}
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            counts = {k: int(v) for k, v in self.diagnostics.items() if k.startswith('frames_')}
            if counts and counts == last and _adds_up(counts):
                return counts
            last = counts
            time.sleep(1.2)
        return last


def _adds_up(counts: dict[str, Any]) -> bool:
    settled = sum(n for name, n in counts.items() if name != 'frames_received')
    return bool(counts['frames_received'] == settled)
