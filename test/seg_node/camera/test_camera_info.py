"""A camera_info is understood or refused; no cloud comes from a wrong lens model."""

from __future__ import annotations

import math
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from seg_node.camera.camera_info import Distortion, calibration_of, intrinsics_of
from seg_node.camera.ground import GroundPlane
from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.points import PointOptions, lane_points
from seg_node.camera.rays import RayTable, project
from seg_node.camera.size import Size
from seg_node.errors import FrameError

SIZE = Size(160, 120)
CAMERA = Intrinsics.pinhole(SIZE, 90.0)
RATIONAL = (0.4, -0.3, 1e-3, -5e-4, 0.05, 0.7, -0.2, 0.01)
FISHEYE = (0.05, -0.01, 0.002, -0.0005)


def message(model: str, d: tuple[float, ...], **changes: object) -> SimpleNamespace:
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    values = {'width': SIZE.width, 'height': SIZE.height, 'k': CAMERA.k, 'p': CAMERA.p, 'd': d}
    values |= {'distortion_model': model, 'binning_x': 0, 'binning_y': 0, 'roi': roi}
    return SimpleNamespace(**(values | changes))


def bent_by_opencv(model: str, d: tuple[float, ...], points: np.ndarray) -> np.ndarray:
    k, zero = np.reshape(CAMERA.k, (3, 3)), np.zeros(3)
    if model == 'fisheye':
        return cv2.fisheye.projectPoints(points[:, None], zero, zero, k, np.array(d))[0][:, 0]
    return cv2.projectPoints(points, zero, zero, k, np.array(d))[0][:, 0]


@pytest.mark.parametrize(
    ('name', 'd', 'family'),
    [
        ('plumb_bob', (-0.2, 0.05, 1e-3, -1e-3), 'pinhole'),
        ('plumb_bob', (-0.2, 0.05, 1e-3, -1e-3, 0.01), 'pinhole'),
        ('plumb_bob', (-0.2, 0.05, 1e-3, -1e-3, 0.01, 0.0, 0.0, 0.0), 'pinhole'),
        ('rational_polynomial', RATIONAL, 'pinhole'),
        ('rational_polynomial', (*RATIONAL, 1e-3, 0.0, 1e-3, 0.0), 'pinhole'),
        ('equidistant', FISHEYE, 'fisheye'),
        ('equidistant', (*FISHEYE, 0.0), 'fisheye'),
        ('fisheye', FISHEYE, 'fisheye'),
        ('Kannala_Brandt4', FISHEYE, 'fisheye'),
        ('KannalaBrandt', FISHEYE, 'fisheye'),
    ],
)
def test_rays_are_those_that_opencv_projects_back_to_their_pixels(name, d, family):
    known = calibration_of(message(name, d))
    assert known.distortion.family == family
    rays = RayTable.of(known.intrinsics, known.distortion)
    v, u = np.divmod(np.arange(SIZE.width * SIZE.height), SIZE.width)
    sure = np.isfinite(rays.x)
    assert sure.mean() > 0.95
    points = np.stack([rays.x, rays.y, np.ones_like(rays.x)], 1).astype(np.float64)[sure]
    exact = known.distortion.coefficients
    pixels = np.stack([u, v], 1)[sure]
    np.testing.assert_allclose(bent_by_opencv(family, exact, points), pixels, atol=0.051)
    np.testing.assert_allclose(
        project(points, known.intrinsics, known.distortion), pixels, atol=0.051
    )


def test_a_fisheye_is_no_pinhole():
    """The ray of a pixel far from the middle, by hand: theta is the pixel's distance / f."""
    known = calibration_of(message('equidistant', (1e-9, 0.0, 0.0, 0.0)))
    rays = RayTable.of(known.intrinsics, known.distortion)
    row, column = 60, 159
    angle = math.hypot(column - 79.5, row - 59.5) / CAMERA.k[0]
    at = row * SIZE.width + column
    assert math.hypot(rays.x[at], rays.y[at]) == pytest.approx(math.tan(angle), rel=1e-4)


