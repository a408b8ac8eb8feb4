"""How far away each pixel is, in bands: from a depth image, or from a flat ground plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.depth import Depth
from seg_node.errors import ConfigError, FrameError
from seg_node.geometry import Intrinsics, Size

Array = npt.NDArray[np.uint8]
_FLOAT = np.finfo(np.float32)
_KNOWN = {
    '16UC1': (1000.0, 1.0, 65535.0),
    '32FC1': (1.0, float(_FLOAT.tiny), float(_FLOAT.max)),
}
"""By encoding: units a metre, and the range of what is known: not 0, NaN, infinite (REP-118)."""


@dataclass(frozen=True)
class Bands:
    """Distance bands between ascending `edges_m`: [0, e1), [e1, e2), … [en, infinity) metres."""

    edges_m: tuple[float, ...]

    def __post_init__(self) -> None:
        if any(a >= b for a, b in zip((0.0, *self.edges_m), self.edges_m)):
            raise ConfigError(f'--bands: expected ascending metres, got {list(self.edges_m)}')

    @classmethod
    def parse(cls, text: str) -> Bands:
        """Read `10,20,40`. Raises `ConfigError`."""
        try:
            return cls(tuple(float(part) for part in text.split(',') if part.strip()))
        except ValueError:
            raise ConfigError(f'--bands: expected metres like 10,20,40, got {text!r}') from None

    def __len__(self) -> int:
        return len(self.edges_m) + 1

    @property
    def labels(self) -> tuple[str, ...]:
        """Names for people, e.g. `0-10 m`."""
        lows = (0.0, *self.edges_m)
        closed = [f'{low:g}-{high:g} m' for low, high in zip(lows, self.edges_m)]
        return (*closed, f'{lows[-1]:g}+ m')

    def of(self, depth: Depth) -> Array:
        """uint8 (H, W): band of every pixel; `len(self)` where the depth is unknown."""
        pixels = depth.pixels
        unit, nearest, farthest = _KNOWN[depth.encoding]
        band = np.zeros(pixels.shape, np.uint8)
        for edge in self.edges_m:
            reached = np.asarray(cv2.compare(pixels, edge * unit, cv2.CMP_GE), np.uint8)
            np.subtract(band, reached, out=band)  # 255 taken from a byte adds one
        known = np.asarray(cv2.inRange(pixels, nearest, farthest), np.uint8)
        return np.where(known != 0, band, np.uint8(len(self)))


@dataclass(frozen=True)
class GroundPlane:
    """A camera `height_m` above a flat road, looking `pitch_deg` below the horizon, no roll."""

    intrinsics: Intrinsics
    height_m: float
    pitch_deg: float = 0.0

    def __post_init__(self) -> None:
        if self.height_m <= 0 or not -45 < self.pitch_deg < 90:
            raise ConfigError(
                '--camera-height, --camera-pitch: expected metres above 0 and -45 to 90 degrees, '
                f'got {self.height_m:g} and {self.pitch_deg:g}'
            )

    def depth(self, size: Size) -> Depth:
        """Metres along the optical axis to the ground; unknown above the horizon."""
        k = self.intrinsics.resized(size).k
        pitch = np.radians(self.pitch_deg)
        down = (np.arange(size.height) - k[5]) / k[4]
        # A point at optical depth z on the ray (x, y, 1) z lies (y cos p + sin p) z below.
        fall = down * np.cos(pitch) + np.sin(pitch)
        with np.errstate(divide='ignore'):
            rows = np.where(fall > 1e-6, self.height_m / np.maximum(fall, 1e-6), 0.0)
        return Depth(np.repeat(rows.astype(np.float32)[:, None], size.width, axis=1), '32FC1')


def intrinsics_of(message: Any) -> Intrinsics:
    """Intrinsics of a CameraInfo as rosbags reads it (ROS 1 writes K and P in capitals).

    Raises `FrameError` for a camera that was never calibrated (K of zeros).
    """
    k = getattr(message, 'k', None)
    k = message.K if k is None else k
    p = getattr(message, 'p', None)
    p = message.P if p is None else p
    if not k[0] or not k[4]:
        raise FrameError('camera_info', 'camera_info: expected a focal length, got 0')
    roi = message.roi
    return Intrinsics(
        Size(int(message.width), int(message.height)),
        tuple(float(v) for v in k),
        tuple(float(v) for v in p),
        (int(message.binning_x), int(message.binning_y)),
        (int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
    )
