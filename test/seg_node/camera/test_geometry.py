"""Resize and back, points, and camera_info."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg_node.camera.geometry import PAD, Geometry
from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.size import Size
from seg_node.errors import ConfigError

sizes = st.builds(Size, st.integers(2, 400), st.integers(2, 300))
policies = st.sampled_from(['stretch', 'letterbox'])


@given(sizes, sizes, policies)
@settings(max_examples=60)
def test_planes_come_back_at_camera_size(source, network, policy):
    geometry = Geometry.fit(source, network, policy)
    plane = np.full((network.height, network.width), 77, np.uint8)
    assert (geometry.to_source(plane) == 77).all()
    assert geometry.to_source(plane).shape == (source.height, source.width)


@pytest.mark.parametrize('policy', ['stretch', 'letterbox'])
@pytest.mark.parametrize('source', [Size(640, 360), Size(300, 400), Size(123, 77)])
def test_a_blob_lands_where_the_points_say(source, policy):
    geometry = Geometry.fit(source, Size(256, 128), policy)
    picture = np.zeros((source.height, source.width), np.uint8)
    centre = (source.width // 3, source.height // 2)
    cv2.circle(picture, centre, 12, 255, -1)
    small = geometry.to_network(picture).astype(float)
    inside = small[
        geometry.top : geometry.top + geometry.inner.height,
        geometry.left : geometry.left + geometry.inner.width,
    ]
    ys, xs = np.mgrid[0 : inside.shape[0], 0 : inside.shape[1]]
    found = np.array([(xs * inside).sum(), (ys * inside).sum()]) / inside.sum()
    found += [geometry.left, geometry.top]
    expected = geometry.points_to_network(np.array([centre], float))[0]
    np.testing.assert_allclose(found, expected, atol=0.35)


def test_letterbox_pads_with_grey():
    geometry = Geometry.fit(Size(100, 100), Size(200, 100), 'letterbox')
    small = geometry.to_network(np.full((100, 100, 3), 9, np.uint8))
    assert (small[:, :50] == PAD).all()
    assert (small[:, 50:150] == 9).all()
    assert (small[:, 150:] == PAD).all()


def test_half_resolution_scores_of_a_letterbox():
    geometry = Geometry.fit(Size(100, 100), Size(200, 100), 'letterbox')
    plane = np.zeros((50, 100), np.uint8)
    plane[:, 25:75] = 200
    assert (geometry.to_source(plane) == 200).all()


K = (500.0, 0.0, 319.5, 0.0, 510.0, 239.5, 0.0, 0.0, 1.0)
P = (480.0, 0.0, 310.0, -50.0, 0.0, 490.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CAMERA = Intrinsics(Size(640, 480), K, P)
POINTS = np.array([[0.5, -0.2, 4.0], [-2.0, 1.0, 6.0], [0.0, 0.0, 1.0]])


def project(intrinsics: Intrinsics) -> np.ndarray:
    pixels = POINTS @ np.reshape(intrinsics.k, (3, 3)).T
    return pixels[:, :2] / pixels[:, 2:]


def test_scaled_camera_projects_to_the_scaled_pixel():
    geometry = Geometry.fit(CAMERA.size, Size(256, 128))
    np.testing.assert_allclose(
        project(CAMERA.resized(Size(256, 128))), geometry.points_to_network(project(CAMERA))
    )


def test_the_same_size_is_left_alone():
    assert CAMERA.resized(Size(640, 480)) == CAMERA


def test_roi_and_binning_are_worked_in():
    cut = Intrinsics(Size(640, 480), K, P, binning=(2, 2), roi=(100, 40, 400, 200))
    assert cut.image_size() == Size(200, 100)
    expected = (project(CAMERA) - [100, 40] + 0.5) / 2 - 0.5
    np.testing.assert_allclose(project(cut.folded()), expected)
    assert cut.folded().size == Size(200, 100)
    np.testing.assert_allclose(project(cut.resized(Size(100, 50))), (expected + 0.5) / 2 - 0.5)


def test_stereo_baseline_scales_with_the_width():
    resized = CAMERA.resized(Size(320, 240))
    assert resized.p[3] == pytest.approx(-25.0)


@pytest.mark.parametrize('text', ['', '12', '0x4', '3x-1', 'axb', '1x2x3'])
def test_impossible_sizes_are_refused(text):
    with pytest.raises(ConfigError, match='WIDTHxHEIGHT'):
        Size.parse(text)