@pytest.mark.parametrize('name', ['ftheta', 'kannala_brandt5', 'double_sphere', '', 'omni'])
def test_unknown_models_are_refused_by_name_unless_rectified(name):
    with pytest.raises(
        FrameError, match=r'distortion_model .* with D not 0: expected one of'
    ) as e:
        calibration_of(message(name, (0.1, 0.0, 0.0, 0.0)))
    assert repr(name) in str(e.value) and '\n' not in str(e.value)
    assert calibration_of(message(name, (0.0,) * 4)).distortion.is_none


@pytest.mark.parametrize(
    ('name', 'd', 'said'),
    [
        ('plumb_bob', (0.1, 0.2), 'expected 4 or 5 numbers, got 2'),
        ('plumb_bob', RATIONAL, 'expected 4 or 5 numbers, got 8'),
        ('rational_polynomial', (0.1,) * 5, 'expected 8 or 12 or 14 numbers, got 5'),
        ('equidistant', (*FISHEYE, 0.3), 'expected 4 numbers, got 5'),
        ('equidistant', FISHEYE[:3], 'expected 4 numbers, got 3'),
        ('plumb_bob', (math.nan,) * 5, 'expected finite numbers'),
        ('', (math.inf,), 'expected finite numbers'),
    ],
)
def test_impossible_coefficients_are_refused(name, d, said):
    with pytest.raises(FrameError, match=said) as error:
        calibration_of(message(name, d))
    assert error.value.cause == 'distortion'


def test_broken_k_and_p_are_refused():
    with pytest.raises(FrameError, match='K: expected 9 numbers, got 4'):
        intrinsics_of(message('plumb_bob', (), k=(1.0,) * 4))
    with pytest.raises(FrameError, match='P: expected 12 numbers, got 0'):
        intrinsics_of(message('plumb_bob', (), p=()))
    with pytest.raises(FrameError, match='not calibrated'):
        calibration_of(message('plumb_bob', (), k=(math.nan,) * 9))
    assert intrinsics_of(message('plumb_bob', (), k=(0.0,) * 9)).size == SIZE


def test_ros1_names_are_read():
    old = message('plumb_bob', ())
    capitals = {name.upper(): getattr(old, name) for name in 'kpd'}
    for name in 'kpd':
        delattr(old, name)
    vars(old).update(capitals)
    assert calibration_of(old).intrinsics == CAMERA


def test_pixels_without_a_ray_make_no_points():
    """A strong barrel folds over: no ray leads to the corners, so no point comes there."""
    d = Distortion.of('plumb_bob', (-0.25, 0.0, 0.0, 0.0, 0.0))
    rays = RayTable.of(CAMERA, d)
    lost = ~np.isfinite(rays.x)
    assert 0 < lost.sum() < lost.size / 2 and lost[0]
    depth = GroundPlane(1.5).depth(rays, 100.0)
    everything = np.ones((SIZE.height, SIZE.width), np.uint8)
    points = lane_points(everything, (), depth, rays, PointOptions((1,), max_range_m=100.0))
    assert len(points) and np.isfinite(points['x']).all()
    np.testing.assert_allclose(points['y'], 1.5, rtol=1e-4)


def test_the_axis_of_a_symmetric_camera_lies_between_the_middle_pixels():
    known = Intrinsics.pinhole(Size(640, 359), 90.0)
    assert (known.k[2], known.k[5], known.k[0]) == (319.5, 179.0, pytest.approx(320.0))
    rays = RayTable.of(known)
    assert rays.x[0] == pytest.approx(-rays.x[639])  # mirrored: no side is nearer
    assert rays.y[0] == pytest.approx(-rays.y[-1])
    # Resizing keeps the axis in the middle: geometry's (u + 0.5) s - 0.5 says the same.
    small = known.resized(Size(320, 180))
    assert small.k[2] == 159.5
