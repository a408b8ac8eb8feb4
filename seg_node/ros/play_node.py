"""The node `play`: a folder, a video or a bag, published as a camera."""

from __future__ import annotations

import threading
import time
from typing import Any

import cv2
import numpy as np
import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from seg_node.errors import ConfigError, SegNodeError
from seg_node.frames import fill_image, image_bytes
from seg_node.geometry import Size
from seg_node.ros.camera_info import scaled_camera_info
from seg_node.ros.qos import create_publisher
from seg_node.sources import BagSource, Source, SourceFrame, open_source

_PARAMETERS: tuple[tuple[str, Any, str], ...] = (
    ('input', '', 'Picture, folder, video or bag to publish.'),
    ('topic', '', 'Camera topic of a bag; empty: the first.'),
    ('rate', 0.0, "Pictures a second; 0: the source's own, or 10."),
    ('loop', False, 'Start again at the end.'),
    ('resize', '', 'WIDTHxHEIGHT to publish at; empty: as it is.'),
    ('frame_id', 'camera_optical_frame', 'frame_id of the messages (REP-103 optical axes).'),
    ('fov_deg', 90.0, 'Horizontal field of view for camera_info where the source has none.'),
    ('compressed', False, 'Publish image/compressed (JPEG) instead of image.'),
    ('subscribers', 0, 'Wait for so many subscribers on the image before the first picture.'),
    ('hold_s', 1.0, 'Seconds to stay alive after the last picture, so that readers get it.'),
)


class PlayNode(Node):
    """Publishes `image` (bgr8) and `camera_info` with the time of sending as stamp."""

    def __init__(self, **options: Any) -> None:
        super().__init__('play', **options)
        for name, default, description in _PARAMETERS:
            self.declare_parameter(name, default, ParameterDescriptor(description=description))
        if not self._value('input'):
            raise ConfigError('input: expected a picture, folder, video or bag, got nothing')
        self._source: Source = open_source(self._value('input'), self._value('topic') or None)
        self._rate = self._value('rate') or self._source.rate or 10.0
        if not 0.01 <= self._rate <= 1000:
            raise ConfigError(f'rate: expected 0.01 to 1000 pictures a second, got {self._rate}')
        if not 1.0 <= self._value('fov_deg') < 180.0:
            raise ConfigError(f'fov_deg: expected 1 to 180, got {self._value("fov_deg")}')
        resize = self._value('resize')
        self._size = Size.parse(resize) if resize else None
        self._recorded = (
            self._source.camera_info() if isinstance(self._source, BagSource) else None
        )
        compressed = self._value('compressed')
        self._images = self._publisher(
            CompressedImage if compressed else Image, 'image/compressed' if compressed else 'image'
        )
        self._infos = self._publisher(CameraInfo, 'camera_info')
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self.published = 0
        self.problem: str | None = None

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def stop(self) -> None:
        """Stop publishing."""
        self._stopping.set()
        self._thread.join()

    def _value(self, name: str) -> Any:
        return self.get_parameter(name).value

    def _publisher(self, kind: Any, topic: str) -> Any:
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
        return create_publisher(self, kind, topic, qos)

    def _play(self) -> None:
        try:
            while self._images.get_subscription_count() < self._value('subscribers'):
                if self._stopping.wait(0.05):
                    return
            self._publish_all()
            if not self._stopping.is_set():
                self.get_logger().info(f'{self.published} pictures published, the end')
                self._stopping.wait(self._value('hold_s'))
        except SegNodeError as error:
            self.problem = str(error)
            self.get_logger().error(str(error))
        except RuntimeError:
            if self.context.ok():
                raise  # else Ctrl-C has closed the publishers under our hands
        finally:
            rclpy.try_shutdown()

    def _publish_all(self) -> None:
        due = time.monotonic()
        while True:
            for item in self._source:
                due = max(due, time.monotonic() - 1.0)  # no burst after a long pause
                if self._stopping.wait(max(0.0, due - time.monotonic())):
                    return
                self._publish(item)
                due += 1.0 / self._rate
            if not self._value('loop'):
                return

    def _publish(self, item: SourceFrame) -> None:
        pixels = item.frame.bgr()
        if self._size is not None and self._size != Size.of(pixels):
            size = (self._size.width, self._size.height)
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        info = self._camera_info(Size.of(pixels))
        info.header.stamp = self.get_clock().now().to_msg()
        info.header.frame_id = self._value('frame_id')
        self._infos.publish(info)
        if self._value('compressed'):
            _, jpeg = cv2.imencode('.jpg', pixels, (cv2.IMWRITE_JPEG_QUALITY, 92))
            message = CompressedImage(header=info.header, format='bgr8; jpeg compressed bgr8')
            message.data = image_bytes(np.asarray(jpeg))
        else:
            message = fill_image(Image(header=info.header), pixels, 'bgr8')
        self._images.publish(message)
        self.published += 1

    def _camera_info(self, size: Size) -> CameraInfo:
        if self._recorded is not None:
            return scaled_camera_info(
                _as_message(self._recorded), CameraInfo().header, (size.height, size.width)
            )
        return pinhole_camera_info(size, float(self._value('fov_deg')))


def pinhole_camera_info(size: Size, fov_deg: float) -> CameraInfo:
    """An ideal pinhole camera of a horizontal field of view, principal point in the middle.

    The middle of a picture of even width lies between two pixel centres, at width / 2 - 0.5.
    """
    focal = size.width / (2.0 * np.tan(np.radians(fov_deg) / 2.0))
    cx, cy = size.width / 2.0 - 0.5, size.height / 2.0 - 0.5
    info = CameraInfo(width=size.width, height=size.height, distortion_model='plumb_bob')
    info.d = [0.0] * 5
    info.k = [focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0]
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    info.p = [focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info


def _as_message(recorded: Any) -> CameraInfo:
    """An rclpy CameraInfo of a rosbags one (ROS 1 writes K, D, R, P in capitals)."""
    info = CameraInfo(width=int(recorded.width), height=int(recorded.height))
    info.distortion_model = recorded.distortion_model
    for name in 'dkrp':
        values = getattr(recorded, name, None)
        if values is None:
            values = getattr(recorded, name.upper())
        setattr(info, name, [float(v) for v in values])
    info.binning_x, info.binning_y = int(recorded.binning_x), int(recorded.binning_y)
    for name in ('x_offset', 'y_offset', 'width', 'height'):
        setattr(info.roi, name, int(getattr(recorded.roi, name)))
    return info


def main(args: list[str] | None = None) -> int:
    """Entry of `ros2 run seg_node play`; 1 when the source broke."""
    from seg_node.ros.process import run_node

    made: list[PlayNode] = []

    def make() -> PlayNode:
        made.append(PlayNode())
        return made[0]

    status = run_node(make, args)
    return 1 if made and made[0].problem else status


if __name__ == '__main__':
    raise SystemExit(main())
