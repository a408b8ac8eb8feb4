"""The node `replay`: plays recorded frames to a running seg_node and takes its masks back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from seg_node.bags.digest import mask_digest
from seg_node.images.frames import image_bytes
from seg_node.ros.session import named_graph, spinning
from seg_node.stamps import nanoseconds

_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)


class ReplayClient(Node):
    """Publishes `image_topic` and /clock, subscribes `mask_topic`; thread-safe to ask.

    `masks`: by stamp (ns), the digest of each mask and its age in ms, from
    handing the frame to DDS to having the mask back.
    """

    def __init__(self, image_topic: str, mask_topic: str, compressed: bool) -> None:
        super().__init__('seg_node_replay')
        self._compressed = compressed
        self._images = self.create_publisher(
            CompressedImage if compressed else Image, image_topic, _QOS
        )
        self._clock_publisher = self.create_publisher(Clock, '/clock', _QOS)
        self._masks_in = self.create_subscription(Image, mask_topic, self._on_mask, _QOS)
        self._changed = threading.Condition()
        self._sent: dict[int, float] = {}
        self.masks: dict[int, tuple[int, float]] = {}

    def wait_for_node(self, limit_s: float) -> bool:
        """Whether somebody takes the frames and somebody publishes masks before the limit."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if self._images.get_subscription_count() and self._publishers_of_masks():
                return True
            time.sleep(0.02)
        return False

    def _publishers_of_masks(self) -> int:
        return int(self.count_publishers(self._masks_in.topic_name))

    def send(self, message: Any, stamp_ns: int, frame_id: str) -> None:
        """Publish a recorded Image or CompressedImage (as rosbags reads it), stamp unchanged."""
        seconds, nanoseconds = divmod(stamp_ns, 10**9)
        stamp = Time(sec=seconds, nanosec=nanoseconds)
        self._clock_publisher.publish(Clock(clock=stamp))
        header = Header(stamp=stamp, frame_id=frame_id)
        data = image_bytes(np.frombuffer(message.data, np.uint8))
        if self._compressed:
            frame = CompressedImage(header=header, format=message.format, data=data)
        else:
            frame = Image(
                header=header,
                height=int(message.height),
                width=int(message.width),
                encoding=message.encoding,
                is_bigendian=int(message.is_bigendian),
                step=int(message.step),
                data=data,
            )
        with self._changed:
            self._sent[stamp_ns] = time.monotonic()
        self._images.publish(frame)

    def wait_for_mask(self, stamp_ns: int, limit_s: float) -> bool:
        """Whether the mask of this stamp came before the limit."""
        with self._changed:
            return self._changed.wait_for(lambda: stamp_ns in self.masks, limit_s)

    def _on_mask(self, message: Image) -> None:
        now = time.monotonic()
        stamp = nanoseconds(message.header.stamp)
        digest = mask_digest(np.frombuffer(message.data, np.uint8))
        with self._changed:
            if stamp in self._sent:
                age_ms = (now - self._sent[stamp]) * 1e3
                self.masks.setdefault(stamp, (digest, age_ms))
                self._changed.notify_all()


@contextmanager
def replay_client(image_topic: str, mask_topic: str, compressed: bool) -> Iterator[ReplayClient]:
    """A spinning client in the ROS graph that the environment names."""
    with named_graph():
        client = ReplayClient(image_topic, mask_topic, compressed)
        with spinning(client):
            yield client
