"""Actors: spawned, driven, in batches, with sensors that are no cameras."""

from __future__ import annotations

import math
import time

import carla
import numpy as np
from tools import STEP_S, error_of, fresh_world, listen_to, spawn_camera, spawn_car

from seg_node_sim.client.tick_watch import TickWatch


def actors(port):
    _, world = fresh_world(port)
    car = spawn_car(world)
    for _ in range(10):  # the spawn point is a little above the road
        world.tick()
    place = car.get_transform()
    mount = carla.Transform(carla.Location(x=2.0, y=-0.5, z=1.0), carla.Rotation(yaw=30.0))
    camera = spawn_camera(world, 'rgb', car, mount)
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
        'collision': error_of(lambda: world.spawn_actor(blueprint, place)),
        'bad_attributes': error_of(lambda: world.spawn_actor(wrong, place)),
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
    _, world = fresh_world(port)
    car = spawn_car(world)
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


def batch(port):
    client, world = fresh_world(port)
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


def autopilot(port, town, manager_port, cars=4, ticks=400):
    """Cars of the client's Traffic Manager: distance from the middle of the lane."""
    client, world = fresh_world(port, town)
    road_map = world.get_map()
    manager = client.get_trafficmanager(manager_port)
    manager.set_synchronous_mode(True)
    manager.set_random_device_seed(2)
    fleet = [spawn_car(world, 5 * i) for i in range(cars)]
    world.tick()
    watch = TickWatch(manager.get_port())
    for car in fleet:
        car.set_autopilot(True, manager.get_port())
        manager.auto_lane_change(car, False)
    worst, driven, outside = 0.0, 0.0, 0.0
    for _ in range(ticks):
        with watch.over(world):
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
    watch.stop()
    time.sleep(0.02)
    manager.shut_down()
    return {'worst': worst, 'driven': driven, 'outside': outside}


def sensors(port):
    _, world = fresh_world(port)
    library = world.get_blueprint_library()
    road_map = world.get_map()
    car = spawn_car(world)
    names = ('gnss', 'imu', 'collision', 'lane_invasion')
    # A sensor object that goes out of scope stops listening.
    mounted = {
        name: world.spawn_actor(
            library.find(f'sensor.other.{name}'), carla.Transform(), attach_to=car
        )
        for name in names
    }
    queues = {name: listen_to(sensor) for name, sensor in mounted.items()}
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
