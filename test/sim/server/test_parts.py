"""The server's parts by themselves: pacing, encoding, blueprints, boxes, vehicle, snapshot."""

from __future__ import annotations

import math
import struct

import msgpack
import numpy as np
import pytest

from seg_node.errors import ConfigError, InputError
from seg_node_sim.render.lens import sensor_noise
from seg_node_sim.scene import CarlaPose
from seg_node_sim.server import ServerOptions, cameras, collide, wire
from seg_node_sim.server.actors import Actor, Vehicle
from seg_node_sim.server.blueprints import NOT_RENDERED, Attributes, BlueprintLibrary
from seg_node_sim.server.catalogue import VEHICLES
from seg_node_sim.server.episode_calls import Pacer
from seg_node_sim.server.snapshot import encode_snapshot
from seg_node_sim.server.streams import Stream, make_token
from seg_node_sim.server.vehicle import MotionState, advance
from seg_node_sim.server.versions import sensor_ids

CAR = next(v for v in VEHICLES if v.id == 'vehicle.tesla.model3')


def description(name, **attributes):
    values = tuple((key, 4, str(text)) for key, text in attributes.items())
    return wire.ActorDescription(1, name, values)


def test_depth_code_is_carlas_and_within_its_step():
    metres = np.array([[0.0, 0.5, 12.345, 60.0], [250.25, 999.99, 1000.0, 5000.0]], np.float32)
    code = cameras.encode_depth(metres).astype(np.int64)
    decoded = (code[..., 2] + 256 * code[..., 1] + 65536 * code[..., 0]) / (2**24 - 1) * 1000.0
    assert np.abs(decoded - np.minimum(metres.astype(float), 1000.0)).max() < 3.1e-5
    assert (code[..., 3] == 255).all()


def test_tags_and_instances_are_in_their_channels():
    tags = np.array([[1, 24], [14, 11]], np.uint8)
    ids = np.array([[0, 258], [65535, 7]], np.uint16)
    semantic = cameras.encode_semantic(tags)
    assert (semantic[..., 2] == tags).all() and not semantic[..., :2].any()
    instance = cameras.encode_instance(ids, tags)
    assert (instance[..., 2] == tags).all()
    assert (instance[..., 1] + 256 * instance[..., 0].astype(int) == ids).all()


def test_sensors_of_one_place_share_one_render():
    def sensor(kind, x=0.0, **attributes):
        _, values = BlueprintLibrary().check(description(f'sensor.camera.{kind}', **attributes))
        name = description(f'sensor.camera.{kind}')
        return Actor(0, name, values, CarlaPose(x=x), stream=Stream(1, make_token(1, 2001)))

    same = [sensor('depth'), sensor('rgb'), sensor('semantic_segmentation')]
    shots = cameras.plan_shots(same, 0.05)
    assert len(shots) == 1 and shots[0].passes == {'rgb', 'depth', 'semantic'}
    noisy = sensor('rgb', noise_stddev=3.0)
    assert len(cameras.plan_shots([*same, noisy], 0.05)) == 2
    assert len(cameras.plan_shots([*same, sensor('depth', x=1.0)], 0.05)) == 2
    assert len(cameras.plan_shots([*same, sensor('depth', fov=60)], 0.05)) == 2


def test_default_lens_is_without_distortion():
    _, values = BlueprintLibrary().check(description('sensor.camera.rgb'))
    camera = cameras.camera_of(values, 0.05, is_rgb=True)
    assert (camera.post.lens_k, camera.post.lens_kcube, camera.post.noise) == (0.0, 0.0, 0.0)
    assert (camera.width, camera.height, camera.fov) == (800, 600, 90.0)


def test_a_negative_seed_of_noise_gives_noise():
    grey = np.full((8, 8, 3), 128, np.uint8)
    for seed in ('-1', '-1000000000'):
        named = description('sensor.camera.rgb', noise_seed=seed, noise_stddev='9.0')
        post = cameras.camera_of(BlueprintLibrary().check(named)[1], 0.05, is_rgb=True).post
        assert sensor_noise(grey.copy(), post, 1.0).std() > 1.0


