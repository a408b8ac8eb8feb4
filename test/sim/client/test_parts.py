"""The client's parts that need no server."""

from __future__ import annotations

import math
from types import SimpleNamespace

import carla
import cv2
import numpy as np
import pytest

from seg_node.class_map import load_class_map
from seg_node.errors import ConfigError
from seg_node_sim.client import images, tags, weather
from seg_node_sim.client.axes import (
    from_ros_degrees,
    into_body,
    to_ros,
    to_ros_optical,
    turn_rate_to_ros,
)
from seg_node_sim.client.camera_model import camera_model
from seg_node_sim.client.errors import ServerLost
from seg_node_sim.client.frames_ros import SimClock
from seg_node_sim.client.joiner import TickJoiner
from seg_node_sim.client.rig import CameraSpec, SpawnPoint
from seg_node_sim.scene import CarlaPose


def rotate(q: tuple[float, ...], v: tuple[float, float, float]) -> np.ndarray:
    x, y, z, w = q
    u, v_ = np.array([x, y, z]), np.array(v)
    return v_ + 2.0 * np.cross(u, np.cross(u, v_) + w * v_)


def test_pose_in_ros_axes_is_mirrored() -> None:
    ros = to_ros(CarlaPose(1.0, 2.0, 3.0, pitch=0.0, yaw=90.0))
    assert ros.translation == (1.0, -2.0, 3.0)
    # 90 degrees clockwise seen from above: the nose points along -y.
    np.testing.assert_allclose(rotate(ros.quaternion, (1, 0, 0)), (0, -1, 0), atol=1e-12)
    assert math.isclose(np.linalg.norm(ros.quaternion), 1.0)


@pytest.mark.parametrize('angles', [(0, 0, 0), (20, -30, 170), (-170, 80, -95), (180, 0, 0)])
def test_rotations_agree_with_carlas_matrix(angles: tuple[float, ...]) -> None:
    roll, pitch, yaw = angles
    pose = CarlaPose(pitch=pitch, yaw=yaw, roll=roll)
    transform = carla.Transform(carla.Location(), carla.Rotation(pitch, yaw, roll))
    for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        in_carla = transform.transform(carla.Location(axis[0], -axis[1], axis[2]))
        expected = (in_carla.x, -in_carla.y, in_carla.z)
        found = rotate(to_ros(pose).quaternion, axis)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_optical_frame_looks_along_z() -> None:
    down = to_ros_optical(CarlaPose(pitch=-10.0))
    looks = rotate(down.quaternion, (0, 0, 1))
    np.testing.assert_allclose(
        looks, (math.cos(math.radians(10)), 0, -math.sin(math.radians(10))), atol=1e-12
    )
    np.testing.assert_allclose(rotate(down.quaternion, (1, 0, 0)), (0, -1, 0), atol=1e-12)


def test_spawn_point_is_in_ros_axes_and_degrees() -> None:
    pose = from_ros_degrees(1.0, 0.5, 1.7, 0.0, 5.0, 30.0)
    assert (pose.y, pose.pitch, pose.yaw) == (-0.5, -5.0, -30.0)
    np.testing.assert_allclose(
        rotate(to_ros(pose).quaternion, (1, 0, 0))[2], -math.sin(math.radians(5.0)), atol=1e-12
    )


def test_velocity_in_the_body_and_turn_rate() -> None:
    assert into_body((0.0, -3.0, 0.0), CarlaPose(yaw=90.0)) == pytest.approx((3.0, 0.0, 0.0))
    # Turning right is positive yaw in CARLA, negative in ROS.
    assert turn_rate_to_ros((0.0, 0.0, 90.0)) == pytest.approx((0.0, 0.0, -math.pi / 2))


def test_depth_code() -> None:
    metres = np.array([[0.0, 1.0, 12.345, 999.9, 1000.0]])
    code = np.round(metres / 1000.0 * (2**24 - 1)).astype(np.uint32)
    bgra = np.stack([code >> 16, (code >> 8) & 255, code & 255, code * 0 + 255], -1)
    np.testing.assert_allclose(images.depth_metres(bgra.astype(np.uint8)), metres, atol=1e-4)


