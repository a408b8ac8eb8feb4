"""Rays, the ground plane, and lane pixels in 3-D."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_node.camera.camera_info import Distortion
from seg_node.camera.depth import Depth
from seg_node.camera.ground import GroundPlane
from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.points import PointOptions, lane_points
from seg_node.camera.rays import RayTable, project
from seg_node.camera.size import Size
from seg_node.errors import ConfigError, FrameError
from seg_node.transforms import Pose, optical_mount

K = (100.0, 0.0, 31.5, 0.0, 110.0, 23.5, 0.0, 0.0, 1.0)
P = (100.0, 0.0, 31.5, 0.0, 0.0, 110.0, 23.5, 0.0, 0.0, 0.0, 1.0, 0.0)
CAMERA = Intrinsics(Size(64, 48), K, P)
RAYS = RayTable.of(CAMERA)
LANES = PointOptions((2,), max_range_m=50.0)


def test_points_project_back_to_their_pixels():
    mask = np.zeros((48, 64), np.uint8)
    mask[10, 20] = mask[40, 63] = 2
    mask[5, 5] = 1
    score = np.full((48, 64), 7, np.uint8)
    score[10, 20] = 200
    depth = Depth(np.full((48, 64), 4.0, np.float32), '32FC1')
    points = lane_points(mask, (np.zeros_like(mask), score), depth, RAYS, LANES)
    assert points['class'].tolist() == [2, 2]
    assert points['confidence'].tolist() == [200, 7]
    assert points['z'] == pytest.approx([4.0, 4.0])
    xyz = np.stack([points['x'], points['y'], points['z']], 1).astype(float)
    assert project(xyz, CAMERA) == pytest.approx(np.array([[20, 10], [63, 40]]), abs=1e-3)


def test_depth_in_millimetres_and_smaller_by_four():
    mask = np.zeros((48, 64), np.uint8)
    mask[17, 9] = 2
    pixels = np.zeros((12, 16), np.uint16)
    pixels[4, 2] = 2500
    points = lane_points(mask, (), Depth(pixels, '16UC1'), RAYS, LANES)
    assert points['z'] == pytest.approx([2.5])
    assert points['x'] == pytest.approx([(9 - 31.5) / 100 * 2.5])


def test_unknown_depth_range_and_confidence_are_left_out():
    mask = np.full((48, 64), 2, np.uint8)
    pixels = np.zeros((48, 64), np.float32)
    pixels[0, :4] = (np.nan, 60.0, 0.1, 5.0)
    assert len(lane_points(mask, (), Depth(pixels, '32FC1'), RAYS, LANES)) == 1
    low = np.full((48, 64), 10, np.uint8)
    options = PointOptions((2,), 50.0, min_confidence=100)
    assert len(lane_points(mask, (low, low), Depth(pixels, '32FC1'), RAYS, options)) == 0


@given(
    height=st.floats(0.3, 3.0),
    pitch=st.floats(-0.3, 0.6),
    roll=st.floats(-0.4, 0.4),
    yaw=st.floats(-3.0, 3.0),
)
def test_ground_plane_points_lie_on_the_ground(height, pitch, roll, yaw):
    plane = GroundPlane(height, pitch, roll)
    z = plane.depth(RAYS, 30.0).pixels.ravel()
    there = z > 0
    local = np.stack([RAYS.x * z, RAYS.y * z, z], 1)[there].astype(float)
    mount = optical_mount(Pose.of_euler(0, 0, height, roll, pitch, yaw))
    up = (local @ mount[:3, :3].T + mount[:3, 3])[:, 2]
    assert np.abs(up).max(initial=0.0) < 2e-5 * 30
    found = GroundPlane.from_rotation(height, mount[:3, :3])
    assert found.down == pytest.approx(plane.down, abs=1e-9)


def test_level_camera_sees_no_ground_above_the_horizon():
    pixels = GroundPlane(1.5).depth(RAYS, 1000.0).pixels
    assert not pixels[:24].any()
    assert pixels[24:].all()
    assert pixels[47, 0] == pytest.approx(1.5 * 110 / 23.5)
    assert not GroundPlane(1.5).depth(RAYS, 5.0).pixels.any()


def test_distortion_is_taken_out():
    d = (-0.3, 0.1, 0.001, -0.001, 0.0)
    rays = RayTable.of(CAMERA, Distortion.of('plumb_bob', d))
    rays3 = np.stack([rays.x, rays.y, np.ones_like(rays.x)], 1).astype(np.float64)
    pixels, _ = cv2.projectPoints(
        rays3, np.zeros(3), np.zeros(3), np.reshape(K, (3, 3)), np.array(d)
    )
    v, u = np.divmod(np.arange(64 * 48), 64)
    assert pixels.reshape(-1, 2) == pytest.approx(np.stack([u, v], 1), abs=1e-3)
    assert project(rays3, CAMERA, Distortion.of('plumb_bob', d)) == pytest.approx(
        pixels.reshape(-1, 2)
    )


def test_zero_intrinsics_are_refused():
    with pytest.raises(FrameError, match='not calibrated') as found:
        RayTable.of(Intrinsics(Size(64, 48), (0.0,) * 9, (0.0,) * 12))
    assert found.value.cause == 'intrinsics'
    with pytest.raises(FrameError, match='not calibrated'):
        RayTable.of(Intrinsics(Size(64, 48), (math.nan, *K[1:]), P))


def test_sizes_that_do_not_fit_are_refused():
    mask = np.full((24, 32), 2, np.uint8)
    with pytest.raises(FrameError, match='expected 32x24, got 64x48'):
        lane_points(mask, (), Depth(np.ones((24, 32), np.float32), '32FC1'), RAYS, LANES)
    mask = np.full((48, 64), 2, np.uint8)
    with pytest.raises(FrameError, match='integer multiple'):
        lane_points(mask, (), Depth(np.ones((20, 32), np.float32), '32FC1'), RAYS, LANES)


def test_impossible_options():
    with pytest.raises(ConfigError, match='height'):
        GroundPlane(0.0)
    with pytest.raises(ConfigError, match='range'):
        PointOptions((2,), max_range_m=1.0, min_range_m=2.0)
    with pytest.raises(ConfigError, match='lane classes'):
        PointOptions(())