def test_every_default_of_every_blueprint_is_accepted():
    library = BlueprintLibrary()
    for blueprint in library:
        values = {a.id: a.default for a in blueprint.attributes}
        if blueprint.id in NOT_RENDERED:
            with pytest.raises(InputError, match='no such sensor'):
                library.check(description(blueprint.id, **values))
            continue
        found, _ = library.check(description(blueprint.id, **values))
        assert found is blueprint


@pytest.mark.parametrize(
    'name, attribute, text, part',
    [
        ('sensor.camera.rgb', 'image_size_x', '12.5', 'expected int'),
        ('sensor.camera.rgb', 'image_size_x', '0', '1 to 8192'),
        ('sensor.camera.rgb', 'fov', 'nan', 'expected float'),
        ('sensor.camera.rgb', 'enable_postprocess_effects', 'maybe', 'true or false'),
        ('sensor.camera.rgb', 'colour', 'red', 'unknown attribute'),
        ('vehicle.tesla.model3', 'color', '1,2,300', 'r,g,b'),
        ('vehicle.tesla.model3', 'number_of_wheels', '3', 'cannot be changed'),
        ('vehicle.tesla.model9', 'color', '1,2,3', 'unknown blueprint'),
    ],
)
def test_wrong_attributes_are_named(name, attribute, text, part):
    with pytest.raises(InputError, match=part) as caught:
        BlueprintLibrary().check(description(name, **{attribute: text}))
    assert '\n' not in str(caught.value)


def test_pacer_keeps_real_time_without_rush():
    now = [0.0]
    pacer = Pacer(20.0, clock=lambda: now[0])
    settings = wire.EpisodeSettings()
    simulated = 0.0
    for wait in (0.05, 0.05, 0.08, 0.02, 0.05):
        now[0] += wait
        simulated += pacer.step(settings)
    assert simulated == pytest.approx(now[0])
    now[0] += 10.0
    assert pacer.step(settings) == pytest.approx(0.1)
    now[0] += 1e-4
    fast = wire.EpisodeSettings(synchronous_mode=True, fixed_delta_seconds=0.05)
    assert pacer.step(fast) == 0.05
    for _ in range(1000):
        pacer.step(fast)
    assert pacer.due_in() <= 0.05 + 1e-9


def test_vehicle_stops_and_never_rolls_back_by_brakes():
    state = MotionState(0.0, 0.0, 0.0, speed=10.0)
    for _ in range(200):
        advance(state, wire.VehicleControl(brake=1.0), CAR, 0.05)
        assert state.speed >= 0.0
    assert state.speed == 0.0 and 4.0 < state.x < 10.0


def test_vehicle_turns_on_the_circle_of_its_wheels():
    state = MotionState(0.0, 0.0, 0.0, speed=3.0)
    control = wire.VehicleControl(steer=0.4)
    places = []
    for _ in range(600):
        advance(state, control, CAR, 0.05, constant_speed=3.0)
        places.append((state.x, state.y))
    path = np.array(places[200:])
    # Circle through the points by least squares.
    matrix = np.column_stack([2 * path, np.ones(len(path))])
    cx, cy, c = np.linalg.lstsq(matrix, (path**2).sum(axis=1), rcond=None)[0]
    radius = math.sqrt(c + cx * cx + cy * cy)
    slip = math.atan(0.5 * math.tan(state.steer_angle))
    assert radius == pytest.approx(CAR.wheelbase / 2 / math.sin(slip), rel=1e-2)
    assert state.yaw > 0.0


