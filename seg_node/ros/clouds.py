"""Points to `sensor_msgs/PointCloud2` and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import PointCloud2, PointField

from seg_node.camera.points import POINT
from seg_node.errors import FrameError
from seg_node.images.frames import image_bytes

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


def to_organised_cloud(header: Any, points: npt.NDArray[np.float32]) -> PointCloud2:
    """A PointCloud2 of `points`, float32 (H, W, 3) metres."""
    height, width = points.shape[:2]
    message = PointCloud2(header=header, height=height, width=width, fields=_FIELDS[:3])
    message.is_bigendian, message.is_dense = False, False
    message.point_step, message.row_step = 12, 12 * width
    message.data = image_bytes(points)
    return message


def xyz_of(points: npt.NDArray[np.void]) -> npt.NDArray[np.float64]:
    """float64 (N, 3) metres of points (N,) with fields x, y, z."""
    return np.stack([points[name].astype(np.float64) for name in 'xyz'], axis=1)


def from_cloud(message: PointCloud2) -> npt.NDArray[np.void]:
    """Points (N,) of dtype `POINT` from a PointCloud2 that has at least their fields.

    Raises `FrameError` that names the field which is missing or of another type, or the size that
    does not fit.
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
    names = [field.name for field in _FIELDS]
    needed = max(offsets[name][0] + POINT[name].itemsize for name in names)
    if message.point_step < needed:
        raise FrameError(
            'fields',
            f'lane points: expected a point_step of at least {needed} bytes, as the fields lie, '
            f'got {message.point_step}',
        )
    count = message.width * message.height
    data = np.frombuffer(message.data, np.uint8)
    if data.size < count * message.point_step or message.is_bigendian:
        raise FrameError(
            'truncated',
            f'lane points: expected {count} little-endian points of {message.point_step} bytes, '
            f'got {data.size} bytes',
        )
    spec: Any = {
        'names': names,
        'formats': [POINT[name] for name in names],
        'offsets': [offsets[name][0] for name in names],
        'itemsize': message.point_step,
    }
    layout: np.dtype[Any] = np.dtype(spec)
    records: npt.NDArray[np.void] = data[: count * message.point_step].view(layout)
    if layout == POINT:
        return records
    points = np.zeros(count, POINT)
    for name in names:
        points[name] = records[name]
    return points
