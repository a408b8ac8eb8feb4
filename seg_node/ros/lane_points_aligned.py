"""`points`: every pixel of the mask in 3-D, as nav2's semantic segmentation layer takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, PointCloud2, PointField

from seg_node.depth import Depth
from seg_node.frames import image_bytes
from seg_node.points import GroundPlane, aligned_points
from seg_node.ros.lane_points_output import POINTS_QOS, CameraTables
from seg_node.ros.rgbd_outputs import SegmentedFrame

_FIELDS = [
    PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
    for i, name in enumerate('xyz')
]


class AlignedPointsOutput:
    """Publishes an organised cloud: row and column are the mask's, NaN where range is unknown."""

    def __init__(
        self,
        publisher: Callable[[Any, str, QoSProfile], Any],
        tables: CameraTables,
        place: str,
        max_range_m: float,
    ) -> None:
        self._publisher = publisher(PointCloud2, f'{place}/points', POINTS_QOS)
        self._tables = tables
        self._max_range_m = max_range_m

    @property
    def read(self) -> bool:
        """Whether anybody subscribes."""
        return bool(self._publisher.get_subscription_count())

    def publish(
        self, segmented: SegmentedFrame, camera_info: CameraInfo, depth: Depth | GroundPlane
    ) -> None:
        """Publish the cloud of one frame; raises `FrameError`."""
        rays, plane = self._tables.of(camera_info, segmented, depth)
        points = aligned_points(segmented.mask.shape, plane, rays, self._max_range_m)
        self._publisher.publish(to_organised_cloud(segmented.message.header, points))


def to_organised_cloud(header: Any, points: npt.NDArray[np.float32]) -> PointCloud2:
    """A PointCloud2 of `points`, float32 (H, W, 3) metres."""
    height, width = points.shape[:2]
    message = PointCloud2(header=header, height=height, width=width, fields=_FIELDS)
    message.is_bigendian, message.is_dense = False, False
    message.point_step, message.row_step = 12, 12 * width
    message.data = image_bytes(points)
    return message
