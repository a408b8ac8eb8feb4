"""The published camera model against the picture: a known point is found where K puts it."""

from __future__ import annotations

import numpy as np
import pytest

from seg_node_sim.client.axes import to_ros_optical
from seg_node_sim.client.camera_model import camera_model
from seg_node_sim.client.images import depth_metres, without_sky
from seg_node_sim.client.rig import CameraSpec
from seg_node_sim.maps.markings import markings
from seg_node_sim.maps.opendrive import parse
from seg_node_sim.render.accuracy import LINE, ROAD
from seg_node_sim.scene import FAR, Camera, CarlaPose, Weather
from seg_node_sim.server.cameras import encode_depth

SIZES = ((640, 360), (641, 359))


def projected(camera: Camera, pose: CarlaPose, points: np.ndarray) -> np.ndarray:
    """World points (N, 3), CARLA's axes, to pixels (N, 2) and depth by the published K: (N, 3)."""
    from scipy.spatial.transform import Rotation

    spec = CameraSpec(
        type='sensor.camera.depth',
        id='a',
        image_size_x=camera.width,
        image_size_y=camera.height,
        fov=camera.fov,
    )
    k = np.array(camera_model(spec).k).reshape(3, 3)
    optical = to_ros_optical(pose)
    turn = Rotation.from_quat(optical.quaternion).as_matrix()
    seen = (points * (1.0, -1.0, 1.0) - optical.translation) @ turn
    pixels = seen @ k.T
    return np.column_stack([pixels[:, :2] / pixels[:, 2:], seen[:, 2]])


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('roll', [0.0, 35.0, -35.0])
def test_points_of_the_road_have_their_depth_where_k_puts_them(short_renderer, size, roll):
    """1 / depth of a plane is linear in pixels: between pixels it is known exactly."""
    camera, pose = Camera(*size, 90.0), CarlaPose(4.0, 1.75, 1.6, -12.0, 3.0, roll)
    depth = short_renderer.render(camera, pose, [], Weather(), {'depth'}, 0.0)['depth']
    inverse = 1.0 / depth.astype(np.float64)
    grid = np.mgrid[9.0:16.0:0.37, -1.5:3.2:0.29].reshape(2, -1).T
    u, v, far = projected(camera, pose, np.column_stack([grid, np.zeros(len(grid))])).T
    inside = (u > 1) & (v > 1) & (u < size[0] - 2) & (v < size[1] - 2)
    u, v, far = u[inside], v[inside], far[inside]
    assert len(u) > 150
    column, row = np.floor(u).astype(int), np.floor(v).astype(int)
    along, down = (
        inverse[row, column + 1] - inverse[row, column],
        (inverse[row + 1, column] - inverse[row, column]),
    )
    there = inverse[row, column] + along * (u - column) + down * (v - row)
    off = (there - 1.0 / far) / np.hypot(along, down)
    assert np.abs(off).max() < 0.05


@pytest.mark.parametrize('size', SIZES)
def test_paint_begins_and_ends_where_k_puts_its_edges(short_renderer, short_town, size):
    """Each row's first painted pixel is the first whose centre is inside: on average half a pixel
    after the edge.
    """
    camera, pose = Camera(*size, 90.0), CarlaPose(4.0, 1.75, 1.6, -8.0)
    tags = short_renderer.render(camera, pose, [], Weather(), {'semantic'}, 0.0)['semantic']
    (stripe,) = [
        m for m in markings(parse(short_town.xodr))
        if m.width == pytest.approx(0.15) and 6.0 < m.points[0, 1] < 8.0
    ]  # fmt: skip
    offsets = []
    for side in (-0.5, 0.5):
        y = stripe.points[0, 1] + side * stripe.width
        x = np.linspace(9.0, 40.0, 20000)
        edge = projected(camera, pose, np.column_stack([x, np.full_like(x, y), 0.0 * x]))
        for row in range(camera.height // 2 + 10, camera.height):
            if not edge[:, 1].min() <= row <= edge[:, 1].max():
                continue
            at = float(np.interp(row, edge[::-1, 1], edge[::-1, 0]))
            near = slice(max(0, int(at) - 3), int(at) + 5)
            painted = np.flatnonzero(tags[row, near] == LINE) + near.start
            if len(painted) and (tags[row, near] == ROAD).any():
                offsets.append(painted[0] - 0.5 - at if side < 0 else painted[-1] + 0.5 - at)
    assert len(offsets) > 80
    assert np.abs(offsets).max() < 0.56
    assert abs(np.mean(offsets)) < 0.05


def test_sky_is_unknown_and_nothing_else() -> None:
    metres = np.array([[0.5, 999.9, FAR]], np.float32)
    decoded = depth_metres(encode_depth(metres))
    assert decoded[0, 2] == FAR
    np.testing.assert_allclose(without_sky(decoded), [[0.5, 999.9, 0.0]], atol=1e-4)
