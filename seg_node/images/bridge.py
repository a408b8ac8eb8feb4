"""ROS 2's own `cv_bridge` for the uncommon encodings, where a distribution has it.

PyPI's package of the same name is a port of ROS 1's and breaks with numpy 2.3; it is told apart by
its lack of the C++ helper that every ROS distribution builds.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

# What cv_bridge converts right; the planar YUV encodings are left to OpenCV.
_TAKEN = frozenset(
    {
        'mono16',
        'bayer_rggb8',
        'bayer_bggr8',
        'bayer_gbrg8',
        'bayer_grbg8',
        'yuv422',
        'yuv422_yuy2',
        'uyvy',
        'yuyv',
    }
)


@functools.cache
def find() -> Any | None:
    """A `CvBridge` of the ROS distribution, or None where there is none that works."""
    if importlib.util.find_spec('cv_bridge') is None:
        return None
    try:
        importlib.import_module('cv_bridge.boost.cv_bridge_boost')
        return importlib.import_module('cv_bridge').CvBridge()
    except (ImportError, AttributeError):
        return None


def to_bgr(message: Any) -> npt.NDArray[np.uint8] | None:
    """uint8 (H, W, 3) BGR by cv_bridge, or None where OpenCV is to do it.

    Only whole messages go there: cv_bridge does not check the amount of data.
    """
    bridge = find()
    if bridge is None or message.encoding not in _TAKEN or message.is_bigendian:
        return None
    if len(message.data) < message.step * message.height:
        return None
    try:
        return np.asarray(bridge.imgmsg_to_cv2(message, 'bgr8'), np.uint8)
    except (RuntimeError, TypeError, ValueError, AttributeError, cv2.error):
        return None
