"""Episodes, settings, towns, and several clients."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import carla
from tools import (
    connected,
    error_of,
    fresh_world,
    listen_to,
    make_synchronous,
    spawn_camera,
    spawn_car,
)


def connect(port):
    client = connected(port)
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
    _, world = fresh_world(port)
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
    client = connected(port)
    world = client.reload_world()
    settings = world.get_settings()
    stamps = [world.wait_for_tick(5.0).timestamp for _ in range(10)]
    car = spawn_car(world)
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


def load(port, town, xodr):
    client, world = fresh_world(port)
    spawn_car(world)
    world.tick()
    first = [world.id, world.get_map().name, len(world.get_actors())]
    reloaded = client.reload_world(False)
    second = [reloaded.id, reloaded.get_map().name, len(reloaded.get_actors())]
    kept = reloaded.get_settings().synchronous_mode
    loaded = client.load_world(town)
    third = [loaded.id, loaded.get_map().name, len(loaded.get_actors())]
    unknown = error_of(lambda: client.load_world('Atlantis'))
    still = client.get_world().get_map().name
    text = Path(xodr).read_text()
    generated = client.generate_opendrive_world(text, carla.OpendriveGenerationParameters())
    make_synchronous(generated)
    car = spawn_car(generated)
    generated.tick()
    broken = error_of(lambda: client.generate_opendrive_world('<OpenDRIVE></broken>'))
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


def hold(port):
    """Listen to a camera and wait to be killed."""
    _, world = fresh_world(port)
    car = spawn_car(world)
    camera = spawn_camera(world, 'rgb', car)
    images = listen_to(camera)
    world.tick()
    images.get(timeout=20.0)
    print(json.dumps({'camera': camera.id, 'car': car.id}), flush=True)
    time.sleep(120.0)
    return {}


def join(port, camera, car):
    """A second client of a synchronous world: sees the actors of the first, and listens."""
    client = connected(port)
    world = client.get_world()
    before = len(world.get_actors())
    frame = world.tick()
    sensor, vehicle = world.get_actor(camera), world.get_actor(car)
    images = listen_to(sensor)
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
    _, world = fresh_world(port)
    car = spawn_car(world)
    world.tick()
    return {
        'telemetry': error_of(lambda: car.get_telemetry_data()),
        'ray': error_of(lambda: world.cast_ray(carla.Location(), carla.Location(x=5.0))),
        'after': world.tick() > 0,
    }
