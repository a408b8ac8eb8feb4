"""Hears every frame and every mask, and disturbs: the soak's own node."""

from __future__ import annotations

import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger

from seg_node.camera.size import Size
from seg_node.images.frames import fill_image
from seg_node.ros.frame_order import FrameOrder
from seg_node.ros.play_node import pinhole_camera_info
from seg_node.ros.promptness import Promptness

_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
_MOST_AT_WORK = 4
"""Frames that a node may have taken and not yet accounted for: those waiting and at work."""


class SoakWatch(Node):
    """`order`: frames and masks so far; `unaccounted`: diagnostics whose counts do not add up."""

    def __init__(self, image: str, camera_info: str, mask: str) -> None:
        super().__init__('soak_watch')
        self.order = FrameOrder()
        self.unaccounted: list[str] = []
        self.counts: dict[str, int] = {}
        self.map_mb = 0.0
        """Memory of the lane map's own arrays, as it says."""
        self.promptness = Promptness(self, '/seg_node')
        self._mask = mask
        self._lock = threading.Lock()
        self._idle: Any = None
        self._images = self.create_publisher(Image, image, _QOS)
        self._infos = self.create_publisher(CameraInfo, camera_info, _QOS)
        self._reload = self.create_client(Trigger, '/seg_node/reload_model')
        self.create_subscription(
            Image,
            image,
            self._on_image,
            _QOS,
            event_callbacks=SubscriptionEventCallbacks(matched=self._on_matched),
        )
        self.create_subscription(Image, mask, self._on_mask, _QOS)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    @property
    def connected(self) -> bool:
        """Whether somebody else reads the frames that this node sends."""
        return int(self._images.get_subscription_count()) > 1  # it reads them itself

    def send(self, stamp_ns: int, pixels: Any) -> None:
        """Send a frame, uint8 (H, W, 3) BGR, of any stamp."""
        info = pinhole_camera_info(Size.of(pixels), 90.0)
        info.header.stamp.sec, info.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        info.header.frame_id = 'soak'
        self._infos.publish(info)
        self._images.publish(fill_image(Image(header=info.header), pixels, 'bgr8'))

    def change_readers(self) -> None:
        """A second reader of the masks that never reads comes, or leaves."""
        if self._idle is None:
            self._idle = self.create_subscription(Image, self._mask, lambda _: None, _QOS)
        else:
            self.destroy_subscription(self._idle)
            self._idle = None

    def reload_model(self, limit_s: float) -> str:
        """Ask the node to load its model anew; what went wrong, or nothing."""
        if not self._reload.wait_for_service(timeout_sec=limit_s):
            return 'no service reload_model'
        answer = self._reload.call_async(Trigger.Request())
        end = time.monotonic() + limit_s
        while not answer.done() and time.monotonic() < end:
            time.sleep(0.02)
        if not answer.done():
            return f'reload_model: no answer after {limit_s:g} s'
        return '' if answer.result().success else f'reload_model: {answer.result().message}'

    def settled(self, limit_s: float) -> bool:
        """Whether, after the last frame, every frame that was received is accounted for."""
        end = time.monotonic() + limit_s
        before: dict[str, int] = {}
        while time.monotonic() < end:
            with self._lock:
                counts = dict(self.counts)
            if counts and counts == before and _at_work(counts) == 0:
                return True
            before = counts
            time.sleep(1.2)
        return False

    def _on_matched(self, info: Any) -> None:
        if info.current_count_change > 0:
            self.order.joined()

    def _on_image(self, message: Image) -> None:
        self.order.frame(_key(message))

    def _on_mask(self, message: Image) -> None:
        self.order.mask(_key(message))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith(': lane map'):
                values = {item.key: item.value for item in status.values}
                self.map_mb = int(values.get('memory_bytes', 0)) / 2**20
            if not status.name.endswith(': segmentation'):
                continue
            self.promptness.diagnostics_came()
            counts = {
                item.key: int(item.value)
                for item in status.values
                if item.key.startswith('frames_')
            }
            with self._lock:
                self.counts = counts
            if counts and not 0 <= _at_work(counts) <= _MOST_AT_WORK:
                self.unaccounted.append(f'{counts}')


def _key(message: Image) -> tuple[str, int, int]:
    stamp = message.header.stamp
    return message.header.frame_id, stamp.sec, stamp.nanosec


def _at_work(counts: dict[str, int]) -> int:
    settled = sum(count for name, count in counts.items() if name != 'frames_received')
    return counts['frames_received'] - settled
