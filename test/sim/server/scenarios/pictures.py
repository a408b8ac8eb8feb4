"""Cameras and weather."""

from __future__ import annotations

import itertools
import time

import carla
import numpy as np
from tools import fresh_world, listen_to, pixels_of, place_of, spawn_camera, spawn_car


def cameras(port, file, ticks=6):
    """Four kinds of camera on one mount, one with another size and a sensor_tick."""
    _, world = fresh_world(port)
    car = spawn_car(world)
    spawn_car(world, 1, 'vehicle.audi.tt')
    kinds = ('rgb', 'semantic_segmentation', 'depth', 'instance_segmentation')
    sensors = {kind: spawn_camera(world, kind, car) for kind in kinds}
    slow = spawn_camera(
        world, 'rgb', car, image_size_x=32, image_size_y=20, sensor_tick=0.1, fov=70
    )
    queues = {kind: listen_to(sensor) for kind, sensor in sensors.items()}
    slow_queue = listen_to(slow)
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
    np.savez(file, **{kind: pixels_of(image) for kind, image in images.items()})
    weather = world.get_weather()
    result = {
        'mismatches': mismatches,
        'slow': [b - a for a, b in itertools.pairwise(slow_frames)],
        'pose': place_of(images['rgb'].transform),
        'fov': images['rgb'].fov,
        'time': images['rgb'].timestamp,
        'snapshot_time': snapshot.timestamp.elapsed_seconds,
        'cars': [
            [a.id, a.type_id, place_of(a.get_transform()), a.attributes['color']]
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


def weather(port):
    _, world = fresh_world(port)
    car = spawn_car(world)
    camera = spawn_camera(world, 'rgb', car)
    images = listen_to(camera)
    before = world.get_weather()
    world.tick()
    noon = pixels_of(images.get(timeout=20.0))[:16, :, :3].mean()
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
    night = pixels_of(images.get(timeout=20.0))[:16, :, :3].mean()
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