def test_camera_info_numbers() -> None:
    spec = CameraSpec(type='sensor.camera.rgb', id='a', image_size_x=800, image_size_y=400, fov=60)
    model = camera_model(spec)
    focal = 400.0 / math.tan(math.radians(30.0))
    assert model.k == pytest.approx((focal, 0, 399.5, 0, focal, 199.5, 0, 0, 1))
    assert model.p == pytest.approx((focal, 0, 399.5, 0, 0, focal, 199.5, 0, 0, 0, 1, 0))


def data(frame: int) -> SimpleNamespace:
    return SimpleNamespace(frame=frame)


def test_joiner_gives_equal_frames_and_skips_early_ones() -> None:
    joiner = TickJoiner()
    a, b = joiner.add('a'), joiner.add('b')
    for frame in (1, 2, 3):
        a(data(frame))
    for frame in (2, 3):
        b(data(frame))
    found = joiner.join(2, 0.1)
    assert {name: d.frame for name, d in found.items()} == {'a': 2, 'b': 2}
    assert joiner.join(3, 0.1)['a'].frame == 3
    assert (joiner.counts.joined, joiner.counts.early) == (2, 1)


def test_joiner_never_takes_a_neighbour() -> None:
    joiner = TickJoiner()
    a, b = joiner.add('a'), joiner.add('b')
    a(data(5))
    b(data(6))
    with pytest.raises(ServerLost, match=r'frame 5: no image .* from b'):
        joiner.join(5, 0.05)
    assert joiner.counts.missing == 1


def test_stamps_never_go_back() -> None:
    clock = SimClock()
    stamps = [clock.stamp_ns(t, 0.05) for t in (1.0, 1.05, 0.02, 0.07)]
    assert stamps == [1_000_000_000, 1_050_000_000, 1_100_000_000, 1_150_000_000]


def test_weather_by_name_value_and_seed() -> None:
    rain = weather.parse_weather('HardRainNoon')
    assert rain is not None
    assert rain.precipitation == carla.WeatherParameters.HardRainNoon.precipitation
    low = weather.parse_weather('sun_altitude_angle=3, cloudiness=20')
    assert low is not None and (low.sun_altitude_angle, low.cloudiness) == (3.0, 20.0)
    assert weather.parse_weather('random', 7) == weather.parse_weather('random', 7)
    assert len({weather.random_weather(seed) for seed in range(20)}) == 20
    words = {weather.describe(weather.random_weather(seed)) for seed in range(300)}
    assert {'day', 'night', 'dusk', 'day rain', 'day fog'} <= words
    with pytest.raises(ConfigError, match='2 problems'):
        weather.parse_weather('snow=1,cloudiness=much')
    with pytest.raises(ConfigError, match='ClearNoon'):
        weather.parse_weather('Sunny')


def test_tags_and_palette() -> None:
    assert [tags.numbering(v) for v in ('0.9.13', '0.9.14', '0.10.0', '5768e1f')] == [
        'old', 'new', 'new', 'new'
    ]  # fmt: skip
    every = np.arange(29, dtype=np.uint8)[None]
    ids = load_class_map('carla_0_9_14').apply_ids(every)
    for classes in (23, 28):
        painted = tags.Palette(classes, 'new').paint(every)
        rgb = cv2.cvtColor(painted, cv2.COLOR_BGR2RGB)
        assert (load_class_map('carla_palette').apply_colours(rgb) == ids).all()
        listed = tags.Palette(classes, 'new').to_json()
        assert {tuple(c['color']) for c in listed} >= {tuple(c) for c in rgb[0].tolist()}
    old = tags.Palette(23, 'old')
    assert old.to_json()[6] == {'id': 6, 'name': 'RoadLine', 'color': [157, 234, 50]}
    assert (old.paint(np.array([[6]], np.uint8))[0, 0] == (50, 234, 157)).all()
    with pytest.raises(ConfigError, match='23 classes'):
        tags.Palette(28, 'old')


def test_mount_pose() -> None:
    assert SpawnPoint(x=1, y=2, z=3, pitch=4).pose() == CarlaPose(1, -2, 3, -4, 0, 0)