def test_boxes_touch_as_drawn():
    a = collide.Box(0.0, 0.0, 0.5, 0.0, (2.0, 1.0, 0.5))
    assert collide.penetration(a, collide.Box(4.1, 0.0, 0.5, 0.0, (2.0, 1.0, 0.5))) is None
    depth, nx, ny = collide.penetration(a, collide.Box(3.9, 0.0, 0.5, 0.0, (2.0, 1.0, 0.5)))
    assert depth == pytest.approx(0.1) and (nx, ny) == pytest.approx((1.0, 0.0))
    corner = math.pi / 4
    assert collide.penetration(a, collide.Box(4.3, 0.0, 0.5, corner, (2.0, 1.0, 0.5))) is None
    assert collide.penetration(a, collide.Box(3.9, 0.0, 0.5, corner, (2.0, 1.0, 0.5)))
    assert collide.penetration(a, collide.Box(0.0, 0.0, 3.0, 0.0, (2.0, 1.0, 0.5))) is None


def test_collision_keeps_momentum_and_parts_the_cars():
    def car(number, x, speed):
        vehicle = Vehicle(number, description(CAR.id), Attributes(), CarlaPose(x=x), kind=CAR)
        vehicle.extent, vehicle.box_centre = CAR.extent, (0.0, 0.0, CAR.extent[2])
        vehicle.collides = True
        vehicle.push((speed, 0.0, 0.0))
        return vehicle

    a, b = car(1, 0.0, 10.0), car(2, 4.7, 0.0)
    (contact,) = collide.resolve([a, b])
    assert contact.impulse > 0.0 and {contact.a, contact.b} == {a, b}
    assert a.speed + b.speed == pytest.approx(10.0) and b.speed > a.speed >= 0.0
    assert b.pose.x - a.pose.x == pytest.approx(2 * CAR.extent[0], abs=1e-6)


def test_snapshot_has_the_documented_size_and_places():
    vehicle = Vehicle(
        7, description(CAR.id), Attributes(), CarlaPose(1.0, 2.0, 3.0, 4.0, 5.0, 6.0), kind=CAR
    )
    vehicle.drive(wire.VehicleControl(throttle=0.5))
    message = encode_snapshot(17, 99, 1.5, 3, 0.05, 1, [vehicle, vehicle])
    assert len(message) == 48 + 36 + 2 * 119
    assert struct.unpack_from('<QQd', message) == (17, 99, 1.5)
    assert struct.unpack_from('<Q', message, 48) == (3,)
    number, state, x, y, z, pitch, yaw, roll = struct.unpack_from('<IB6f', message, 84)
    assert (number, state, x, y, z, pitch, yaw, roll) == (7, 1, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert struct.unpack_from('<f', message, 84 + 65) == (0.5,)


def test_settings_survive_the_wire():
    for fixed in (None, 0.05):
        settings = wire.EpisodeSettings(True, False, fixed, max_substeps=16)
        packed = msgpack.unpackb(msgpack.packb(wire.encode_settings(settings)))
        assert wire.decode_settings(packed) == settings
    with pytest.raises(InputError, match='fixed_delta_seconds'):
        wire.decode_settings([True, False, [True, -1.0]])


def test_controls_are_clamped_and_checked():
    control = wire.decode_vehicle_control([2.0, -3, -1.0, False, False, False, 0])
    assert (control.throttle, control.steer, control.brake) == (1.0, -1.0, 0.0)
    with pytest.raises(InputError, match='7 fields'):
        wire.decode_vehicle_control([1.0])


def test_sensor_ids_by_version():
    worlds = {v: sensor_ids(v).world for v in ('0.9.13', '0.9.15', '0.9.16', '0.10.0')}
    assert worlds == {'0.9.13': 16, '0.9.15': 16, '0.9.16': 17, '0.10.0': 16}
    for wrong in ('latest', '0.9.5', ''):
        with pytest.raises(ConfigError, match='announce'):
            sensor_ids(wrong)


def test_token_layout_and_options():
    token = make_token(5, 2001)
    assert len(token) == 24 and struct.unpack_from('<IHBB', token) == (5, 2001, 1, 0)
    for wrong in ({'port': 0}, {'fps': 0.0}, {'seed': -1}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            ServerOptions(**wrong)


def test_catalogue_is_plausible():
    ids = [v.id for v in VEHICLES]
    assert len(ids) == len(set(ids)) >= 12
    for a in VEHICLES:
        assert a.extent[0] > a.extent[1] and a.mass > 50.0 and a.wheels in (2, 4)
