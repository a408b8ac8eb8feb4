"""A node that listens to a drive and joins what belongs to one frame by its stamp."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from seg_node.errors import InputError
from seg_node.joining import StampSynchronizer
from seg_node.stamps import stamp_ns

RELIABLE = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
_MAX_OPEN = 120
"""Sets that wait for their mask; the oldest are those the node superseded."""


@dataclass(frozen=True)
class RecordedTopics:
    """What to listen to. `truth` (semantic tags) and `depth` join a set where named."""

    image: str
    mask: str
    camera_info: str
    truth: str | None = None
    depth: str | None = None
    odometry: str | None = None


@dataclass(frozen=True)
class FrameSet:
    """Messages of one stamp, by role, and when each arrived (s, monotonic)."""

    messages: dict[str, Any]
    arrived: dict[str, float]

    @property
    def latency_ms(self) -> float:
        """From the picture's arrival here to its mask's arrival here."""
        return (self.arrived['mask'] - self.arrived['image']) * 1e3


class DriveRecorder(Node):
    """Collects whole sets: image, camera_info, mask, and truth and depth where asked for.

    `on_message(topic, kind, message)` gets every message as it comes, for a bag.
    """

    def __init__(
        self,
        topics: RecordedTopics,
        on_message: Callable[[str, Any, Any], None] | None = None,
    ) -> None:
        super().__init__('seg_node_recorder')
        self._topics = topics
        self._on_message = on_message
        self._whole: queue.SimpleQueue[FrameSet] = queue.SimpleQueue()
        self.diagnostics: dict[str, str] = {}
        roles = {'image': Image, 'mask': Image, 'camera_info': CameraInfo}
        roles |= {'truth': Image, 'depth': Image}
        self._roles = [role for role in roles if getattr(topics, role)]
        self._sync = StampSynchronizer(self._roles, keep=_MAX_OPEN)
        for role in self._roles:
            self._listen(role, roles[role], getattr(topics, role))
        if topics.odometry:
            self._listen('odometry', Odometry, topics.odometry)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def wait_ready(
        self, timeout_s: float = 60.0, check: Callable[[], None] = lambda: None
    ) -> None:
        """Wait for somebody to publish the image and the mask; `InputError` when nobody does.

        `check` is called meanwhile and may raise, for example because a process has ended.
        """
        topics = (self._topics.image, self._topics.mask)
        end = time.monotonic() + timeout_s
        while missing := [topic for topic in topics if not self.count_publishers(topic)]:
            if time.monotonic() > end:
                raise InputError(f'{missing[0]}: no publisher after {timeout_s:.0f} s')
            check()
            time.sleep(0.05)

    def sets(self, timeout_s: float) -> Iterator[FrameSet]:
        """Whole sets as they come, until none came for `timeout_s`."""
        while True:
            try:
                yield self._whole.get(timeout=timeout_s)
            except queue.Empty:
                return

    def settled_counts(self, published: int, timeout_s: float = 10.0) -> dict[str, int]:
        """The node's frame counts, once they add up and `published` frames are among them."""
        end = time.monotonic() + timeout_s
        counts: dict[str, int] = {}
        while time.monotonic() < end:
            counts = {k: int(v) for k, v in self.diagnostics.items() if k.startswith('frames_')}
            others = sum(n for name, n in counts.items() if name != 'frames_received')
            enough = counts.get('frames_published', 0) >= published
            if enough and counts['frames_received'] == others:
                return counts
            time.sleep(0.2)
        return counts

    def _listen(self, role: str, kind: Any, topic: str) -> None:
        def on_message(message: Any) -> None:
            self._on_role(role, message)
            if self._on_message is not None:
                self._on_message(topic, kind, message)

        self.create_subscription(kind, topic, on_message, RELIABLE)

    def _on_role(self, role: str, message: Any) -> None:
        if role not in self._roles:
            return
        whole = self._sync.offer(role, stamp_ns(message), (message, time.monotonic()))
        if whole is not None:
            messages = {role: message for role, (message, _) in whole.items()}
            self._whole.put(FrameSet(messages, {role: at for role, (_, at) in whole.items()}))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith(': segmentation'):
                self.diagnostics = {item.key: item.value for item in status.values}
