"""The calls that CARLA's own example programs make, and sensors other than cameras."""

from __future__ import annotations

import random

import carla
import numpy as np
from tools import STEP_S, error_of, fresh_world, listen_to, spawn_car


def traffic(port, manager_port, town, vehicles=4, ticks=60):
    """As generate_traffic.py: walkers and their controllers, batches, the Traffic Manager."""
    client, world = fresh_world(port, town)
    manager = client.get_trafficmanager(manager_port)
    manager.set_global_distance_to_leading_vehicle(2.5)
    manager.set_random_device_seed(1)
    manager.set_synchronous_mode(True)
    library = world.get_blueprint_library()
    models = sorted(
        (b for b in library.filter('vehicle.*') if b.get_attribute('base_type') == 'car'),
        key=lambda b: b.id,
    )
    second = [b for b in library.filter('walker.pedestrian.*')
              if int(b.get_attribute('generation')) == 2]  # fmt: skip
    points = world.get_map().get_spawn_points()
    random.Random(1).shuffle(points)
    command = carla.command
    batch = []
    for point, model in zip(points[:vehicles], models):
        if model.has_attribute('color'):
            model.set_attribute('color', model.get_attribute('color').recommended_values[0])
        model.set_attribute('role_name', 'autopilot')
        batch.append(
            command.SpawnActor(model, point).then(
                command.SetAutopilot(command.FutureActor, True, manager.get_port())
            )
        )
    spawned = client.apply_batch_sync(batch, True)
    world.set_pedestrians_seed(1)
    place = world.get_random_location_from_navigation()
    controller = library.find('controller.ai.walker')
    walker = world.spawn_actor(second[0], points[vehicles + 1])
    mind = client.apply_batch_sync(
        [command.SpawnActor(controller, carla.Transform(), walker.id)], True
    )[0]
    world.set_pedestrians_cross_factor(0.0)
    before = [world.get_actor(r.actor_id).get_location() for r in spawned]
    for _ in range(ticks):
        world.tick()
    cars = [world.get_actor(r.actor_id) for r in spawned]
    moved = [car.get_location().distance(at) for car, at in zip(cars, before)]
    result = {
        'errors': [r.error for r in spawned] + [mind.error],
        'kind': world.get_actor(mind.actor_id).type_id,
        'moved': moved,
        'speeds': len(second[0].get_attribute('speed').recommended_values),
        'navigation': place is not None,
    }
    client.apply_batch_sync([command.DestroyActor(c.id) for c in cars], True)
    manager.shut_down()
    return result


def lookups(port):
    """Every blueprint that manual_control.py and its like look up when they start."""
    _, world = fresh_world(port)
    library = world.get_blueprint_library()
    names = [
        *(f'sensor.camera.{k}' for k in ('dvs', 'optical_flow', 'normals')),
        *(f'sensor.lidar.{k}' for k in ('ray_cast', 'ray_cast_semantic')),
        *(f'sensor.other.{k}' for k in ('radar', 'obstacle', 'imu', 'gnss', 'lane_invasion')),
        'controller.ai.walker',
    ]
    found = [library.find(name).id for name in names]
    lidar = library.find('sensor.lidar.ray_cast')
    return {
        'same': found == names,
        'dropoff': float(lidar.get_attribute('dropoff_general_rate').recommended_values[0]),
        'refused': error_of(
            lambda: world.spawn_actor(library.find('sensor.camera.dvs'), carla.Transform())
        ),
        'ground': world.ground_projection(carla.Location(3.0, 4.0, 2.0), 5.0).location.z,
        'above': world.ground_projection(carla.Location(3.0, 4.0, 20.0), 5.0) is None,
    }


