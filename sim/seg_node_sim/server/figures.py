"""Figures of the embedded server: ticks per second, frames that fit together, lane keeping.

    python -m seg_node_sim.server.figures --ticks 1000 --json out/server_figures.json

Starts a server process, drives one car on the client's Traffic Manager and counts, with three
cameras (RGB, semantic, depth) at each size.  The client is the unmodified `carla` package.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import queue
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from seg_node_sim.client.tick_watch import TickWatch
from seg_node_sim.server import ServerOptions, start_server_process

_SIZES = ((640, 360), (1280, 720))
_KINDS = ('rgb', 'semantic_segmentation', 'depth')
_STEP_S = 0.05


def _connect(port: int, town: str) -> tuple[Any, Any]:
    import carla

    client = carla.Client('127.0.0.1', port)
    client.set_timeout(60.0)
    world = client.get_world()
    if not world.get_map().name.endswith(town):
        world = client.load_world(town)
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, _STEP_S
    world.apply_settings(settings)
    return client, world


def _cameras(
    world: Any, car: Any, size: tuple[int, int]
) -> dict[str, tuple[Any, queue.Queue[Any]]]:
    import carla

    library = world.get_blueprint_library()
    mount = carla.Transform(carla.Location(x=1.5, z=1.7))
    cameras = {}
    for kind in _KINDS:
        blueprint = library.find(f'sensor.camera.{kind}')
        blueprint.set_attribute('image_size_x', str(size[0]))
        blueprint.set_attribute('image_size_y', str(size[1]))
        sensor = world.spawn_actor(blueprint, mount, attach_to=car)
        images: queue.Queue[Any] = queue.Queue()
        sensor.listen(images.put)
        cameras[kind] = (sensor, images)
    return cameras


def _spawn_car(world: Any, model: str, index: int) -> Any:
    points = world.get_map().get_spawn_points()
    blueprint = world.get_blueprint_library().find(model)
    return world.spawn_actor(blueprint, points[index % len(points)])


def measure_cameras(
    pid: int, port: int, town: str, size: tuple[int, int], ticks: int, cars: int
) -> dict[str, Any]:
    """Ticks per second with three cameras that wait for all their images, and mismatches."""
    client, world = _connect(port, town)
    manager = client.get_trafficmanager(port + 7000)
    manager.set_synchronous_mode(True)
    watch = TickWatch(manager.get_port(), print)
    car = _spawn_car(world, 'vehicle.tesla.model3', 0)
    actors = [car, *(_spawn_car(world, 'vehicle.audi.tt', 3 + 4 * i) for i in range(cars - 1))]
    world.tick()
    for actor in actors:
        actor.set_autopilot(True, manager.get_port())
    cameras = _cameras(world, car, size)
    mismatches = 0
    times = []
    processes = {'server': psutil.Process(pid), 'client': psutil.Process()}
    used: dict[str, float] = {}
    for number in range(ticks + 10):
        began = time.perf_counter()
        with watch.over(world):
            frame = world.tick()
        for _, images in cameras.values():
            image = images.get(timeout=30.0)
            if number >= 10 and image.frame != frame:
                mismatches += 1
        if number == 9:
            used = {name: _cpu_s(p) for name, p in processes.items()}
        if number >= 10:
            times.append(time.perf_counter() - began)
    used = {name: _cpu_s(p) - used[name] for name, p in processes.items()}
    watch.stop()
    time.sleep(0.02)
    manager.shut_down()
    for sensor, _ in cameras.values():
        sensor.stop()
        sensor.destroy()
    time.sleep(0.3)  # the client aborts when it ends right after a stop
    for actor in actors:
        actor.destroy()
    ordered = sorted(times)
    return {
        'size': f'{size[0]}x{size[1]}',
        'ticks': ticks,
        'cars': cars,
        'frame_mismatches': mismatches,
        'ticks_per_s': round(len(times) / sum(times), 1),
        'tick_ms_p50': round(1e3 * ordered[len(ordered) // 2], 1),
        'tick_ms_p95': round(1e3 * ordered[int(len(ordered) * 0.95)], 1),
        # A busy machine slows the wall clock, these less.
        'server_cpu_ms_per_tick': round(1e3 * used['server'] / ticks, 1),
        'client_cpu_ms_per_tick': round(1e3 * used['client'] / ticks, 1),
    }


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measure_lane_keeping(port: int, town: str, ticks: int, cars: int) -> dict[str, Any]:
    """How far the Traffic Manager's cars are from the middle of their lane, in metres."""
    client, world = _connect(port, town)
    road_map = world.get_map()
    manager = client.get_trafficmanager(port + 7000)
    manager.set_synchronous_mode(True)
    watch = TickWatch(manager.get_port(), print)
    manager.set_random_device_seed(1)
    actors = [_spawn_car(world, 'vehicle.tesla.model3', 7 * i) for i in range(cars)]
    world.tick()
    for actor in actors:
        actor.set_autopilot(True, manager.get_port())
        manager.auto_lane_change(actor, False)
    deviations: list[float] = []
    outside: list[float] = []
    driven = 0.0
    for _ in range(ticks):
        with watch.over(world):
            world.tick()
        for actor in actors:
            driven += actor.get_velocity().length() * _STEP_S
            measured = _lane_offset(road_map, actor.get_transform())
            if measured is not None:
                offset, half_lane = measured
                deviations.append(offset)
                outside.append(offset + actor.bounding_box.extent.y - half_lane)
    watch.stop()
    time.sleep(0.02)
    manager.shut_down()
    for actor in actors:
        actor.destroy()
    deviations.sort()
    return {
        'town': town,
        'cars': cars,
        'ticks': ticks,
        'driven_km': round(driven / 1e3, 2),
        'lane_deviation_p50_m': round(deviations[len(deviations) // 2], 3),
        'lane_deviation_p99_m': round(deviations[int(len(deviations) * 0.99)], 3),
        'lane_deviation_max_m': round(deviations[-1], 3),
        # How far the car's side is beyond the lane's edge; negative: inside.
        'outside_lane_max_m': round(max(outside), 3),
    }


def _lane_offset(road_map: Any, transform: Any) -> tuple[float, float] | None:
    """Distance to the middle of the lane and half its width, in metres.

    None in junctions, where lanes overlap.
    """
    waypoint = road_map.get_waypoint(transform.location)
    if waypoint is None or waypoint.is_junction:
        return None
    middle = waypoint.transform
    yaw = math.radians(middle.rotation.yaw)
    dx = transform.location.x - middle.location.x
    dy = transform.location.y - middle.location.y
    return abs(dy * math.cos(yaw) - dx * math.sin(yaw)), waypoint.lane_width / 2.0


def main(arguments: list[str] | None = None) -> int:
    """Measures a server of its own and prints the figures; the exit status."""
    parser = argparse.ArgumentParser(prog='seg_node_sim.server.figures', description=__doc__)
    parser.add_argument('--port', type=int, default=21000, help='control port (%(default)s)')
    parser.add_argument('--ticks', type=int, default=1000, help='ticks a figure (%(default)s)')
    parser.add_argument('--cars', type=int, default=6, help='cars on the road (%(default)s)')
    parser.add_argument('--town', default='Highway', help='town of the camera run (%(default)s)')
    parser.add_argument('--only', choices=('cameras', 'lanes'), help='one half of the figures')
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    args = parser.parse_args(arguments)
    from seg_node_sim.maps import town_names

    figures: dict[str, list[dict[str, Any]]] = {'cameras': [], 'lanes': []}
    with start_server_process(ServerOptions(port=args.port, town=args.town)) as server:
        if args.only != 'lanes':
            for size in _SIZES:
                row = measure_cameras(
                    server.pid, args.port, args.town, size, args.ticks, args.cars
                )
                figures['cameras'].append(row)
                print(row, flush=True)
        if args.only != 'cameras':
            for town in town_names():
                row = measure_lane_keeping(args.port, town, args.ticks, args.cars)
                figures['lanes'].append(row)
                print(row, flush=True)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=2) + '\n')
    return 0


if __name__ == '__main__':
    status = main()
    sys.stdout.flush()
    # The client library may abort in its destructors; the figures are written by now.
    os._exit(status)
