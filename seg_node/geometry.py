"""Where a camera pixel lies in the network's picture, and back: the only place that knows.

Pixel coordinates follow OpenCV and ROS: the centre of the first pixel is (0, 0), so that scaling
by s maps u to (u + 0.5) s - 0.5. `cv2.resize` does the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.errors import ConfigError
from seg_node.model.spec import Interpolation, Resize

Array = npt.NDArray[np.uint8]
PAD = 114
"""Grey of letterbox bars."""

_INTERPOLATION = {'linear': cv2.INTER_LINEAR, 'area': cv2.INTER_AREA}


@dataclass(frozen=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ConfigError(f'size: expected at least 1x1, got {self}')

    def __str__(self) -> str:
        return f'{self.width}x{self.height}'

    @classmethod
    def of(cls, image: npt.NDArray[np.generic]) -> Size:
        """Size of an image (H, W) or (H, W, C)."""
        return cls(image.shape[1], image.shape[0])

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read `WIDTHxHEIGHT`; raises `ConfigError`."""
        parts = text.lower().split('x')
        if len(parts) != 2 or not all(p.isdigit() and int(p) > 0 for p in parts):
            raise ConfigError(f'size: expected WIDTHxHEIGHT like 1280x720, got {text!r}')
        return cls(int(parts[0]), int(parts[1]))


