"""A lane map from a bag: camera (with depth, or over the ground plane) and odometry.

Masks come from the model, or with --labels from a topic of class ids. Writes lane_map.ply, .pcd,
.png, .json and .geojson; with --truth the map stands beside the true markings in lane_map.png and
its errors are printed.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from seg_node.classes import LANE, ClassSet, load_class_map
from seg_node.cli.model_options import add_model_arguments, run_options
from seg_node.errors import ConfigError, InputError
from seg_node.files import write_image, write_json
from seg_node.frames import decode
from seg_node.lane_map import LaneMap, MapOptions, Pose, VoxelGrid, optical_mount
from seg_node.lane_map.compare import CompareOptions, Comparison, Sight, Truth, compare
from seg_node.lane_map.from_bag import (
    MapResult,
    MapSteps,
    MapTopics,
    Masker,
    ids_masker,
    map_bag,
    message_count,
)
from seg_node.lane_map.save import save_map
from seg_node.lane_map.topdown import pair
from seg_node.model.loader import load_model
from seg_node.pipeline import Segmenter
from seg_node.points import GroundPlane
from seg_node.progress import track
from seg_node.replay.bag import Bag
from seg_node.rgbd import lane_ids, road_ids


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('bag', type=Path, help='bag (MCAP, sqlite3, ROS 1)')
    parser.add_argument('-o', '--output', type=Path, default=Path('lane_map'), metavar='DIR')
    parser.add_argument('--image', default='', metavar='TOPIC', help='default: the first')
    parser.add_argument(
        '--depth', default='', metavar='TOPIC', help="'none': ground plane; default: the first"
    )
    parser.add_argument('--odometry', default='', metavar='TOPIC', help='default: the first')
    parser.add_argument(
        '--labels', default='', metavar='TOPIC', help='class ids instead of the model'
    )
    parser.add_argument('--class-map', default='carla_0_9_14', help='what --labels holds')
    parser.add_argument(
        '--mount',
        type=float,
        nargs=6,
        metavar=('X', 'Y', 'Z', 'ROLL', 'PITCH', 'YAW'),
        help='camera body on the vehicle, metres and degrees (REP-103); default: /tf_static',
    )
    parser.add_argument('--max-range', type=float, default=MapOptions().max_range_m, metavar='M')
    parser.add_argument('--voxel', type=float, default=VoxelGrid().size_m, metavar='M')
    parser.add_argument('--min-hits', type=float, default=MapOptions().min_hits)
    parser.add_argument('--min-ratio', type=float, default=MapOptions().min_ratio)
    parser.add_argument(
        '--min-length',
        type=float,
        default=MapOptions().min_length_m,
        metavar='M',
        help='of a piece',
    )
    parser.add_argument('--background-weight', type=float, default=MapOptions().background_weight)
    parser.add_argument(
        '--truth',
        type=Path,
        metavar='FILE',
        help='true markings: GeoJSON in metres of the map, or OpenDRIVE (.xodr)',
    )
    parser.add_argument(
        '--sight', type=float, default=10.0, metavar='M', help='range within which truth counts'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write figures')
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Map the bag, save, compare."""
    truth = read_truth(options.truth) if options.truth else None
    with Bag(options.bag) as bag:
        topics = MapTopics.find(
            bag, options.labels or options.image, options.depth, options.odometry
        )
        steps, classes = _steps(options)
        grid = VoxelGrid(options.voxel, max(VoxelGrid().height_m, options.voxel))
        lane_map = LaneMap(
            MapOptions(
                grid=grid,
                max_range_m=options.max_range,
                min_hits=options.min_hits,
                min_ratio=options.min_ratio,
                min_length_m=options.min_length,
                background_weight=options.background_weight,
            )
        )
        total = message_count(bag, topics)

        def watched(messages: Iterable[Any]) -> Iterable[Any]:
            return track(messages, 'lane map', total)

        result = map_bag(bag, topics, steps, lane_map, watched)
        for problem in (*bag.problems, *result.problems.values()):
            print(f'warning: {problem}')
    return _report(options, result, classes, truth)


