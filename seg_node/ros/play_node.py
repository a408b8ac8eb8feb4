"""The node `play`: a folder, a video or a bag, published as a camera."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.size import Size
from seg_node.errors import ConfigError, InputError, SegNodeError
from seg_node.images.frames import fill_image, image_bytes
from seg_node.ros.camera_info import scaled_camera_info
from seg_node.ros.declared import declared, parameter
from seg_node.ros.parameters import declare, read
from seg_node.ros.qos import create_publisher
from seg_node.sources import BagSource, Source, SourceFrame, open_source


@dataclass(frozen=True)
class PlaySettings:
    """Parameters of the node `play`."""

    input: str = parameter('', 'Picture, folder, video or bag to publish.')
    topic: str = parameter('', 'Camera topic of a bag; empty: by what the pictures are.')
    rate: float = parameter(0.0, "Pictures a second; 0: the source's own, or 10.")
    loop: bool = parameter(False, 'Start again at the end.', live=True)
    resize: str = parameter('', 'WIDTHxHEIGHT to publish at; empty: as it is.')
    frame_id: str = parameter(
        'camera_optical_frame', 'frame_id of the messages (REP-103 optical axes).'
    )
    fov_deg: float = parameter(
        90.0, 'Horizontal field of view for camera_info where the source has none.'
    )
    compressed: bool = parameter(False, 'Publish image/compressed (JPEG) instead of image.')
    subscribers: int = parameter(
        0, 'Wait for so many subscribers on the image before the first picture.', live=True
    )
    hold_s: float = parameter(
        1.0,
        'Seconds to stay alive after the last picture, so that readers get it.',
        live=True,
    )

    def __post_init__(self) -> None:
        if not self.input:
            raise ConfigError('input: expected a picture, folder, video or bag, got nothing')
        if not 1.0 <= self.fov_deg < 180.0:
            raise ConfigError(f'fov_deg: expected 1 to 180, got {self.fov_deg}')


class PlayNode(Node):
    """Publishes `image` (bgr8) and `camera_info` with the time of sending as stamp."""

    def __init__(self, **options: Any) -> None:
        super().__init__('play', **options)
        declare(self, declared(PlaySettings))
        settings = self._settings = read(self, PlaySettings)
        self._source: Source = open_source(settings.input, settings.topic or None)
        self._rate = settings.rate or self._source.rate or 10.0
        if not 0.01 <= self._rate <= 1000:
            raise ConfigError(f'rate: expected 0.01 to 1000 pictures a second, got {self._rate}')
        self._size = Size.parse(settings.resize) if settings.resize else None
        self._recorded = None
        if isinstance(self._source, BagSource):
            self.get_logger().info(f'camera: {self._source.camera}')
            self._recorded = self._source.camera_info()
        self._images = self._publisher(
            *((CompressedImage, 'image/compressed') if settings.compressed else (Image, 'image'))
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

    def _now(self) -> PlaySettings:
        """The parameters as they are now: some may change while pictures go out."""
        return read(self, PlaySettings)

    def _publisher(self, kind: Any, topic: str) -> Any:
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
        return create_publisher(self, kind, topic, qos)

    def _play(self) -> None:
        try:
            while self._images.get_subscription_count() < self._now().subscribers:
                if self._stopping.wait(0.05):
                    return
            self._publish_all()
            if not self._stopping.is_set():
                self.get_logger().info(f'{self.published} pictures published, the end')
                self._stopping.wait(self._now().hold_s)
        except SegNodeError as error:
            self.problem = str(error)
            self.get_logger().error(str(error))
        except RuntimeError:
            if self.context.ok():
                raise  # else Ctrl-C has closed the publishers under our hands
        finally:
            rclpy.try_shutdown()

    def _complain(self, error: InputError) -> None:
        self.problem = str(error)
        self.get_logger().error(self.problem)

    def _publish_all(self) -> None:
        due = time.monotonic()
        while True:
            for item in self._source.frames(self._complain):
                due = max(due, time.monotonic() - 1.0)  # no burst after a long pause
                if self._stopping.wait(max(0.0, due - time.monotonic())):
                    return
                self._publish(item)
                due += 1.0 / self._rate
            if not self._now().loop:
                return

    def _publish(self, item: SourceFrame) -> None:
        pixels = item.frame.bgr()
        if self._size is not None and self._size != Size.of(pixels):
            size = (self._size.width, self._size.height)
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        info = self._camera_info(Size.of(pixels))
        info.header.stamp = self.get_clock().now().to_msg()
        info.header.frame_id = self._settings.frame_id
        self._infos.publish(info)
        if self._settings.compressed:
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
        return pinhole_camera_info(size, float(self._settings.fov_deg))


def pinhole_camera_info(size: Size, fov_deg: float) -> CameraInfo:
    """An ideal pinhole camera of a horizontal field of view; see `Intrinsics.pinhole`."""
    ideal = Intrinsics.pinhole(size, fov_deg)
    info = CameraInfo(width=size.width, height=size.height, distortion_model='plumb_bob')
    info.d = [0.0] * 5
    info.k, info.p = list(ideal.k), list(ideal.p)
    info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
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

    nodes: list[PlayNode] = []

    def make() -> PlayNode:
        nodes.append(PlayNode())
        return nodes[0]

    status = run_node(make, args)
    return 1 if nodes and nodes[0].problem else status


if __name__ == '__main__':
    raise SystemExit(main())