@dataclass(frozen=True)
class Geometry:
    """The map between one camera size and one network size.

    The camera picture fills the box (`left`, `top`, `inner`) of the network's picture; with
    `stretch` that is all of it, with `letterbox` the rest is grey.
    """

    source: Size
    network: Size
    left: int
    top: int
    inner: Size
    interpolation: Interpolation = 'linear'

    @classmethod
    def fit(
        cls,
        source: Size,
        network: Size,
        resize: Resize = 'stretch',
        interpolation: Interpolation = 'linear',
    ) -> Geometry:
        """Geometry of a `source` picture in a `network` picture under a resize policy."""
        if resize == 'stretch':
            return cls(source, network, 0, 0, network, interpolation)
        scale = min(network.width / source.width, network.height / source.height)
        inner = Size(
            max(1, min(network.width, round(source.width * scale))),
            max(1, min(network.height, round(source.height * scale))),
        )
        left, top = (network.width - inner.width) // 2, (network.height - inner.height) // 2
        return cls(source, network, left, top, inner, interpolation)

    @property
    def scale(self) -> tuple[float, float]:
        """Network pixels a camera pixel, along x and y."""
        return self.inner.width / self.source.width, self.inner.height / self.source.height

    def to_network(self, image: Array, out: Array | None = None) -> Array:
        """Resize uint8 (H, W[, C]) of the camera's size to (h, w[, C]) of the network's.

        `out` (the same shape as the result) is filled in place where given.
        """
        shape = (self.network.height, self.network.width, *image.shape[2:])
        target = out if out is not None else np.empty(shape, np.uint8)
        if self.inner != self.network:
            target[...] = PAD
        box = target[self._rows, self._columns]
        if self.inner == self.source:
            box[...] = image
        else:
            self._resize(image, self.inner, _INTERPOLATION[self.interpolation], box)
        return target

    def to_source(self, plane: Array, out: Array | None = None, *, nearest: bool = False) -> Array:
        """Bring uint8 (h, w) of the network's size, e.g. scores, to the camera's size.

        Linear by default; `nearest` for class ids. A plane whose size is an integer fraction of
        the network's (a head that answers at a lower resolution) is taken as covering the same
        picture.
        """
        box = plane[self._part(plane)]
        if Size.of(box) == self.source:
            if out is None:
                return box
            out[...] = box
            return out
        target = (
            out if out is not None else np.empty((self.source.height, self.source.width), np.uint8)
        )
        method = cv2.INTER_NEAREST_EXACT if nearest else cv2.INTER_LINEAR
        self._resize(box, self.source, method, target)
        return target

    def crop(self, plane: Array) -> Array:
        """The part of a network-sized (h, w) plane that shows the picture, without the bars."""
        return plane[self._part(plane)]

    def points_to_network(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Map (N, 2) camera pixels (u, v) to network pixels."""
        offset = np.array([self.left, self.top], np.float64)
        mapped: npt.NDArray[np.float64] = (points + 0.5) * self.scale - 0.5 + offset
        return mapped

    def points_to_source(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Map (N, 2) network pixels (u, v) to camera pixels."""
        offset = np.array([self.left, self.top], np.float64)
        mapped: npt.NDArray[np.float64] = (points - offset + 0.5) / self.scale - 0.5
        return mapped

    @property
    def _rows(self) -> slice:
        return slice(self.top, self.top + self.inner.height)

    @property
    def _columns(self) -> slice:
        return slice(self.left, self.left + self.inner.width)

    def _part(self, plane: npt.NDArray[np.generic]) -> tuple[slice, slice]:
        if plane.shape == (self.network.height, self.network.width):
            return self._rows, self._columns
        ky = self.network.height / plane.shape[0]
        kx = self.network.width / plane.shape[1]
        return (
            slice(round(self.top / ky), round((self.top + self.inner.height) / ky)),
            slice(round(self.left / kx), round((self.left + self.inner.width) / kx)),
        )

    @staticmethod
    def _resize(image: Array, size: Size, method: int, target: Array) -> None:
        done = cv2.resize(image, (size.width, size.height), dst=target, interpolation=method)
        if done is not target and not np.shares_memory(done, target):
            target[...] = done.reshape(target.shape)


@dataclass(frozen=True)
class Intrinsics:
    """What of a `sensor_msgs/CameraInfo` depends on the picture's size (REP-104).

    `k`: 9 floats, row major, pixels; `p`: 12 floats. `binning` and `roi` (x, y, width, height in
    full-resolution pixels; all 0 = full) as in the message, where 0 binning means 1.
    """

    size: Size
    k: tuple[float, ...]
    p: tuple[float, ...]
    binning: tuple[int, int] = (0, 0)
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)

    def image_size(self) -> Size:
        """Size of the pictures that this calibration belongs to, after ROI and binning."""
        width, height = self.roi[2] or self.size.width, self.roi[3] or self.size.height
        return Size(
            max(1, width // (self.binning[0] or 1)), max(1, height // (self.binning[1] or 1))
        )

    def folded(self) -> Intrinsics:
        """The same camera with ROI and binning worked into K and P."""
        bx, by = (self.binning[0] or 1), (self.binning[1] or 1)
        if (bx, by) == (1, 1) and self.roi[:2] == (0, 0) and not any(self.roi[2:]):
            return replace(self, binning=(0, 0), roi=(0, 0, 0, 0))
        matrix = _pixel_map(1 / bx, 1 / by) @ _shift(-self.roi[0], -self.roi[1])
        return self._mapped(matrix, self.image_size())

    def resized(self, size: Size) -> Intrinsics:
        """Intrinsics of the same picture at `size`, exactly: a 3-D point projects to the pixel
        that resizing moves its camera pixel to.
        """
        folded = self.folded()
        if size == folded.size:
            return folded
        scale = size.width / folded.size.width, size.height / folded.size.height
        return folded._mapped(_pixel_map(*scale), size)

    def _mapped(self, matrix: npt.NDArray[np.float64], size: Size) -> Intrinsics:
        k = matrix @ np.asarray(self.k, np.float64).reshape(3, 3)
        p = matrix @ np.asarray(self.p, np.float64).reshape(3, 4)
        return Intrinsics(size, tuple(map(float, k.ravel())), tuple(map(float, p.ravel())))


def _pixel_map(sx: float, sy: float) -> npt.NDArray[np.float64]:
    """Homogeneous (3, 3) map u -> (u + 0.5) s - 0.5."""
    return np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]], np.float64)


def _shift(x: float, y: float) -> npt.NDArray[np.float64]:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)
