"""What a CARLA user does, run with the unmodified client in a process of its own.

`python carla_scenarios.py NAME PORT [JSON arguments]` prints one line of JSON.  Not a test module:
the client must not share a process with the server or with pytest, and may abort at exit.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import queue
import sys
import time
import traceback
from pathlib import Path

import carla
import numpy as np

STEP_S = 0.05


def _place(transform):
    location, rotation = transform.location, transform.rotation
    return [
        location.x,
        location.y,
        location.z,
        rotation.pitch,
        rotation.yaw,
        rotation.roll,
    ]


def _client(port):
    client = carla.Client('127.0.0.1', port)
    client.set_timeout(100.0)
    return client


def _synchronous(world, fixed=STEP_S):
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, fixed
    return world.apply_settings(settings)


def _fresh(port, town=None):
    """A client and a new synchronous episode."""
    client = _client(port)
    world = client.load_world(town) if town else client.reload_world()
    _synchronous(world)
    return client, world


def _car(world, index=0, model='vehicle.tesla.model3'):
    blueprint = world.get_blueprint_library().find(model)
    return world.spawn_actor(blueprint, world.get_map().get_spawn_points()[index])


def _camera(world, kind, parent=None, mount=None, **attributes):
    blueprint = world.get_blueprint_library().find(f'sensor.camera.{kind}')
    for name, text in {'image_size_x': 96, 'image_size_y': 54, **attributes}.items():
        blueprint.set_attribute(name, str(text))
    mount = mount or carla.Transform(carla.Location(x=1.5, z=1.7), carla.Rotation(pitch=-5.0))
    return world.spawn_actor(blueprint, mount, attach_to=parent)


def _listen(sensor):
    data = queue.Queue()
    sensor.listen(data.put)
    return data


def _pixels(image):
    # The memory is the image's: a view of it outlives a temporary image badly.
    return np.array(image.raw_data, np.uint8).reshape(image.height, image.width, 4)


def _error_of(function):
    try:
        function()
    except RuntimeError as error:
        return str(error)
    return None


def connect(port):
    client = _client(port)
    world = client.get_world()
    road_map = world.get_map()
    points = road_map.get_spawn_points()
    waypoint = road_map.get_waypoint(points[0].location)
    library = world.get_blueprint_library()
    camera = library.find('sensor.camera.rgb')
    return {
        'version': client.get_server_version(),
        'client': client.get_client_version(),
        'map': road_map.name,
        'maps': client.get_available_maps(),
        'spawn_points': len(points),
        'off_lane': waypoint.transform.location.distance(points[0].location),
        'lane_type': str(waypoint.lane_type),
        'ids': [blueprint.id for blueprint in library],
        'fov': camera.get_attribute('fov').as_float(),
        'width': camera.get_attribute('image_size_x').as_int(),
        'spectator': world.get_spectator().type_id,
    }


def ticks(port):
    _, world = _fresh(port)
    first = world.tick()
    frames = [world.tick() for _ in range(20)]
    snapshot = world.get_snapshot()
    settings = world.get_settings()
    return {
        'steps': sorted({b - a for a, b in zip([first, *frames], frames)}),
        'snapshot_frame': snapshot.frame - frames[-1],
        'delta': snapshot.timestamp.delta_seconds,
        'settings': [settings.synchronous_mode, settings.fixed_delta_seconds],
    }


def asynchronous(port):
    client = _client(port)
    world = client.reload_world()
    settings = world.get_settings()
    stamps = [world.wait_for_tick(5.0).timestamp for _ in range(10)]
    car = _car(world)
    car.apply_control(carla.VehicleControl(throttle=1.0))
    deadline = time.monotonic() + 20.0
    while car.get_velocity().length() < 0.5 and time.monotonic() < deadline:
        world.wait_for_tick(5.0)
    return {
        'synchronous': settings.synchronous_mode,
        'frames': [b.frame - a.frame for a, b in itertools.pairwise(stamps)],
        'deltas': [s.delta_seconds for s in stamps],
        'elapsed': stamps[-1].elapsed_seconds - stamps[0].elapsed_seconds,
        'wall': stamps[-1].platform_timestamp - stamps[0].platform_timestamp,
        'speed': car.get_velocity().length(),
    }


def actors(port):
    _, world = _fresh(port)
    car = _car(world)
    for _ in range(10):  # the spawn point is a little above the road
        world.tick()
    place = car.get_transform()
    mount = carla.Transform(carla.Location(x=2.0, y=-0.5, z=1.0), carla.Rotation(yaw=30.0))
    camera = _camera(world, 'rgb', car, mount)
    world.tick()
    expected = np.array(place.get_matrix()) @ np.array(mount.get_matrix())
    seen = np.array(camera.get_transform().get_matrix())
    library = world.get_blueprint_library()
    blueprint = library.find('vehicle.audi.tt')
    wrong = library.find('sensor.camera.rgb')
    wrong.set_attribute('image_size_x', 'abc')
    wrong.set_attribute('fov', '500')
    result = {
        'type': car.type_id,
        'extent': [car.bounding_box.extent.x, car.bounding_box.extent.z],
        'color': car.attributes['color'],
        'parent': camera.parent.id == car.id,
        'mount_error': float(np.abs(expected - seen).max()),
        'try_spawn': world.try_spawn_actor(blueprint, place) is None,
        'collision': _error_of(lambda: world.spawn_actor(blueprint, place)),
        'bad_attributes': _error_of(lambda: world.spawn_actor(wrong, place)),
        'listed': sorted(a.type_id for a in world.get_actors()),
    }
    car.set_transform(carla.Transform(place.location + carla.Location(z=5.0), place.rotation))
    world.tick()
    result['lifted'] = car.get_location().z - place.location.z
    for _ in range(40):
        world.tick()
    result['fallen'] = car.get_location().z
    result['destroyed'] = [camera.destroy(), car.destroy()]
    world.tick()
    result['left'] = sorted(a.type_id for a in world.get_actors())
    result['spawn_again'] = world.try_spawn_actor(blueprint, place) is not None
    return result


def drive(port):
    _, world = _fresh(port)
    car = _car(world)
    for _ in range(5):
        world.tick()
    start = car.get_transform()

    def run(ticks, **control):
        car.apply_control(carla.VehicleControl(**control))
        for _ in range(ticks):
            world.tick()
        forward = car.get_transform().get_forward_vector()
        velocity = car.get_velocity()
        return velocity.x * forward.x + velocity.y * forward.y

    faster = run(60, throttle=0.6)
    moved = car.get_location().distance(start.location)
    turned_before = car.get_transform().rotation.yaw
    run(20, throttle=0.3, steer=0.1)
    turn = (car.get_transform().rotation.yaw - turned_before + 180.0) % 360.0 - 180.0
    rate = car.get_angular_velocity().z
    wheel = car.get_wheel_steer_angle(carla.VehicleWheelLocation.FL_Wheel)
    stopped = run(120, brake=1.0)
    backwards = run(40, throttle=0.5, reverse=True)
    car.set_target_velocity(carla.Vector3D(0.0, 0.0, 0.0))
    car.apply_control(carla.VehicleControl(hand_brake=True))
    world.tick()
    car.apply_ackermann_control(carla.VehicleAckermannControl(speed=8.0))
    for _ in range(150):
        world.tick()
    car.set_light_state(carla.VehicleLightState(carla.VehicleLightState.LowBeam))
    world.tick()
    return {
        'faster': faster,
        'moved': moved,
        'turn': turn,
        'rate': rate,
        'wheel': wheel,
        'stopped': stopped,
        'backwards': backwards,
        'ackermann': car.get_velocity().length(),
        'limit': car.get_speed_limit(),
        'lights': int(car.get_light_state()),
        'wheels': len(car.get_physics_control().wheels),
    }


def cameras(port, file, ticks=6):
    """Four kinds of camera on one mount, one with another size and a sensor_tick."""
    _, world = _fresh(port)
    car = _car(world)
    _car(world, 1, 'vehicle.audi.tt')
    kinds = ('rgb', 'semantic_segmentation', 'depth', 'instance_segmentation')
    sensors = {kind: _camera(world, kind, car) for kind in kinds}
    slow = _camera(world, 'rgb', car, image_size_x=32, image_size_y=20, sensor_tick=0.1, fov=70)
    queues = {kind: _listen(sensor) for kind, sensor in sensors.items()}
    slow_queue = _listen(slow)
    frames, mismatches, slow_frames = [], 0, []
    for _ in range(ticks):
        frame = world.tick()
        images = {kind: q.get(timeout=20.0) for kind, q in queues.items()}
        mismatches += sum(image.frame != frame for image in images.values())
        frames.append(frame)
    time.sleep(0.1)
    while not slow_queue.empty():
        slow_frames.append(slow_queue.get().frame)
    snapshot = world.get_snapshot()
    np.savez(file, **{kind: _pixels(image) for kind, image in images.items()})
    weather = world.get_weather()
    result = {
        'mismatches': mismatches,
        'slow': [b - a for a, b in itertools.pairwise(slow_frames)],
        'pose': _place(images['rgb'].transform),
        'fov': images['rgb'].fov,
        'time': images['rgb'].timestamp,
        'snapshot_time': snapshot.timestamp.elapsed_seconds,
        'cars': [
            [a.id, a.type_id, _place(a.get_transform()), a.attributes['color']]
            for a in world.get_actors().filter('vehicle.*')
        ],
        'sun': weather.sun_altitude_angle,
    }
    for sensor in (*sensors.values(), slow):
        sensor.stop()
    world.tick()
    time.sleep(0.2)
    result['after_stop'] = sum(q.qsize() for q in queues.values())
    return result


def batch(port):
    client, world = _fresh(port)
    points = world.get_map().get_spawn_points()
    library = world.get_blueprint_library()
    blueprint = library.find('vehicle.mini.cooper_s')
    command = carla.command
    first = client.apply_batch_sync(
        [
            command.SpawnActor(blueprint, points[0]).then(
                command.ApplyVehicleControl(
                    command.FutureActor, carla.VehicleControl(throttle=0.7)
                )
            ),
            command.SpawnActor(blueprint, points[0]),
            command.SpawnActor(library.find('walker.pedestrian.0001'), points[8]),
        ]
    )
    car_id, walker_id = first[0].actor_id, first[2].actor_id
    camera = client.apply_batch_sync(
        [command.SpawnActor(library.find('sensor.camera.depth'), carla.Transform(), car_id)]
    )[0].actor_id
    for _ in range(20):
        world.tick()
    car, walker = world.get_actor(car_id), world.get_actor(walker_id)
    speed = car.get_velocity().length()
    walker_place = walker.get_transform()
    second = client.apply_batch_sync(
        [
            command.ApplyTransform(car_id, points[4]),
            command.ApplyTargetVelocity(car_id, carla.Vector3D()),
            command.SetSimulatePhysics(car_id, False),
            command.SetVehicleLightState(car_id, carla.VehicleLightState(3)),
            command.ApplyWalkerControl(walker_id, carla.WalkerControl(carla.Vector3D(0, 1, 0), 2)),
            command.DestroyActor(987654),
        ]
    )
    for _ in range(10):
        world.tick()
    walked = walker.get_location() - walker_place.location
    moved_off = car.get_location().distance(points[4].location)
    parent = world.get_actor(camera).parent.id == car_id
    ticked = client.apply_batch_sync(
        [
            command.DestroyActor(camera),
            command.DestroyActor(car_id),
            command.DestroyActor(walker_id),
        ],
        True,
    )
    return {
        'first_errors': [r.error for r in first],
        'speed': speed,
        'second_errors': [r.error for r in second],
        'walked': [walked.x, walked.y],
        'moved_off': moved_off,
        'lights': 3,
        'parent': parent,
        'destroyed': [r.error for r in ticked],
        'left': [a.type_id for a in world.get_actors()],
    }


def weather(port):
    _, world = _fresh(port)
    car = _car(world)
    camera = _camera(world, 'rgb', car)
    images = _listen(camera)
    before = world.get_weather()
    world.tick()
    noon = _pixels(images.get(timeout=20.0))[:16, :, :3].mean()
    wanted = carla.WeatherParameters(
        cloudiness=80.0,
        precipitation=60.0,
        sun_altitude_angle=-20.0,
        fog_density=30.0,
        wetness=70.0,
        dust_storm=5.0,
        wind_intensity=42.0,
    )
    world.set_weather(wanted)
    world.tick()
    night = _pixels(images.get(timeout=20.0))[:16, :, :3].mean()
    got = world.get_weather()
    names = [
        'cloudiness',
        'precipitation',
        'sun_altitude_angle',
        'fog_density',
        'wetness',
        'dust_storm',
        'wind_intensity',
        'fog_falloff',
        'mie_scattering_scale',
    ]
    return {
        'noon': before.sun_altitude_angle,
        'error': max(abs(getattr(got, n) - getattr(wanted, n)) for n in names),
        'sky': [float(noon), float(night)],
    }


def load(port, town, xodr):
    client, world = _fresh(port)
    _car(world)
    world.tick()
    first = [world.id, world.get_map().name, len(world.get_actors())]
    reloaded = client.reload_world(False)
    second = [reloaded.id, reloaded.get_map().name, len(reloaded.get_actors())]
    kept = reloaded.get_settings().synchronous_mode
    loaded = client.load_world(town)
    third = [loaded.id, loaded.get_map().name, len(loaded.get_actors())]
    unknown = _error_of(lambda: client.load_world('Atlantis'))
    still = client.get_world().get_map().name
    text = Path(xodr).read_text()
    generated = client.generate_opendrive_world(text, carla.OpendriveGenerationParameters())
    _synchronous(generated)
    car = _car(generated)
    generated.tick()
    broken = _error_of(lambda: client.generate_opendrive_world('<OpenDRIVE></broken>'))
    return {
        'first': first,
        'second': second,
        'kept': kept,
        'third': third,
        'unknown': unknown,
        'still': still,
        'generated': [
            generated.get_map().name,
            car.is_alive,
            len(generated.get_map().get_topology()),
        ],
        'broken': broken,
    }


def autopilot(port, town, manager_port, cars=4, ticks=400):
    """Cars of the client's Traffic Manager: distance from the middle of the lane."""
    client, world = _fresh(port, town)
    road_map = world.get_map()
    manager = client.get_trafficmanager(manager_port)
    manager.set_synchronous_mode(True)
    manager.set_random_device_seed(2)
    fleet = [_car(world, 5 * i) for i in range(cars)]
    world.tick()
    for car in fleet:
        car.set_autopilot(True, manager.get_port())
        manager.auto_lane_change(car, False)
    worst, driven, outside = 0.0, 0.0, 0.0
    for _ in range(ticks):
        world.tick()
        for car in fleet:
            place = car.get_transform()
            driven += car.get_velocity().length() * STEP_S
            waypoint = road_map.get_waypoint(place.location)
            if waypoint.is_junction:
                continue
            middle = waypoint.transform
            yaw = math.radians(middle.rotation.yaw)
            dx, dy = place.location.x - middle.location.x, place.location.y - middle.location.y
            off = abs(dy * math.cos(yaw) - dx * math.sin(yaw))
            worst = max(worst, off)
            half_width = car.bounding_box.extent.y
            outside = max(outside, off + half_width - waypoint.lane_width / 2.0)
    manager.shut_down()
    return {'worst': worst, 'driven': driven, 'outside': outside}


