"""From CARLA's axes to ROS's and back (REP-103, REP-105).

CARLA is left-handed (x forward, y right, z up; degrees; pitch up is positive). ROS is right-handed
(x forward, y left, z up; radians; pitch down is positive). A camera's optical frame has x right,
y down, z along the view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seg_node_sim.scene import Pose

_FLIP = np.diag((1.0, -1.0, 1.0))
_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Columns: the optical axes seen from a frame with x forward, y left, z up."""

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True)
class RosPose:
    """Position in metres and unit quaternion (x, y, z, w), right-handed."""

    position: Vector
    orientation: Quaternion


def to_ros(pose: Pose) -> RosPose:
    """A CARLA pose in ROS's axes."""
    return RosPose((pose.x, -pose.y, pose.z), quaternion(_rotation(pose)))


def to_ros_optical(pose: Pose) -> RosPose:
    """Pose of the optical frame of a camera whose CARLA pose (relative to its parent) is given."""
    return RosPose((pose.x, -pose.y, pose.z), quaternion(_rotation(pose) @ _OPTICAL))


def from_ros_degrees(x: float, y: float, z: float, roll: float, pitch: float, yaw: float) -> Pose:
    """CARLA's pose of a `spawn_point` as ros-bridge writes it: ROS axes, degrees."""
    return Pose(x, -y, z, pitch=-pitch, yaw=-yaw, roll=roll)


def vector_to_ros(vector: Vector) -> Vector:
    """A velocity or acceleration."""
    return (vector[0], -vector[1], vector[2])


def turn_rate_to_ros(degrees_per_s: Vector) -> Vector:
    """CARLA's angular velocity (deg/s about its axes) in rad/s about ROS's.

    Mirroring one axis turns the sense of rotation about the two others.
    """
    x, y, z = (math.radians(v) for v in degrees_per_s)
    return (x, -y, -z)


def into_body(vector: Vector, pose: Pose) -> Vector:
    """A world vector (ROS axes) seen from a body at `pose` (CARLA), for nav_msgs/Odometry."""
    x, y, z = _rotation(pose).T @ np.asarray(vector)
    return (float(x), float(y), float(z))


def _rotation(pose: Pose) -> np.ndarray:
    return _FLIP @ pose.matrix()[:3, :3] @ _FLIP


def quaternion(rotation: np.ndarray) -> Quaternion:
    """Unit quaternion (x, y, z, w), w >= 0, of a rotation matrix (3, 3) (Shepperd's method)."""
    m = rotation
    candidates = np.array(
        [m[0, 0] - m[1, 1] - m[2, 2], m[1, 1] - m[0, 0] - m[2, 2],
         m[2, 2] - m[0, 0] - m[1, 1], m[0, 0] + m[1, 1] + m[2, 2]]
    )  # fmt: skip
    largest = int(np.argmax(candidates))
    q = np.empty(4)
    q[largest] = 1.0 + candidates[largest]
    if largest == 3:
        q[0], q[1], q[2] = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        q[j], q[k], q[3] = m[j, i] + m[i, j], m[k, i] + m[i, k], m[k, j] - m[j, k]
    q /= np.linalg.norm(q) * (-1.0 if q[3] < 0.0 else 1.0)
    return (float(q[0]), float(q[1]), float(q[2]), float(q[3]))
