"""How far away each pixel is, in bands: from a depth image, or from a flat ground plane."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.depth import Depth
from seg_node.errors import ConfigError, FrameError
from seg_node.geometry import Intrinsics, Size

Array = npt.NDArray[np.uint8]


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
        metres = depth.encoding == '32FC1'
        edges = [np.float32(e) if metres else math.ceil(e * 1000) for e in self.edges_m]
        band = np.zeros(pixels.shape, np.uint8)
        for edge in edges:
            band += (pixels >= edge).view(np.uint8)
        known = pixels > 0  # false for NaN as well
        if metres:
            known &= pixels < np.float32(np.inf)
        np.copyto(band, np.uint8(len(self)), where=np.logical_not(known, out=known))
        return band


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