def ranging(port):
    """Lidar, semantic lidar, radar and obstacle sensor towards a van that drives away."""
    _, world = fresh_world(port)
    library = world.get_blueprint_library()
    car = spawn_car(world)
    for _ in range(20):
        world.tick()
    place = car.get_transform()
    forward = place.get_forward_vector()
    model = library.find('vehicle.volkswagen.t2')
    ahead = place.location + forward * 15.0
    van = world.spawn_actor(model, carla.Transform(ahead + carla.Location(z=0.1), place.rotation))
    mount = carla.Transform(carla.Location(x=0.0, z=2.0))

    def add(name, **attributes):
        blueprint = library.find(name)
        for key, text in attributes.items():
            blueprint.set_attribute(key, str(text))
        sensor = world.spawn_actor(blueprint, mount, attach_to=car)
        return sensor, listen_to(sensor)

    common = {'range': 60, 'points_per_second': 200_000, 'rotation_frequency': 1 / STEP_S}
    quiet = {'dropoff_general_rate': 0, 'dropoff_zero_intensity': 0, 'noise_stddev': 0}
    sensors = {
        'plain': add('sensor.lidar.ray_cast', **common, **quiet),
        'semantic': add('sensor.lidar.ray_cast_semantic', **common),
        'radar': add('sensor.other.radar', points_per_second=20_000, vertical_fov=20),
        'obstacle': add('sensor.other.obstacle', distance=30, hit_radius=0.4),
    }
    for _ in range(10):
        world.tick()
        for name in ('plain', 'semantic', 'radar', 'obstacle'):
            sensors[name][1].get(timeout=20.0)
    van.set_target_velocity(forward * 6.0)
    frame = world.tick()
    data = {name: q.get(timeout=20.0) for name, (_, q) in sensors.items()}
    gap = van.get_location().distance(car.get_location()) - van.bounding_box.extent.x
    points = np.frombuffer(bytes(data['plain'].raw_data), np.float32).reshape(-1, 4)
    row = [
        ('place', np.float32, 3),
        ('cosine', np.float32),
        ('actor', np.uint32),
        ('tag', np.uint32),
    ]
    seen = np.frombuffer(bytes(data['semantic'].raw_data), row)
    body = seen[seen['actor'] == van.id]
    low = points[points[:, 2] < -1.9]
    onto = np.abs(points[:, 1]) < 0.5
    front = points[onto & (points[:, 2] > -1.5) & (points[:, 0] > 3.0)]
    echoes = np.frombuffer(bytes(data['radar'].raw_data), np.float32).reshape(-1, 4)
    near = echoes[(np.abs(echoes[:, 3] - gap) < 2.0) & (np.abs(echoes[:, 1]) < 0.03)]
    near = near[near[:, 2] < 0.0]
    return {
        'frames': [d.frame == frame for d in data.values()],
        'gap': gap,
        'lidar': float(front[:, 0].min()),
        'semantic': float(body['place'][:, 0].min()),
        'body': len(body),
        'tags': sorted({int(t) for t in body['tag']}),
        'facing': float(np.median(body['cosine'][np.abs(body['place'][:, 0] - gap) < 0.2])),
        'ground': [float(low[:, 2].min()), len(low)],
        'behind': int((points[:, 0] < -3.0).sum()),
        'intensity': float(
            np.abs(points[:, 3] - np.exp(-0.004 * np.linalg.norm(points[:, :3], axis=1))).max()
        ),
        'channels': data['plain'].channels,
        'counts': sum(data['plain'].get_point_count(c) for c in range(32)) - len(points),
        'echoes': len(near),
        'speed': float(np.median(near[:, 0])),
        'obstacle': data['obstacle'].distance,
        'other': data['obstacle'].other_actor.id == van.id,
    }


def recording(port, ticks=10):
    """A recorded drive: the path that the server names, and who was in it."""
    client, world = fresh_world(port, 'Highway')
    path = client.start_recorder('../../etc/drive 1.log')
    car = spawn_car(world)
    car.apply_control(carla.VehicleControl(throttle=0.8))
    for _ in range(ticks):
        world.tick()
    client.stop_recorder()
    world.tick()
    place = car.get_location()
    return {
        'path': path,
        'car': car.id,
        'x': place.x,
        'wrong': error_of(lambda: client.start_recorder('..')),
        'info': error_of(lambda: client.show_recorder_file_info('drive 1.log', False)),
    }
