"""`~/rgbd/*`: the four inputs of RTAB-Map, whole sets under one header."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from seg_node.depth import Depth, size_ratio
from seg_node.errors import FrameError
from seg_node.frames import Frame, fill_image
from seg_node.geometry import Size
from seg_node.points import check_intrinsics
from seg_node.rgbd import RgbdMode
from seg_node.ros.camera_info import image_size, intrinsics, scaled_camera_info

Array = npt.NDArray[np.uint8]

SET_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
"""Deeper than the other outputs: one message lost of four would cost the exact set."""

RTABMAP_RGB = frozenset({'mono8', 'mono16', 'bgr8', 'rgb8', 'bgra8', 'rgba8'})
_TOPICS = (
    ('rgb', Image, '~/rgbd/rgb/image'),
    ('rgb_info', CameraInfo, '~/rgbd/rgb/camera_info'),
    ('depth', Image, '~/rgbd/depth/image'),
    ('depth_info', CameraInfo, '~/rgbd/depth/camera_info'),
)


@dataclass(frozen=True)
class SegmentedFrame:
    """A frame with its mask, kept until its set is whole.

    mask: uint8 (H, W), planes: scores of the classes 1..K, uint8 (H, W), both owned.
    """

    message: Any
    frame: Frame
    mask: Array
    planes: tuple[Array, ...]


class RgbdOutputs:
    """Publishes sets; `publisher(kind, topic, qos)` creates the publishers."""

    def __init__(self, publisher: Callable[[Any, str, QoSProfile], Any], mode: RgbdMode) -> None:
        self._publishers = {name: publisher(kind, t, SET_QOS) for name, kind, t in _TOPICS}
        self._mode = mode

    @property
    def read(self) -> bool:
        """Whether anybody subscribes to any of the four."""
        return any(p.get_subscription_count() for p in self._publishers.values())

    def publish(
        self,
        segmented: SegmentedFrame,
        camera_info: CameraInfo,
        depth: Depth,
        depth_info: CameraInfo | None,
    ) -> None:
        """Publish one set under the frame's header, or raise `FrameError` and publish nothing."""
        header = segmented.message.header
        check_registered(segmented.frame, camera_info, depth, depth_info)
        cut = self._mode.cut(depth, segmented.mask)
        rgb_info = scaled_camera_info(camera_info, header, segmented.mask.shape)
        info = depth_info if depth_info is not None else camera_info
        messages = {
            'rgb_info': rgb_info,
            'depth_info': scaled_camera_info(info, header, cut.shape),
            'rgb': self._rgb(segmented),
            'depth': fill_image(Image(header=header), cut.pixels, cut.encoding),
        }
        for name, message in messages.items():
            self._publishers[name].publish(message)

    def _rgb(self, segmented: SegmentedFrame) -> Any:
        message = segmented.message
        if self._mode.replaces_rgb:
            painted = self._mode.paint(segmented.mask)
            return fill_image(Image(header=message.header), painted, 'bgr8')
        if getattr(message, 'encoding', '') in RTABMAP_RGB:
            return message  # as it came: not a byte is touched
        return fill_image(Image(header=message.header), segmented.frame.bgr(), 'bgr8')


def check_registered(
    frame: Frame, camera_info: CameraInfo, depth: Depth, depth_info: CameraInfo | None
) -> None:
    """Raise `FrameError` unless the sizes fit and the depth is registered to the picture.

    A registered depth image has the picture's intrinsics, scaled by the ratio of sizes: RTAB-Map
    uses the picture's for both.
    """
    size = Size(frame.width, frame.height)
    if image_size(camera_info) != size:
        raise FrameError(
            'camera_info', f'camera_info: expected {size} as the image has, got '
            f'{image_size(camera_info)}'
        )  # fmt: skip
    known = intrinsics(camera_info)
    check_intrinsics(known)
    size_ratio((frame.height, frame.width), depth.shape)
    if depth_info is None:
        return
    depth_size = Size(depth.shape[1], depth.shape[0])
    if image_size(depth_info) != depth_size:
        raise FrameError(
            'depth_camera_info',
            f'depth/camera_info: expected {depth_size} as the depth image has, got '
            f'{image_size(depth_info)}',
        )
    own = intrinsics(depth_info).folded()
    check_intrinsics(own)
    wanted = known.resized(depth_size)
    if not np.allclose((own.k[0], own.k[4]), (wanted.k[0], wanted.k[4]), rtol=0.02):
        raise FrameError(
            'not_registered',
            f'depth/camera_info: expected focal lengths {wanted.k[0]:.1f}, {wanted.k[4]:.1f} as '
            f'of depth registered to the picture, got {own.k[0]:.1f}, {own.k[4]:.1f}',
        )
