"""Poses, interpolation, and odometry that cannot be trusted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_node.errors import ConfigError
from seg_node.transforms import MotionLimits, OdometryTrack, Pose, optical_mount

ANGLE = st.floats(-3.1, 3.1)
S = 1_000_000_000


@given(ANGLE, st.floats(-1.5, 1.5), ANGLE)
def test_pose_to_matrix_and_back(roll, pitch, yaw):
    pose = Pose.of_euler(1.0, -2.0, 3.0, roll, pitch, yaw)
    matrix = pose.matrix()
    assert matrix[:3, :3] @ matrix[:3, :3].T == pytest.approx(np.eye(3), abs=1e-12)
    assert matrix[2, 0] == pytest.approx(-math.sin(pitch), abs=1e-12)
    assert math.atan2(matrix[1, 0], matrix[0, 0]) == pytest.approx(yaw, abs=1e-6)
    assert Pose.of_matrix(matrix).matrix() == pytest.approx(matrix, abs=1e-9)


def test_optical_frame_looks_forward():
    mount = optical_mount(Pose.of_euler(1.0, 0.0, 1.5))
    assert mount @ (0, 0, 10, 1) == pytest.approx([11, 0, 1.5, 1])
    assert mount @ (2, 0, 0, 1) == pytest.approx([1, -2, 1.5, 1])
    assert mount @ (0, 1, 0, 1) == pytest.approx([1, 0, 0.5, 1])
    down = optical_mount(Pose.of_euler(0, 0, 0, pitch=0.1)) @ (0, 0, 1, 1)
    assert down[2] < 0


def test_interpolation_is_between_and_never_outside():
    track = OdometryTrack()
    track.add(0, Pose.of_euler(0, 0, 0))
    track.add(S // 10, Pose.of_euler(1, 0, 0, yaw=0.2))
    half = track.at(S // 20)
    assert half.translation == pytest.approx((0.5, 0, 0))
    assert half.matrix() == pytest.approx(Pose.of_euler(0.5, 0, 0, yaw=0.1).matrix())
    assert track.at(0).translation == (0, 0, 0)
    assert track.at(-1) is None
    assert track.at(S // 10 + 1) is None


def test_no_pose_within_a_gap():
    track = OdometryTrack()
    track.add(0, Pose())
    track.add(2 * S, Pose())
    assert track.at(S) is None


def test_a_jump_is_named_and_held_until_reset():
    track = OdometryTrack()
    assert track.state == 'missing'
    for i in range(5):
        assert track.add(i * S // 20, Pose.of_euler(0.5 * i, 0, 0))
    assert not track.add(5 * S // 20, Pose.of_euler(42.5, 0, 0))
    assert track.state == 'jumped'
    assert '40.50 m' in track.problem and '0.050 s' in track.problem
    assert track.at(9 * S // 40) is None
    for i in range(6, 100):
        assert not track.add(i * S // 20, Pose.of_euler(42.5, 0, 0))
    assert track.jumps == 1
    track.reset()
    assert track.add(100 * S // 20, Pose.of_euler(42.5, 0, 0))
    assert track.state == 'good'


def test_a_single_outlier_is_survived():
    track = OdometryTrack()
    track.add(0, Pose())
    assert not track.add(S // 20, Pose.of_euler(0, 0, 0, yaw=2.0))
    assert track.add(S // 10, Pose.of_euler(1.0, 0, 0))
    assert track.state == 'good'
    assert track.at(S // 20).translation == pytest.approx((0.5, 0, 0))


def test_time_going_back_is_a_jump():
    track = OdometryTrack(MotionLimits())
    track.add(S, Pose())
    assert not track.add(S // 2, Pose())
    assert 'went back' in track.problem


def test_poses_that_are_none_are_refused():
    with pytest.raises(ConfigError, match='unit quaternion'):
        Pose((0, 0, 0), (0, 0, 0, 0))
    with pytest.raises(ConfigError, match='finite'):
        Pose((math.nan, 0, 0))
