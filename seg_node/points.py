"""Lane-marking pixels in 3-D: from a depth image, or from the ground plane.

Points are in the camera's optical frame (REP-103: x right, y down, z forward), in metres. Tables
of viewing rays are made once a camera, so that a frame costs one pass over its mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.depth import Depth, size_ratio
from seg_node.errors import ConfigError, FrameError
from seg_node.geometry import Intrinsics, Size

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

_FISHEYE = ('equidistant', 'fisheye')


@dataclass(frozen=True)
class RayTable:
    """Viewing rays of every pixel: `x`, `y` float32 (H * W,), at z = 1 in the optical frame."""

    size: Size
    x: Float
    y: Float

    @classmethod
    def of(
        cls, intrinsics: Intrinsics, distortion: Sequence[float] = (), model: str = ''
    ) -> RayTable:
        """Rays of a camera, with `distortion` (D of the camera_info) taken out.

        Raises `FrameError` for intrinsics that are zero or not finite: an uncalibrated camera.
        """
        known = intrinsics.folded()
        check_intrinsics(known)
        size = known.size
        k = np.asarray(known.k, np.float64).reshape(3, 3)
        u, v = np.meshgrid(np.arange(size.width), np.arange(size.height))
        d = np.asarray(distortion, np.float64)
        if d.size and np.any(d):
            pixels = np.stack([u.ravel(), v.ravel()], 1).astype(np.float64)[:, None]
            undistort = cv2.fisheye.undistortPoints if model in _FISHEYE else cv2.undistortPoints
            rays = np.asarray(undistort(pixels, k, d), np.float64)[:, 0]
            x, y = rays[:, 0], rays[:, 1]
        else:
            y = (v.ravel() - k[1, 2]) / k[1, 1]
            x = (u.ravel() - k[0, 2] - k[0, 1] * y) / k[0, 0]
        return cls(size, x.astype(np.float32), y.astype(np.float32))


def project(
    points: npt.NDArray[np.float64],
    intrinsics: Intrinsics,
    distortion: Sequence[float] = (),
    model: str = '',
) -> npt.NDArray[np.float64]:
    """Pixels (N, 2) of `points` (N, 3), metres in the optical frame with z > 0."""
    k = np.asarray(intrinsics.folded().k, np.float64).reshape(3, 3)
    if points.shape[0] and any(distortion):
        d, none = np.asarray(distortion, np.float64), np.zeros(3)
        if model in _FISHEYE:
            found, _ = cv2.fisheye.projectPoints(points[:, None], none, none, k, d)
        else:
            found, _ = cv2.projectPoints(points, none, none, k, d)
        return np.asarray(found, np.float64).reshape(-1, 2)
    homogeneous = points @ k.T
    pixels: npt.NDArray[np.float64] = homogeneous[:, :2] / homogeneous[:, 2:]
    return pixels


def check_intrinsics(intrinsics: Intrinsics) -> None:
    """Raise `FrameError` unless the focal lengths are positive and everything is finite."""
    fx, fy = intrinsics.k[0], intrinsics.k[4]
    if not (all(map(math.isfinite, intrinsics.k)) and fx > 0.0 and fy > 0.0):
        raise FrameError(
            'intrinsics',
            f'camera_info: expected focal lengths above 0, got fx {fx:g}, fy {fy:g}: '
            'the camera is not calibrated',
        )


@dataclass(frozen=True)
class GroundPlane:
    """The road as a plane under the camera.

    `height_m` of the optical centre above the road; `pitch` nose down and `roll` to the right are
    positive, radians, as REP-103's rotations about y (left) and x (forward) of the camera body.
    """

    height_m: float
    pitch: float = 0.0
    roll: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.height_m) and self.height_m > 0.0):
            raise ConfigError(
                f'camera height above the ground: expected metres above 0, got {self.height_m:g}'
            )
        if not (abs(self.pitch) <= math.pi / 2 and abs(self.roll) <= math.pi / 2):
            raise ConfigError(
                f'camera pitch and roll: expected at most 90 degrees, got '
                f'{math.degrees(self.pitch):g} and {math.degrees(self.roll):g}'
            )

    @property
    def down(self) -> tuple[float, float, float]:
        """Unit vector to the ground, in the optical frame."""
        # Body frame x forward, y left, z up; R = Ry(pitch) Rx(roll); down in it is -R^T z.
        cp, sp, cr, sr = (f(a) for a in (self.pitch, self.roll) for f in (math.cos, math.sin))
        forward, left, up = sp, -cp * sr, -cp * cr
        return -left, -up, forward

    @classmethod
    def from_rotation(cls, height_m: float, rotation: npt.NDArray[np.float64]) -> GroundPlane:
        """The plane z = 0 of a level frame, for `rotation` (3, 3): optical -> level frame."""
        down = -np.asarray(rotation, np.float64)[2]
        pitch = math.asin(float(np.clip(down[2], -1.0, 1.0)))
        return cls(height_m, pitch, math.atan2(float(down[0]), float(down[1])))

    def depth(self, rays: RayTable, max_range_m: float) -> Depth:
        """The depth image of the plane: 32FC1, 0 at the horizon and beyond `max_range_m`."""
        nx, ny, nz = self.down
        slope = nx * rays.x + ny * rays.y + nz
        with np.errstate(divide='ignore'):
            z = np.where(slope > 1e-6, self.height_m / slope, 0.0).astype(np.float32)
        z[z > max_range_m] = 0.0
        return Depth(z.reshape(rays.size.height, rays.size.width), '32FC1')


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
    found = np.full(indices.size, 255, np.uint8)
    for class_id, plane in enumerate(planes, 1):
        of_class = classes == class_id
        if of_class.any():
            found[of_class] = plane.reshape(-1)[indices[of_class]]
    return found
