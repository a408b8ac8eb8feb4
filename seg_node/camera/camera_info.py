"""`sensor_msgs/CameraInfo` to intrinsics and distortion: the only reader of it.

Messages are read by attribute: rclpy's, rosbags' (ROS 1 writes D, K, P in capitals) and plain
objects of the same shape all do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.size import Size
from seg_node.class_names import normalised
from seg_node.errors import FrameError

Family = Literal['pinhole', 'fisheye']

# Names as sensor_msgs/distortion_models.hpp has them, and as drivers write them.
_MODELS: dict[str, tuple[Family, tuple[int, ...]]] = {
    'plumb_bob': ('pinhole', (4, 5)),
    'radtan': ('pinhole', (4, 5)),
    'brown_conrady': ('pinhole', (4, 5)),
    'rational_polynomial': ('pinhole', (8, 12, 14)),
    'equidistant': ('fisheye', (4,)),
    'fisheye': ('fisheye', (4,)),
    'kannala_brandt': ('fisheye', (4,)),
    'kannala_brandt4': ('fisheye', (4,)),
}


@dataclass(frozen=True)
class Distortion:
    """How the lens bends viewing rays: coefficients in OpenCV's order, checked.

    `pinhole`: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1..s4 [tx ty]]]] (Brown, the rational model);
    `fisheye`: k1..k4 of the angle to the axis (Kannala and Brandt 2006). Without coefficients, or
    with zeros only, the picture counts as rectified under every model, as image_geometry has it.
    """

    family: Family = 'pinhole'
    coefficients: tuple[float, ...] = ()

    @classmethod
    def of(cls, model: str, d: Sequence[float]) -> Distortion:
        """The distortion of a camera_info's `distortion_model` and D.

        Raises `FrameError` for numbers that are not finite, for a model that is not known, and for
        a number of coefficients that the model does not have. More of them that are 0 do no harm.
        """
        values = tuple(float(v) for v in d)
        if not all(map(math.isfinite, values)):
            raise FrameError(
                'distortion', f'camera_info: D: expected finite numbers, got {values}'
            )
        if not any(values):
            return cls()
        if normalised(model) not in _MODELS:
            raise FrameError(
                'distortion',
                f'camera_info: distortion_model {model!r} with D not 0: expected one of '
                f'{", ".join(_MODELS)}',
            )
        family, lengths = _MODELS[normalised(model)]
        kept = len(values)
        while kept > max(lengths) and not values[kept - 1]:
            kept -= 1
        if kept not in lengths:
            counts = ' or '.join(map(str, lengths))
            raise FrameError(
                'distortion',
                f'camera_info: D of {model}: expected {counts} numbers, got {len(values)}',
            )
        return cls(family, values[:kept])

    @property
    def is_none(self) -> bool:
        """Whether rays are straight."""
        return not self.coefficients


NO_DISTORTION = Distortion()
"""A rectified picture: rays are straight."""


@dataclass(frozen=True)
class Calibration:
    """All that a camera_info says of where a pixel looks."""

    intrinsics: Intrinsics
    distortion: Distortion = NO_DISTORTION

    def resized(self, size: Size) -> Calibration:
        """The same camera with its whole picture at another size."""
        return Calibration(self.intrinsics.resized(size), self.distortion)


def intrinsics_of(message: Any) -> Intrinsics:
    """The size-dependent part of a CameraInfo, calibrated or not.

    Raises `FrameError` where K or P has not its 9 or 12 numbers.
    """
    k, p = _numbers(message, 'k', 9), _numbers(message, 'p', 12)
    roi = message.roi
    return Intrinsics(
        size=Size(max(1, int(message.width)), max(1, int(message.height))),
        k=k,
        p=p,
        binning=(int(message.binning_x), int(message.binning_y)),
        roi=(int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
    )


def calibration_of(message: Any) -> Calibration:
    """Intrinsics and distortion of a CameraInfo. Raises `FrameError`, also without calibration."""
    intrinsics = intrinsics_of(message)
    check_calibrated(intrinsics)
    return Calibration(
        intrinsics, Distortion.of(str(message.distortion_model), _field(message, 'd'))
    )


def check_calibrated(intrinsics: Intrinsics) -> None:
    """Raise `FrameError` unless the focal lengths are positive and everything is finite."""
    fx, fy = intrinsics.k[0], intrinsics.k[4]
    if not (all(map(math.isfinite, intrinsics.k)) and fx > 0.0 and fy > 0.0):
        raise FrameError(
            'intrinsics',
            f'camera_info: expected focal lengths above 0, got fx {fx:g}, fy {fy:g}: '
            'the camera is not calibrated',
        )


def _field(message: Any, name: str) -> Any:
    value = getattr(message, name, None)
    return getattr(message, name.upper()) if value is None else value


def _numbers(message: Any, name: str, count: int) -> tuple[float, ...]:
    values = tuple(float(v) for v in _field(message, name))
    if len(values) != count:
        raise FrameError(
            'intrinsics',
            f'camera_info: {name.upper()}: expected {count} numbers, got {len(values)}',
        )
    return values
