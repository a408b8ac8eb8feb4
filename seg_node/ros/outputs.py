"""The node's publishers: every message carries the input's header, work only where it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from seg_node.classes import ClassSet
from seg_node.errors import ConfigError
from seg_node.frames import Frame, fill_image, image_bytes
from seg_node.overlay import paint
from seg_node.pipeline import Segmentation
from seg_node.ros.camera_info import scaled_camera_info
from seg_node.ros.qos import create_publisher

OUTPUT_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
LATCHED_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


class Outputs:
    """`~/mask`, `~/confidence`, `~/camera_info`, `~/label_info`, `~/overlay[/compressed]`.

    `place`: what stands for `~` in the topics that nav2 reads.
    """

    def __init__(self, node: LifecycleNode, place: str = '~') -> None:
        self._node = node
        self._place = place
        self._publishers: list[Any] = []
        self._mask = self._publisher(Image, f'{place}/mask')
        self._confidence = self._publisher(Image, f'{place}/confidence')
        self._camera_info = self._publisher(CameraInfo, '~/camera_info')
        self._overlay = self._publisher(Image, '~/overlay')
        self._overlay_jpeg = self._publisher(CompressedImage, '~/overlay/compressed')
        self._labels = self._label_publisher()

    def _publisher(self, kind: Any, topic: str, qos: QoSProfile = OUTPUT_QOS) -> Any:
        try:
            publisher = create_publisher(self._node, kind, topic, qos)
        except ConfigError:
            for made in self._publishers:
                self._node.destroy_lifecycle_publisher(made)
            raise
        self._publishers.append(publisher)
        return publisher

    def _label_publisher(self) -> Any | None:
        try:
            from vision_msgs.msg import LabelInfo
        except ImportError:
            self._node.get_logger().info(
                'vision_msgs is not installed: ~/label_info is not published'
            )
            return None
        return self._publisher(LabelInfo, f'{self._place}/label_info', LATCHED_QOS)

    def publish_labels(self, classes: ClassSet, header: Any) -> None:
        """Class names once, latched; `header` of the first frame."""
        if self._labels is None:
            return
        from vision_msgs.msg import LabelInfo, VisionClass

        message = LabelInfo(header=header, threshold=0.5)
        message.class_map = [
            VisionClass(class_id=i, class_name=name) for i, name in enumerate(classes.names)
        ]
        self._labels.publish(message)

    def publish(self, header: Any, result: Segmentation, camera_info: CameraInfo | None) -> None:
        """Publish the mask, and what else is subscribed, under the frame's own header."""
        self._mask.publish(fill_image(Image(header=header), result.mask, 'mono8'))
        if camera_info is not None:
            self._camera_info.publish(scaled_camera_info(camera_info, header, result.mask.shape))
        if self._confidence.get_subscription_count():
            confidence = result.confidence()
            if confidence is not None:
                message = Image(header=header)
                self._confidence.publish(fill_image(message, confidence, 'mono8'))

    def publish_overlay(
        self, header: Any, frame: Frame, result: Segmentation, alpha: float, quality: int
    ) -> None:
        """Paint the mask on the frame while somebody subscribes; nothing otherwise."""
        raw = self._overlay.get_subscription_count() > 0
        compressed = self._overlay_jpeg.get_subscription_count() > 0
        if not raw and not compressed:
            return
        painted = paint(frame.bgr(), result.mask, result.runner.spec.classes, alpha)
        if raw:
            self._overlay.publish(fill_image(Image(header=header), painted, 'bgr8'))
        if compressed:
            _, jpeg = cv2.imencode('.jpg', painted, (cv2.IMWRITE_JPEG_QUALITY, quality))
            message = CompressedImage(header=header, format='bgr8; jpeg compressed bgr8')
            message.data = image_bytes(np.asarray(jpeg))
            self._overlay_jpeg.publish(message)

    def all_publishers(self) -> Sequence[Any]:
        """Every publisher, to be destroyed with the configuration."""
        return tuple(self._publishers)
