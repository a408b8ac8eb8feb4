"""What the renderer promises besides the truth: one geometry, weather, bodies, repeatability."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seg_node_sim.render import Renderer
from seg_node_sim.scene import PASSES, Body, Camera, CameraPost, CarlaPose, Weather

CAR = Body(
    77, 'vehicle.tesla.model3', CarlaPose(16.0, 1.75, 0.0), (2.396, 1.08, 0.744), (200, 20, 20)
)


def test_kinds_and_shapes(short_renderer, front_camera, front_pose):
    out = short_renderer.render(front_camera, front_pose, [], Weather(), PASSES, 0.0)
    assert {name: (a.shape, a.dtype.name) for name, a in out.items()} == {
        'rgb': ((360, 640, 3), 'uint8'),
        'semantic': ((360, 640), 'uint8'),
        'depth': ((360, 640), 'float32'),
        'instance': ((360, 640), 'uint16'),
    }
    assert set(np.unique(out['semantic'])) <= set(range(29))


def test_unknown_pass_is_refused(short_renderer, front_camera, front_pose):
    with pytest.raises(ValueError, match='expected a subset'):
        short_renderer.render(front_camera, front_pose, [], Weather(), {'lidar'}, 0.0)


def test_truth_does_not_depend_on_the_other_passes(short_renderer, front_camera, front_pose):
    both = short_renderer.render(front_camera, front_pose, [CAR], Weather(), PASSES, 1.0)
    alone = short_renderer.render(front_camera, front_pose, [CAR], Weather(), {'depth'}, 2.0)
    assert set(alone) == {'depth'}
    assert np.array_equal(both['depth'], alone['depth'])


def test_same_input_same_picture(short_town, short_renderer, front_camera, front_pose):
    """Also with another number of threads, and in another renderer."""
    rain = Weather(precipitation=60, wetness=80, precipitation_deposits=60, cloudiness=80)
    first = short_renderer.render(front_camera, front_pose, [CAR], rain, PASSES, 3.0)
    short_renderer.render(front_camera, front_pose, [], Weather(), PASSES, 4.0)
    other = Renderer(short_town, threads=1)
    second = other.render(front_camera, front_pose, [CAR], rain, PASSES, 3.0)
    other.close()
    for name in PASSES:
        assert np.array_equal(first[name], second[name]), name


def test_seed_changes_the_look_and_not_the_truth(short_town, short_renderer):
    camera, pose = Camera(320, 180), CarlaPose(4.0, 1.75, 1.6, -25.0)
    first = short_renderer.render(camera, pose, [], Weather(), PASSES, 0.0)
    other = Renderer(replace(short_town, seed=9))
    second = other.render(camera, pose, [], Weather(), PASSES, 0.0)
    other.close()
    ground = np.isin(first['semantic'], (1, 24)) & np.isin(second['semantic'], (1, 24))
    assert ground.mean() > 0.3
    assert np.array_equal(first['semantic'][ground], second['semantic'][ground])
    change = np.abs(first['rgb'].astype(int) - second['rgb'].astype(int))[ground]
    assert change.mean() > 3.0


def test_a_body_hides_and_is_named(short_renderer, front_camera, front_pose):
    empty = short_renderer.render(front_camera, front_pose, [], Weather(), PASSES, 0.0)
    full = short_renderer.render(front_camera, front_pose, [CAR], Weather(), PASSES, 0.0)
    car = full['instance'] == 77
    assert car.sum() > 2000
    assert (full['semantic'][car] == 14).all()
    assert (full['depth'][car] < empty['depth'][car]).all()
    # its back is 12 m ahead less half its length, seen along an axis that looks 8 degrees down
    assert full['depth'][car].min() == pytest.approx(9.6, abs=0.35)
    columns = np.flatnonzero(car.any(axis=0))
    width = (columns[-1] - columns[0] + 1) * 9.6 / front_camera.focal
    assert 1.8 < width < 2.6  # mirrors are further away than its back
    assert np.array_equal(full['depth'][~car], empty['depth'][~car])


def test_the_carrier_does_not_hide_its_own_camera(short_renderer, front_camera):
    """A camera inside of a body looks out of it: faces are seen from outside only."""
    ego = replace(CAR, pose=CarlaPose(8.0, 1.75, 0.0))
    pose = ego.pose.compose(CarlaPose(0.5, 0.0, 1.2))
    seen = short_renderer.render(front_camera, pose, [ego], Weather(), PASSES, 0.0)
    own = seen['instance'] == 77
    assert own.mean() < 0.3  # the bonnet, from above
    assert not own[:200].any()


WEATHERS = {
    'night': Weather(sun_altitude_angle=-40),
    'fog': Weather(fog_density=70),
    'rain': Weather(precipitation=80, wetness=90, precipitation_deposits=80, cloudiness=90),
    'low sun': Weather(sun_altitude_angle=6, sun_azimuth_angle=40),
}


@pytest.mark.parametrize('name', WEATHERS)
def test_weather_is_seen(name, short_renderer, front_camera, front_pose):
    noon = short_renderer.render(front_camera, front_pose, [CAR], Weather(), PASSES, 0.0)
    other = short_renderer.render(front_camera, front_pose, [CAR], WEATHERS[name], PASSES, 0.0)
    assert np.array_equal(noon['semantic'], other['semantic'])
    assert np.array_equal(noon['depth'], other['depth'])
    change = np.abs(noon['rgb'].astype(int) - other['rgb'].astype(int))
    assert change.mean() > 12.0
    if name == 'night':
        assert other['rgb'].mean() < 0.6 * noon['rgb'].mean()
    if name == 'fog':
        far = (noon['depth'] > 40.0) & (noon['depth'] < 999.0)
        assert other['rgb'][far].std() < 0.7 * noon['rgb'][far].std()


def test_head_lamps_light_the_road_at_night(short_renderer, front_camera, front_pose):
    night = Weather(sun_altitude_angle=-40)
    ego = replace(CAR, pose=CarlaPose(2.0, 1.75, 0.0), lights=0x3)
    lit = short_renderer.render(front_camera, front_pose, [ego], night, {'rgb', 'depth'}, 0.0)
    dark = short_renderer.render(front_camera, front_pose, [], night, {'rgb', 'depth'}, 0.0)
    ahead = (lit['depth'] > 6.0) & (lit['depth'] < 14.0)
    ahead[:, :200] = False
    ahead[:, 440:] = False
    assert lit['rgb'][ahead].mean() > dark['rgb'][ahead].mean() + 15.0


def test_post_effects_are_off_by_default_and_touch_only_rgb(
    short_renderer, front_camera, front_pose
):
    plain = short_renderer.render(front_camera, front_pose, [CAR], Weather(), PASSES, 0.0)
    moving = replace(CAR, pose=CarlaPose(4.0, 1.75, 0.0), velocity=(15.0, 0.0, 0.0))
    post = CameraPost(noise=6.0, motion_blur=0.5, exposure=1.0, vignette=0.5, seed=3)
    camera = replace(front_camera, post=post)
    first = short_renderer.render(camera, front_pose, [CAR], Weather(), PASSES, 0.0)
    assert np.array_equal(plain['semantic'], first['semantic'])
    assert first['rgb'].mean() > plain['rgb'].mean() + 15.0
    again = short_renderer.render(camera, front_pose, [CAR, moving], Weather(), {'rgb'}, 0.0)
    assert not np.array_equal(first['rgb'], again['rgb'])
    noisy = replace(front_camera, post=CameraPost(noise=6.0, seed=3))
    image = short_renderer.render(noisy, front_pose, [CAR], Weather(), {'rgb'}, 0.0)['rgb']
    grain = image.astype(int) - plain['rgb'].astype(int)
    assert 2.0 < grain.std() < 12.0


def test_lens_distortion_bends_all_passes_alike(short_renderer, front_camera, front_pose):
    plain = short_renderer.render(front_camera, front_pose, [CAR], Weather(), PASSES, 0.0)
    camera = replace(front_camera, post=CameraPost(lens_k=0.15))
    bent = short_renderer.render(camera, front_pose, [CAR], Weather(), PASSES, 0.0)
    assert not np.array_equal(plain['semantic'], bent['semantic'])
    middle = np.s_[170:190, 310:330]
    assert np.array_equal(plain['semantic'][middle], bent['semantic'][middle])
    row, column = 300, 500
    u, v = (column + 0.5 - 320) / 320, (row + 0.5 - 180) / 320
    k = 1 + 0.15 * (u * u + v * v)
    source = plain['semantic'][int(v * k * 320 + 180), int(u * k * 320 + 320)]
    assert bent['semantic'][row, column] == source


@pytest.mark.parametrize(
    ('blueprint', 'extent', 'tag'),
    [
        ('vehicle.mitsubishi.fusorosa', (5.1, 1.25, 1.55), 16),
        ('vehicle.carlamotors.carlacola', (2.6, 1.3, 1.24), 15),
        ('vehicle.yamaha.yzf', (1.1, 0.4, 0.76), 18),
        ('vehicle.bh.crossbike', (0.75, 0.35, 0.9), 19),
        ('walker.pedestrian.0001', (0.19, 0.19, 0.93), 12),
    ],
)
def test_every_kind_of_body_is_drawn(
    blueprint, extent, tag, short_renderer, front_camera, front_pose
):
    body = Body(5, blueprint, CarlaPose(12.0, 1.75, 0.0, 0.0, 30.0), extent, (20, 60, 200), tag)
    out = short_renderer.render(front_camera, front_pose, [body], Weather(), PASSES, 0.0)
    seen = out['semantic'] == tag
    assert seen.sum() > 250
    assert (out['instance'][seen] == 5).all()
    rows = np.flatnonzero(seen.any(axis=1))
    assert rows[-1] > 180  # it stands on the road, below the horizon