def _steps(options: argparse.Namespace) -> tuple[MapSteps, ClassSet]:
    masker, classes = _masker(options)
    mount, ground = None, None
    if options.mount is not None:
        angles = [math.radians(v) for v in options.mount[3:]]
        mount = optical_mount(Pose.of_euler(*options.mount[:3], *angles))
        ground = GroundPlane.from_rotation(options.mount[2], mount[:3, :3])
    steps = MapSteps(
        masker, lane_ids(classes), road_ids(classes), options.max_range, ground, mount
    )
    return steps, classes


def _masker(options: argparse.Namespace) -> tuple[Masker, ClassSet]:
    if options.labels:
        class_map = load_class_map(options.class_map)
        if class_map.target != LANE.names:
            raise ConfigError(
                f'--class-map {options.class_map}: expected one to {", ".join(LANE.names)}'
            )
        return ids_masker(class_map.apply_ids), LANE
    runner = load_model(options.model, run_options(options)).runner
    segmenter = Segmenter(runner)

    def masker(message: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        answer = segmenter(decode(message))
        return answer.mask, answer.planes

    return masker, runner.spec.classes


def _report(
    options: argparse.Namespace, result: MapResult, classes: ClassSet, truth: Truth | None
) -> int:
    poses = result.track
    saved = save_map(
        result.lane_map,
        options.output,
        frame_id=result.frame_id,
        classes=classes,
        track=poses[:, :3, 3],
    )
    figures: dict[str, Any] = {
        'frames': dict(result.counts),
        'points': saved.points,
        'lines': saved.lines,
        'length_m': round(saved.length_m, 2),
        'voxel_bytes': result.lane_map.nbytes,
        'milliseconds': result.recorder.summary(),
    }
    print(saved)
    if truth is not None:
        found = compare_result(result, truth, options.sight)
        figures['lane_map'] = found.as_dict()
        picture = pair(result.lane_map.points(), classes, truth, track=poses[:, :3, 3])
        write_image(options.output / 'lane_map.png', picture)
        print(
            f'median {found.median_error_m:.3f} m, p95 {found.p95_error_m:.3f} m, '
            f'coverage {found.coverage:.1%} of {found.true_length_m:.0f} m'
        )
    if options.json:
        write_json(options.json, figures)
    return 0


def compare_result(result: MapResult, truth: Truth, sight_m: float) -> Comparison:
    """Compare a bag's map with the truth within `sight_m` metres of its camera."""
    points = result.lane_map.points()
    xy = np.stack([points['x'], points['y']], axis=1).astype(np.float64)
    sight = Sight(result.track, result.horizontal_fov, sight_m)
    return compare(xy, truth, CompareOptions(sight=sight))


def read_truth(path: Path) -> Truth:
    """True markings of a GeoJSON file (LineString, Polygon; metres) or an OpenDRIVE map."""
    if path.suffix == '.xodr':
        return opendrive_truth(path)
    try:
        features = json.loads(path.read_text(encoding='utf-8'))['features']
        shapes = [feature['geometry'] for feature in features]
        lines = [np.array(s['coordinates'], float) for s in shapes if s['type'] == 'LineString']
        areas = [np.array(s['coordinates'][0], float) for s in shapes if s['type'] == 'Polygon']
    except OSError as error:
        raise InputError(f'{path}: cannot be read: {error.strerror}') from None
    except (ValueError, KeyError, TypeError, IndexError):
        raise InputError(f'{path}: expected GeoJSON with LineString and Polygon') from None
    return Truth(lines, areas)


def opendrive_truth(path: Path) -> Truth:
    """Markings of an OpenDRIVE map, in its own axes, which are ROS's."""
    from seg_node_sim.maps.markings import markings
    from seg_node_sim.maps.opendrive import parse

    try:
        text = path.read_text(encoding='utf-8')
    except OSError as error:
        raise InputError(f'{path}: cannot be read: {error.strerror}') from None
    found = markings(parse(text, path.stem))
    flip = np.array([1.0, -1.0])  # the simulator's y points right
    return Truth(
        [m.points * flip for m in found if m.width > 0],
        [m.points * flip for m in found if m.width == 0],
    )
