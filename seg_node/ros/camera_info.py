"""The camera_info of a mask."""

from __future__ import annotations

import copy
from typing import Any

from sensor_msgs.msg import CameraInfo

from seg_node.camera.camera_info import intrinsics_of
from seg_node.camera.size import Size


def image_size(message: CameraInfo) -> Size:
    """Size of the pictures that this camera_info belongs to."""
    return intrinsics_of(message).image_size()


def scaled_camera_info(message: CameraInfo, header: Any, shape: tuple[int, ...]) -> CameraInfo:
    """The camera_info of a mask of `shape` (H, W) seen by the same camera.

    Unchanged but for the header where the mask has the picture's size; else K and P are scaled
    exactly, with ROI and binning worked in.
    """
    scaled = copy.copy(message)
    scaled.header = header
    size = Size(shape[1], shape[0])
    known = intrinsics_of(message)
    if known.image_size() == size:
        return scaled
    exact = known.resized(size)
    scaled = copy.deepcopy(message)
    scaled.header = header
    scaled.width, scaled.height = size.width, size.height
    scaled.k, scaled.p = list(exact.k), list(exact.p)
    scaled.binning_x = scaled.binning_y = 0
    scaled.roi.x_offset = scaled.roi.y_offset = scaled.roi.width = scaled.roi.height = 0
    return scaled