def sensors(port):
    _, world = _fresh(port)
    library = world.get_blueprint_library()
    road_map = world.get_map()
    car = _car(world)
    names = ('gnss', 'imu', 'collision', 'lane_invasion')
    # A sensor object that goes out of scope stops listening.
    mounted = {
        name: world.spawn_actor(
            library.find(f'sensor.other.{name}'), carla.Transform(), attach_to=car
        )
        for name in names
    }
    queues = {name: _listen(sensor) for name, sensor in mounted.items()}
    for _ in range(40):
        world.tick()
    place = car.get_transform()
    fixes = [queues['gnss'].get(timeout=10.0) for _ in range(40)]
    true = road_map.transform_to_geolocation(place.location)
    still = [queues['imu'].get(timeout=10.0) for _ in range(40)][-1]
    quiet = queues['collision'].qsize()
    # A wall of a car in front, and a push sideways over the lane mark.
    forward, right = place.get_forward_vector(), place.get_right_vector()
    ahead = carla.Transform(
        place.location + forward * 12.0 + carla.Location(z=0.3), place.rotation
    )
    obstacle = world.spawn_actor(library.find('vehicle.volkswagen.t2'), ahead)
    car.set_target_velocity(forward * 10.0)
    for _ in range(60):
        world.tick()
    hit = queues['collision'].get(timeout=10.0)
    for step in range(8):
        car.set_location(place.location + right * (-1.0 * step))
        world.tick()
    crossed = queues['lane_invasion'].get(timeout=10.0)
    return {
        'gnss': [
            abs(fixes[-1].latitude - true.latitude),
            abs(fixes[-1].longitude - true.longitude),
        ],
        'north': true.latitude,
        'gravity': [still.accelerometer.x, still.accelerometer.y, still.accelerometer.z],
        'compass': math.degrees(still.compass),
        'yaw': place.rotation.yaw,
        'quiet': quiet,
        'other': hit.other_actor.type_id == obstacle.type_id,
        'impulse': hit.normal_impulse.length(),
        'own': hit.actor.id == car.id,
        'marks': len(crossed.crossed_lane_markings),
        'pushed': obstacle.get_location().distance(ahead.location),
    }


