"""`~/rgbd/*`: the four inputs of RTAB-Map, whole sets under one header."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from seg_node.camera.camera_info import check_calibrated, intrinsics_of
from seg_node.camera.depth import Depth, size_ratio
from seg_node.camera.size import Size
from seg_node.errors import FrameError
from seg_node.images.frames import Frame, fill_image
from seg_node.rgbd import RgbdMode
from seg_node.ros.camera_info import image_size, scaled_camera_info
from seg_node.ros.mapping_settings import MappingSettings
from seg_node.ros.outputs.output import SetOutput
from seg_node.ros.outputs.site import CameraSite
from seg_node.ros.segmented import JoinedFrame, KeptFrame

RANK = 60

SET_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
"""Deeper than the other outputs: one message lost of four would cost the exact set."""

RTABMAP_RGB = frozenset({'mono8', 'mono16', 'bgr8', 'rgb8', 'bgra8', 'rgba8'})
_TOPICS = (
    ('rgb', Image, 'rgbd/rgb/image'),
    ('rgb_info', CameraInfo, 'rgbd/rgb/camera_info'),
    ('depth', Image, 'rgbd/depth/image'),
    ('depth_info', CameraInfo, 'rgbd/depth/camera_info'),
)


class RgbdOutput(SetOutput):
    """Publishes a set under the frame's header, or nothing of it."""

    stage = 'rgbd'

    def __init__(self, site: CameraSite, mode: RgbdMode) -> None:
        self._publishers = {name: site.publisher(kind, t, SET_QOS) for name, kind, t in _TOPICS}
        self._mode = mode

    @property
    def read(self) -> bool:
        """Whether anybody subscribes to any of its topics."""
        return any(publisher.read for publisher in self._publishers.values())

    def take(self, whole: JoinedFrame) -> None:
        """Publishes picture, depth of the chosen classes and both camera_infos."""
        assert whole.depth is not None  # a mode that is on makes depth a part of every set
        header, mask = whole.header, whole.frame.mask
        check_registered(whole.frame.frame, whole.camera_info, whole.depth, whole.depth_info)
        cut = self._mode.cut(whole.depth, mask)
        info = whole.depth_info if whole.depth_info is not None else whole.camera_info
        messages = {
            'rgb_info': scaled_camera_info(whole.camera_info, header, mask.shape),
            'depth_info': scaled_camera_info(info, header, cut.shape),
            'rgb': self._rgb(whole.frame),
            'depth': fill_image(Image(header=header), cut.pixels, cut.encoding),
        }
        for name, message in messages.items():
            self._publishers[name].publish(message)

    def _rgb(self, kept: KeptFrame) -> Any:
        message = kept.message
        if self._mode.replaces_rgb:
            return fill_image(Image(header=kept.header), self._mode.paint(kept.mask), 'bgr8')
        if getattr(message, 'encoding', '') in RTABMAP_RGB:
            return message  # as it came: not a byte is touched
        return fill_image(Image(header=kept.header), kept.frame.bgr(), 'bgr8')


def create(site: CameraSite) -> RgbdOutput | None:
    """None with `rtabmap.mode` off. Raises `ConfigError` for classes that the model lacks."""
    settings = site.settings(MappingSettings)
    if not settings.rgbd:
        return None
    mode = RgbdMode.of(settings.mode, site.classes, settings.drop_classes, settings.dilate_px)
    return RgbdOutput(site, mode)


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
    known = intrinsics_of(camera_info)
    check_calibrated(known)
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
    own = intrinsics_of(depth_info).folded()
    check_calibrated(own)
    expected = known.resized(depth_size)
    if not np.allclose((own.k[0], own.k[4]), (expected.k[0], expected.k[4]), rtol=0.02):
        raise FrameError(
            'not_registered',
            f'depth/camera_info: expected focal lengths {expected.k[0]:.1f}, {expected.k[4]:.1f} '
            f'as of depth registered to the picture, got {own.k[0]:.1f}, {own.k[4]:.1f}',
        )
