"""From CARLA's axes to ROS's and back (REP-103, REP-105).

CARLA is left-handed (x forward, y right, z up; degrees; pitch up is positive). ROS is right-handed
(x forward, y left, z up; radians; pitch down is positive). A camera's optical frame has x right,
y down, z along the view.
"""

from __future__ import annotations

import math

import numpy as np

from seg_node.transforms import Pose, optical_mount
from seg_node_sim.scene import CarlaPose

_FLIP = np.diag((1.0, -1.0, 1.0, 1.0))

Vector = tuple[float, float, float]


def to_ros(pose: CarlaPose) -> Pose:
    """A CARLA pose in ROS's axes."""
    return Pose.of_matrix(_FLIP @ pose.matrix() @ _FLIP)


def to_ros_optical(pose: CarlaPose) -> Pose:
    """Pose of the optical frame of a camera whose CARLA pose (relative to its parent) is given."""
    return Pose.of_matrix(optical_mount(to_ros(pose)))


def from_ros_degrees(
    x: float, y: float, z: float, roll: float, pitch: float, yaw: float
) -> CarlaPose:
    """CARLA's pose of a `spawn_point` as ros-bridge writes it: ROS axes, degrees."""
    return CarlaPose(x, -y, z, pitch=-pitch, yaw=-yaw, roll=roll)


def vector_to_ros(vector: Vector) -> Vector:
    """A velocity or acceleration."""
    return (vector[0], -vector[1], vector[2])


def turn_rate_to_ros(degrees_per_s: Vector) -> Vector:
    """CARLA's angular velocity (deg/s about its axes) in rad/s about ROS's.

    Mirroring one axis turns the sense of rotation about the two others.
    """
    x, y, z = (math.radians(v) for v in degrees_per_s)
    return (x, -y, -z)


def into_body(vector: Vector, pose: CarlaPose) -> Vector:
    """A world vector (ROS axes) seen from a body at `pose` (CARLA), for nav_msgs/Odometry."""
    x, y, z = to_ros(pose).rotation.apply(vector, inverse=True)
    return (float(x), float(y), float(z))