def hold(port):
    """Listen to a camera and wait to be killed."""
    _, world = _fresh(port)
    car = _car(world)
    camera = _camera(world, 'rgb', car)
    images = _listen(camera)
    world.tick()
    images.get(timeout=20.0)
    print(json.dumps({'camera': camera.id, 'car': car.id}), flush=True)
    time.sleep(120.0)
    return {}


def join(port, camera, car):
    """A second client of a synchronous world: sees the actors of the first, and listens."""
    client = _client(port)
    world = client.get_world()
    before = len(world.get_actors())
    frame = world.tick()
    sensor, vehicle = world.get_actor(camera), world.get_actor(car)
    images = _listen(sensor)
    image = None
    for _ in range(3):
        frame = world.tick()
        image = images.get(timeout=20.0)
    return {
        'before': before,
        'alive': [sensor.is_alive, vehicle.is_alive],
        'match': image.frame == frame,
    }


def wrong_calls(port):
    """Calls that this server does not have, and wrong arguments."""
    client, world = _fresh(port)
    car = _car(world)
    world.tick()
    return {
        'telemetry': _error_of(lambda: car.get_telemetry_data()),
        'ray': _error_of(lambda: world.cast_ray(carla.Location(), carla.Location(x=5.0))),
        'recorder': _error_of(lambda: client.start_recorder('a.log')),
        'after': world.tick() > 0,
    }


if __name__ == '__main__':
    name, port, arguments = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    try:
        print(json.dumps(globals()[name](port, **arguments)), flush=True)
        status = 0
    except Exception:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # Destructors of the client library abort the process now and then.
    os._exit(status)
