"""Where a camera pixel lies in the network's picture, and back: the only place that knows.

Pixel coordinates follow OpenCV and ROS: the centre of the first pixel is (0, 0), so that scaling
by s maps u to (u + 0.5) s - 0.5. `cv2.resize` does the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.camera.size import Interpolation, ResizePolicy, Size

Array = npt.NDArray[np.uint8]
PAD = 114
"""Grey of letterbox bars."""

_INTERPOLATION = {'linear': cv2.INTER_LINEAR, 'area': cv2.INTER_AREA}


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
        resize: ResizePolicy = 'stretch',
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
