"""Lane-marking pixels in 3-D: from a depth image, or from the ground plane.

Points are in the camera's optical frame (REP-103: x right, y down, z forward), in metres. Tables
of viewing rays are made once a camera, so that a frame costs one pass over its mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.camera.depth import Depth, size_ratio
from seg_node.camera.rays import RayTable
from seg_node.errors import ConfigError, FrameError

Array = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]

POINT = np.dtype(
    {
        'names': ['x', 'y', 'z', 'class', 'confidence'],
        'formats': ['<f4', '<f4', '<f4', 'u1', 'u1'],
        'offsets': [0, 4, 8, 12, 13],
        'itemsize': 16,
    }
)
"""One lane point: metres in the optical frame, class id, 255 x probability."""


@dataclass(frozen=True)
class PointOptions:
    """Which pixels become points: `classes` (ids) within `min_range_m`..`max_range_m` of depth."""

    classes: tuple[int, ...]
    max_range_m: float = 20.0
    min_range_m: float = 0.3
    min_confidence: int = 0

    def __post_init__(self) -> None:
        if not self.classes or not all(0 <= c <= 255 for c in self.classes):
            raise ConfigError(f'lane classes: expected ids from 0 to 255, got {self.classes}')
        if not 0.0 <= self.min_range_m < self.max_range_m:
            raise ConfigError(
                f'range of lane points: expected 0 <= min < max, got {self.min_range_m:g} '
                f'to {self.max_range_m:g} m'
            )


def lane_points(
    mask: Array,
    planes: Sequence[Array],
    depth: Depth,
    rays: RayTable,
    options: PointOptions,
) -> npt.NDArray[np.void]:
    """Points (N,) of dtype `POINT` for the pixels of `mask` in the wanted classes.

    mask: uint8 (H, W). planes: scores of the classes 1..K, uint8 (H, W) each; without them every
    confidence is 255. depth: of the mask's size, or smaller by an integer ratio. Raises
    `FrameError` for sizes that do not fit.
    """
    height, width = mask.shape
    if (rays.size.height, rays.size.width) != (height, width):
        raise FrameError('camera_info', f'camera_info: expected {width}x{height}, got {rays.size}')
    first, *others = options.classes
    chosen = mask == first
    for class_id in others:
        chosen |= mask == class_id
    indices = np.flatnonzero(chosen)
    if depth.shape == mask.shape:
        z = depth.metres(indices)
    else:
        ratio = size_ratio((height, width), depth.shape)
        rows, columns = np.divmod(indices, width)
        z = depth.metres((rows // ratio) * (width // ratio) + columns // ratio)
    good = (z >= options.min_range_m) & (z <= options.max_range_m)
    good &= np.isfinite(rays.x[indices])
    indices, z = indices[good], z[good]
    classes = mask.reshape(-1)[indices]
    confidence = _confidence(planes, classes, indices)
    if options.min_confidence:
        sure = confidence >= options.min_confidence
        indices, z = indices[sure], z[sure]
        classes, confidence = classes[sure], confidence[sure]
    points = np.zeros(indices.size, POINT)
    points['x'] = rays.x[indices] * z
    points['y'] = rays.y[indices] * z
    points['z'] = z
    points['class'] = classes
    points['confidence'] = confidence
    return points


def aligned_points(
    shape: tuple[int, ...], depth: Depth, rays: RayTable, max_range_m: float
) -> Float:
    """float32 (H, W, 3): the point of every pixel of a picture of `shape`, metres; NaN = unknown.

    depth: of that size, or smaller by an integer ratio. Raises `FrameError`.
    """
    height, width = shape[0], shape[1]
    if (rays.size.height, rays.size.width) != (height, width):
        raise FrameError('camera_info', f'camera_info: expected {width}x{height}, got {rays.size}')
    ratio = size_ratio((height, width), depth.shape)
    z = depth.metres(np.arange(depth.pixels.size)).reshape(depth.shape)
    z[(z <= 0.0) | (z > max_range_m)] = np.nan
    if ratio > 1:
        z = z.repeat(ratio, axis=0).repeat(ratio, axis=1)
    flat = z.reshape(-1)
    points = np.empty((flat.size, 3), np.float32)
    np.multiply(rays.x, flat, out=points[:, 0])
    np.multiply(rays.y, flat, out=points[:, 1])
    points[:, 2] = flat
    return points.reshape(height, width, 3)


def select(mask: Array, classes: Sequence[int]) -> Array:
    """uint8 (H, W): 255 where `mask` has one of `classes`, else 0."""
    table = np.zeros(256, np.uint8)
    table[list(classes)] = 255
    return np.asarray(cv2.LUT(mask, table), np.uint8)


def _confidence(planes: Sequence[Array], classes: Array, indices: npt.NDArray[np.intp]) -> Array:
    confidence = np.full(indices.size, 255, np.uint8)
    for class_id, plane in enumerate(planes, 1):
        of_class = classes == class_id
        if of_class.any():
            confidence[of_class] = plane.reshape(-1)[indices[of_class]]
    return confidence
