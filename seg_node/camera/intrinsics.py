"""The part of a camera_info that depends on the picture's size: K, P, binning, ROI (REP-104).

The centre of the first pixel is (0, 0), as OpenCV and REP-104 count: a ray through column u of w
columns leaves the middle of that pixel, and the axis of a symmetric camera meets the picture at
cx = (w - 1) / 2. ros-bridge publishes w / 2 for CARLA's cameras, half a pixel beside its pictures
(0.22 m of ground range at 15 m); ours are exact: the play node, the simulator and its renderer
all take `Intrinsics.pinhole`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seg_node.camera.size import Size


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

    @classmethod
    def pinhole(cls, size: Size, fov_deg: float) -> Intrinsics:
        """A symmetric camera with square pixels and a horizontal field of view of `fov_deg`."""
        focal = size.width / (2.0 * math.tan(math.radians(fov_deg) / 2.0))
        cx, cy = (size.width - 1) / 2.0, (size.height - 1) / 2.0
        k = (focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0)
        return cls(size, k, (*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0))

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
        with np.errstate(over='ignore', invalid='ignore'):  # a driver's numbers may be any
            k = matrix @ np.asarray(self.k, np.float64).reshape(3, 3)
            p = matrix @ np.asarray(self.p, np.float64).reshape(3, 4)
        return Intrinsics(size, tuple(map(float, k.ravel())), tuple(map(float, p.ravel())))


def _pixel_map(sx: float, sy: float) -> npt.NDArray[np.float64]:
    """Homogeneous (3, 3) map u -> (u + 0.5) s - 0.5."""
    return np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]], np.float64)


def _shift(x: float, y: float) -> npt.NDArray[np.float64]:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)
