"""Truth of rendered frames against the OpenDRIVE map: places, tags, and RGB beside them."""

from __future__ import annotations

import numpy as np
import pytest

from seg_node_sim.maps import load_town
from seg_node_sim.maps.markings import markings
from seg_node_sim.maps.opendrive import parse
from seg_node_sim.render import Renderer
from seg_node_sim.render.accuracy import LINE, ROAD, paint_shifts, to_stripes, world_points
from seg_node_sim.scene import FAR, Camera, CarlaPose, Weather

SIDEWALK, SKY = 2, 11


@pytest.fixture(scope='module')
def frame(short_renderer):
    camera, pose = Camera(640, 360, 90.0), CarlaPose(4.0, 1.75, 1.6, -8.0, 0.0, 0.0)
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
        pose = place.compose(CarlaPose(1.5, 0.0, 2.0, -12.0))
        passes = renderer.render(camera, pose, [], Weather(), {'semantic', 'depth'}, 0.0)
        lines = (passes['semantic'] == LINE) & (passes['depth'] < 40.0)
        points = world_points(camera, pose, passes['depth'].astype(np.float64))[lines][:, :2]
        distance, _ = to_stripes(points, found)
        # stop lines, crosswalks and arrows are areas, not stripes
        medians.append(np.median(distance[distance < 0.3]))
    renderer.close()
    assert len(medians) >= 3
    assert max(medians) <= 0.05


@pytest.mark.parametrize(('wear', 'share'), [(None, 0.98), (0.0, 0.998)])
def test_rgb_shows_lines_where_the_truth_has_them(short_town, wear, share):
    """To a pixel within 60 m; where it does not, the paint is worn off."""
    camera, pose = Camera(640, 360, 90.0), CarlaPose(4.0, 1.75, 1.6, -8.0, 0.0, 0.0)
    renderer = Renderer(short_town, wear=wear)
    seen = renderer.render(camera, pose, [], Weather(), {'rgb', 'semantic', 'depth'}, 0.0)
    renderer.close()
    shifts = paint_shifts(seen['rgb'], seen['semantic'], seen['depth'])
    assert len(shifts) > 200
    assert abs(np.median(shifts)) < 0.15
    assert (np.abs(shifts) <= 1.0).mean() >= share


def test_a_picture_that_is_shifted_is_found_out(frame):
    _, _, passes = frame
    moved = np.roll(passes['rgb'], 2, axis=1)
    shifts = paint_shifts(moved, passes['semantic'], passes['depth'])
    assert np.median(shifts) == pytest.approx(2.0, abs=0.15)


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
