"""Truth of rendered frames against the OpenDRIVE map: places, tags, and RGB beside them."""

from __future__ import annotations

import numpy as np
import pytest

from seg_node_sim.maps import load_town
from seg_node_sim.maps.markings import markings
from seg_node_sim.maps.opendrive import parse
from seg_node_sim.render import Renderer
from seg_node_sim.scene import FAR, Camera, Pose, Weather

ROAD, SIDEWALK, SKY, LINE = 1, 2, 11, 24


def world_points(camera, pose, depth):
    """float64 (H, W, 3): every pixel put back into the world."""
    u = (np.arange(camera.width) + 0.5 - camera.width / 2) / camera.focal
    v = (np.arange(camera.height) + 0.5 - camera.height / 2) / camera.focal
    own = np.stack(
        [
            np.ones_like(depth),
            np.broadcast_to(u[None, :], depth.shape),
            np.broadcast_to(-v[:, None], depth.shape),
        ],
        axis=-1,
    )
    matrix = pose.matrix()
    return (own * depth[..., None]) @ matrix[:3, :3].T + matrix[:3, 3]


def to_stripes(points, found):
    """Distance of each point (N, 2) to the nearest stripe's centre line, and its width."""
    pieces = [
        (a, b, m.width) for m in found if m.width > 0.0 for a, b in zip(m.points, m.points[1:])
    ]
    middle = points.mean(axis=0)
    best = np.full(len(points), np.inf)
    width = np.zeros(len(points))
    for a, b, wide in pieces:
        if np.linalg.norm(a - middle) > 90.0:
            continue
        e = b - a
        t = np.clip(((points - a) @ e) / (e @ e), 0.0, 1.0)
        d = np.linalg.norm(points - a - t[:, None] * e, axis=1)
        closer = d < best
        best[closer], width[closer] = d[closer], wide
    return best, width


@pytest.fixture(scope='module')
def frame(short_renderer):
    camera, pose = Camera(640, 360, 90.0), Pose(4.0, 1.75, 1.6, -8.0, 0.0, 0.0)
    passes = short_renderer.render(
        camera, pose, [], Weather(), {'rgb', 'semantic', 'depth', 'instance'}, 0.0
    )
    return camera, pose, passes


def test_ground_lies_at_its_height(frame):
    camera, pose, passes = frame
    points = world_points(camera, pose, passes['depth'].astype(np.float64))
    near = passes['depth'] < 80.0
    road = near & np.isin(passes['semantic'], (ROAD, LINE))
    assert road.sum() > 20000
    assert np.abs(points[road][:, 2]).max() < 2e-3
    walk = near & (passes['semantic'] == SIDEWALK)
    assert walk.sum() > 1000
    assert points[walk][:, 2].min() > -2e-3
    assert np.median(points[walk][:, 2]) == pytest.approx(0.14, abs=2e-3)


def test_sky_is_far_and_only_sky(frame):
    _, _, passes = frame
    sky = passes['semantic'] == SKY
    assert sky.any()
    assert (passes['depth'][sky] == FAR).all()
    assert (passes['depth'][~sky] < FAR).all()


def test_line_pixels_lie_on_the_maps_lines(frame, short_town):
    """The issue's figure: median <= 0.05 m; and no pixel is off by more than a half width."""
    camera, pose, passes = frame
    points = world_points(camera, pose, passes['depth'].astype(np.float64))
    lines = (passes['semantic'] == LINE) & (passes['depth'] < 60.0)
    distance, width = to_stripes(points[lines][:, :2], markings(parse(short_town.xodr)))
    assert lines.sum() > 2000
    assert np.median(distance) <= 0.05
    assert (distance <= 0.5 * width + 0.006).mean() > 0.999


def test_no_line_is_missing(frame, short_town):
    """Road pixels are on no stripe: the tags are exact at pixel centres."""
    camera, pose, passes = frame
    points = world_points(camera, pose, passes['depth'].astype(np.float64))
    road = (passes['semantic'] == ROAD) & (passes['depth'] < 60.0)
    chosen = points[road][::5, :2]
    distance, width = to_stripes(chosen, markings(parse(short_town.xodr)))
    assert (distance >= 0.5 * width - 0.006).mean() > 0.999


@pytest.mark.parametrize('name', ['Grid', 'Roundabout'])
def test_line_pixels_in_the_towns(name):
    town = load_town(name)
    renderer = Renderer(town)
    found = [m for m in markings(parse(town.xodr)) if m.width > 0.0]
    camera = Camera(320, 180, 90.0)
    medians = []
    for place in town.spawn_points[5::29]:
        pose = place.compose(Pose(1.5, 0.0, 2.0, -12.0))
        passes = renderer.render(camera, pose, [], Weather(), {'semantic', 'depth'}, 0.0)
        lines = (passes['semantic'] == LINE) & (passes['depth'] < 40.0)
        points = world_points(camera, pose, passes['depth'].astype(np.float64))[lines][:, :2]
        distance, _ = to_stripes(points, found)
        # stop lines, crosswalks and arrows are areas, not stripes
        medians.append(np.median(distance[distance < 0.3]))
    renderer.close()
    assert len(medians) >= 3
    assert max(medians) <= 0.05


def runs(row):
    """(start, stop) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    return zip(edges[::2], edges[1::2])


def test_rgb_shows_lines_where_the_truth_has_them(frame):
    """Within 60 m the centre of the visible paint is the centre of the tagged run, to a pixel."""
    _, _, passes = frame
    # blue over yellow would hide, so take the channel in which both paints are bright
    light = passes['rgb'][..., 2].astype(float)
    errors = []
    for r in range(light.shape[0]):
        tags, depth = passes['semantic'][r], passes['depth'][r]
        for a, b in runs(tags == LINE):
            if b - a < 2 or b - a > 14 or a < 8 or b > len(tags) - 8 or depth[a] > 60.0:
                continue
            beside = np.r_[a - 4 : a - 1, b + 1 : b + 4]
            if not (tags[beside] == ROAD).all():
                continue
            base = np.median(light[r, beside])
            window = np.arange(a - 3, b + 3)
            extra = np.clip(light[r, window] - base - 12.0, 0.0, None)
            if extra.sum() < 60.0:  # worn away here
                continue
            errors.append((extra * (window + 0.5)).sum() / extra.sum() - 0.5 * (a + b))
    errors = np.array(errors)
    assert len(errors) > 200
    assert abs(np.median(errors)) < 0.15
    assert np.quantile(np.abs(errors), 0.95) <= 1.0


def test_best_shift_between_rgb_and_truth_is_none(frame):
    _, _, passes = frame
    ground = np.isin(passes['semantic'], (ROAD, LINE)) & (passes['depth'] < 60.0)
    light = passes['rgb'][..., 2].astype(float)
    mask = (passes['semantic'] == LINE).astype(float)
    inner = np.zeros_like(ground)
    inner[4:-4, 4:-4] = ground[4:-4, 4:-4]
    scores = {}
    for dy in (-2, -1, 0, 1, 2):
        for dx in (-2, -1, 0, 1, 2):
            moved = np.roll(mask, (dy, dx), axis=(0, 1))[inner]
            scores[(dx, dy)] = np.corrcoef(moved, light[inner])[0, 1]
    assert max(scores, key=scores.get) == (0, 0)
