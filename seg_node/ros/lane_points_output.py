"""`~/lane_points`: lane-marking pixels as a PointCloud2 in the camera's optical frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, PointCloud2, PointField

from seg_node.depth import Depth
from seg_node.errors import FrameError
from seg_node.frames import image_bytes
from seg_node.geometry import Intrinsics, Size
from seg_node.points import POINT, GroundPlane, PointOptions, RayTable, lane_points
from seg_node.ros.camera_info import image_size, intrinsics
from seg_node.ros.rgbd_outputs import SegmentedFrame

POINTS_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)

_FIELDS = [
    PointField(name='x', offset=0, datatype=PointField.FLOAT32, count=1),
    PointField(name='y', offset=4, datatype=PointField.FLOAT32, count=1),
    PointField(name='z', offset=8, datatype=PointField.FLOAT32, count=1),
    PointField(name='class', offset=12, datatype=PointField.UINT8, count=1),
    PointField(name='confidence', offset=13, datatype=PointField.UINT8, count=1),
]


def to_cloud(header: Any, points: npt.NDArray[np.void]) -> PointCloud2:
    """A PointCloud2 of points (N,) of dtype `POINT`."""
    message = PointCloud2(header=header, height=1, width=len(points), fields=_FIELDS)
    message.is_bigendian, message.is_dense = False, True
    message.point_step, message.row_step = POINT.itemsize, POINT.itemsize * len(points)
    message.data = image_bytes(points.view(np.uint8))
    return message


def from_cloud(message: PointCloud2) -> npt.NDArray[np.void]:
    """Points (N,) of dtype `POINT` from a PointCloud2 that has at least their fields.

    Raises `FrameError` that names the field which is missing or of another type.
    """
    offsets = {field.name: (field.offset, field.datatype) for field in message.fields}
    for field in _FIELDS:
        kind = offsets.get(field.name, (0, None))[1]
        if kind != field.datatype:
            raise FrameError(
                'fields',
                f'lane points: expected field {field.name} of datatype {field.datatype}, '
                f'got {kind}',
            )
    count = message.width * message.height
    data = np.frombuffer(message.data, np.uint8)
    if data.size < count * message.point_step or message.is_bigendian:
        raise FrameError(
            'truncated',
            f'lane points: expected {count} little-endian points of {message.point_step} bytes, '
            f'got {data.size} bytes',
        )
    names = [field.name for field in _FIELDS]
    spec: Any = {
        'names': names,
        'formats': [POINT[name] for name in names],
        'offsets': [offsets[name][0] for name in names],
        'itemsize': message.point_step,
    }
    layout: np.dtype[Any] = np.dtype(spec)
    found: npt.NDArray[np.void] = data[: count * message.point_step].view(layout)
    if layout == POINT:
        return found
    points = np.zeros(count, POINT)
    for name in names:
        points[name] = found[name]
    return points


@dataclass(frozen=True)
class _Camera:
    """What a camera's tables were made from."""

    intrinsics: Intrinsics
    distortion: tuple[float, ...]
    model: str
    size: Size


class CameraTables:
    """Rays, and the ground plane's depth, of the camera last seen."""

    def __init__(self, max_range_m: float) -> None:
        self._max_range_m = max_range_m
        self._camera: _Camera | None = None
        self._rays: RayTable | None = None
        self._ground: tuple[GroundPlane, Depth] | None = None

    def of(
        self, message: CameraInfo, segmented: SegmentedFrame, depth: Depth | GroundPlane
    ) -> tuple[RayTable, Depth]:
        """Rays of the mask's pixels, and `depth` as an image. Raises `FrameError`."""
        rays = self._table(message, segmented)
        if not isinstance(depth, GroundPlane):
            return rays, depth
        if self._ground is None or self._ground[0] != depth:
            self._ground = depth, depth.depth(rays, self._max_range_m)
        return rays, self._ground[1]

    def _table(self, message: CameraInfo, segmented: SegmentedFrame) -> RayTable:
        picture = Size(segmented.frame.width, segmented.frame.height)
        if image_size(message) != picture:
            raise FrameError(
                'camera_info',
                f'camera_info: expected {picture} as the image has, got {image_size(message)}',
            )
        size = Size.of(segmented.mask)
        camera = _Camera(
            intrinsics(message), tuple(map(float, message.d)), message.distortion_model, size
        )
        if self._rays is None or camera != self._camera:
            exact = camera.intrinsics.resized(size)
            self._rays = RayTable.of(exact, camera.distortion, camera.model)
            self._camera, self._ground = camera, None
        return self._rays


class LanePointsOutput:
    """Publishes `~/lane_points`."""

    def __init__(
        self,
        publisher: Callable[[Any, str, QoSProfile], Any],
        tables: CameraTables,
        options: PointOptions,
    ) -> None:
        self._publisher = publisher(PointCloud2, '~/lane_points', POINTS_QOS)
        self._tables = tables
        self._options = options

    @property
    def read(self) -> bool:
        """Whether anybody subscribes."""
        return bool(self._publisher.get_subscription_count())

    def publish(
        self, segmented: SegmentedFrame, camera_info: CameraInfo, depth: Depth | GroundPlane
    ) -> None:
        """Publish the points of one frame; raises `FrameError`."""
        rays, plane = self._tables.of(camera_info, segmented, depth)
        points = lane_points(segmented.mask, segmented.planes, plane, rays, self._options)
        self._publisher.publish(to_cloud(segmented.message.header, points))
