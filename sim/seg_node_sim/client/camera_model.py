"""What `sensor_msgs/CameraInfo` says of a CARLA camera: an ideal pinhole."""

from __future__ import annotations

from dataclasses import dataclass

from seg_node_sim.client.images import intrinsic_matrix
from seg_node_sim.client.rig import CameraSpec


@dataclass(frozen=True)
class CameraModel:
    """Size in pixels, and K (9), R (9), P (12) row by row; `plumb_bob` with zero distortion.

    fx = fy = width / (2 tan(fov / 2)), (cx, cy) = ((width - 1) / 2, (height - 1) / 2): the centre
    of the first pixel is (0, 0), see `intrinsic_matrix`.
    """

    width: int
    height: int
    k: tuple[float, ...]
    p: tuple[float, ...]
    r: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    d: tuple[float, ...] = (0.0,) * 5
    distortion_model: str = 'plumb_bob'


def camera_model(spec: CameraSpec) -> CameraModel:
    """The model of a camera of the rig."""
    k = intrinsic_matrix(spec.image_size_x, spec.image_size_y, spec.fov)
    rows = [tuple(float(v) for v in row) for row in k]
    return CameraModel(
        spec.image_size_x,
        spec.image_size_y,
        tuple(v for row in rows for v in row),
        tuple(v for row in rows for v in (*row, 0.0)),
    )
