"""Drive the embedded town: camera → DDS → seg_node → masks, with pictures and figures.

Everything is a process of its own, as on a robot: the CARLA server, its ROS source, the node. What
they publish is recorded here over DDS: overlay.mp4, drive.mcap, demo.json. With --input a folder,
video or bag is the camera instead of the embedded world.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

from seg_node.errors import ConfigError
from seg_node.files import fresh_folder, write_json
from seg_node.ros_process import require_rclpy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('-o', '--output', type=Path, default=Path('out/demo'), metavar='DIR')
    parser.add_argument('--frames', type=int, default=200, help='how long to drive')
    parser.add_argument('--rate', type=float, default=10.0, help='frames a second')
    parser.add_argument('--model', type=Path, help='model file; default: the shipped one')
    parser.add_argument('--input', type=Path, help='folder, video or bag as the camera')
    group = parser.add_argument_group('the drive')
    group.add_argument('--town', default='Grid', help='town of the embedded world')
    group.add_argument('--weather', default='ClearNoon')
    group.add_argument('--traffic', type=int, default=8, help='other cars')
    group.add_argument('--seed', type=int, default=1)
    group.add_argument('--host', help='a real CARLA server instead of the embedded one')
    group.add_argument('--port', type=int, default=2000)


def run(options: argparse.Namespace) -> int:
    """Run it and print what came of it."""
    if options.frames < 1 or not 0.1 <= options.rate <= 200:
        raise ConfigError('--frames: expected at least 1; --rate: expected 0.1 to 200')
    require_rclpy()
    from seg_node.demo import afterwards, sources
    from seg_node.demo.drive import DemoDrive, record
    from seg_node.ros.session import private_graph

    folder: Path = options.output
    classes = afterwards.model_classes(options.model)
    fresh_folder(folder)
    with private_graph(), contextlib.ExitStack() as stack:
        if options.input:
            source = sources.recorded(options.input, options.rate, folder)
        else:
            source = sources.carla(_request(options), folder)
        feed = stack.enter_context(source)
        figures = record(
            DemoDrive(folder, options.frames, options.rate, feed, options.model, classes)
        )
    if feed.simulated_time:
        figures |= {'town': options.town, 'ticks_per_s': figures['frames_per_s']}
        figures['lane_map'] = afterwards.map_lanes(folder, options.model, _opendrive(options))
        afterwards.report(folder, options.model)
        print(afterwards.view(folder, options.model))
    write_json(folder / 'demo.json', figures)
    _print(figures, folder)
    return 0


def _request(options: argparse.Namespace) -> Any:
    from seg_node.demo.sources import CarlaRequest

    return CarlaRequest(
        host=options.host,
        port=options.port,
        town=options.town,
        weather=options.weather,
        traffic=options.traffic,
        seed=options.seed,
        rate=options.rate,
    )


def _opendrive(options: argparse.Namespace) -> str | None:
    """The embedded town's map; a real server's is not asked for."""
    if options.host is not None:
        return None
    from seg_node_sim.maps import load_town

    return str(load_town(options.town).xodr)


def _print(figures: dict[str, Any], folder: Path) -> None:
    latency = figures['latency_ms']
    print(
        f'{figures["frames_recorded"]} masks over DDS, {latency["p50"]:.1f} ms p50, '
        f'{latency["p99"]:.1f} ms p99'
    )
    if 'iou' in figures:
        values = (f'{name} {value}' for name, value in figures['iou'].items())
        print('IoU against the exact truth: ' + ', '.join(values))
    lane_map = figures.get('lane_map')
    if lane_map:
        print(
            f'lane map: median error {lane_map["median_error_m"]:.3f} m, '
            f'p95 {lane_map["p95_error_m"]:.3f} m, coverage {lane_map["coverage"]:.0%}'
        )
    print(f'see {folder}: overlay.mp4, lane_map.png, report.html, drive.mcap, demo.json')
