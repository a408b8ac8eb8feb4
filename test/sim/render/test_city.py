"""Streets for training: pavements that look like the road, with exact labels all the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seg_node_sim.maps import load_town, town_names, training_towns
from seg_node_sim.maps.opendrive import parse
from seg_node_sim.render import Renderer
from seg_node_sim.render.accuracy import ROAD, world_points
from seg_node_sim.render.wear import look
from seg_node_sim.scene import Camera, Weather

WALK = 2
OVERCAST = Weather(cloudiness=100.0)  # no shadows: light alike everywhere


def seen(town, pose):
    renderer = Renderer(town)
    camera = Camera(320, 180, 90.0)
    passes = renderer.render(camera, pose, [], OVERCAST, {'rgb', 'semantic', 'depth'}, 0.0)
    renderer.close()
    return camera, passes


def walk_to_road(passes):
    """Brightness of pavements over that of the road, near the camera."""
    near = passes['depth'] < 12.0
    light = passes['rgb'].astype(float).mean(axis=-1)
    walk, road = (near & (passes['semantic'] == tag) for tag in (WALK, ROAD))
    assert walk.sum() > 300 and road.sum() > 300
    return np.median(light[walk]) / np.median(light[road])


@pytest.mark.parametrize('seed', [4, 5])
def test_pavements_look_like_the_road(short_town, front_pose, seed):
    pose = replace(front_pose, y=3.5, yaw=10.0)
    _, city = seen(replace(short_town, seed=seed, style='city'), pose)
    _, town = seen(replace(short_town, seed=seed, style='town'), pose)
    assert 0.8 < walk_to_road(city) < 1.25
    assert walk_to_road(town) > 1.15


def test_labels_follow_the_kerb(short_town, front_pose):
    """What is labelled pavement lies at the look's height of it, the road at 0."""
    town = replace(short_town, seed=4, style='city')
    kerb = look(town.name, town.seed, 'city').kerb_height
    camera, passes = seen(town, front_pose)
    points = world_points(camera, front_pose, passes['depth'].astype(np.float64))
    near = passes['depth'] < 40.0
    height = points[..., 2]
    assert np.abs(height[near & (passes['semantic'] == ROAD)]).max() < 2e-3
    walk = height[near & (passes['semantic'] == WALK)]
    assert walk.max() < kerb + 2e-3
    assert np.median(walk) == pytest.approx(kerb, abs=2e-3)


def test_looks_differ():
    looks = [look('City', seed, 'city') for seed in range(20)]
    heights = [one.kerb_height for one in looks]
    assert min(heights) < 0.05 and max(heights) > 0.1
    assert all(0.85 < one.pavement < 1.2 for one in looks)
    assert look('City', 3, 'town').pavement == 0.0


def test_city_is_for_training_only():
    assert training_towns() == ('City',)
    assert 'City' not in town_names()
    town = load_town('City', 3)
    assert (town.style, town.seed) == ('city', 3) and len(town.spawn_points) > 80
    roads = parse(town.xodr).roads.values()
    kinds = [lane.kind for road in roads for part in road.sections for lane in part.lanes.values()]
    assert kinds.count('parking') > 10 and kinds.count('sidewalk') > 50
