"""A lane map from a bag: camera (with depth, or over the ground plane) and odometry.

Masks come from the model, or with --labels from a topic of class ids. Writes lane_map.ply, .pcd,
.png, .json and .geojson; with --truth the map stands beside the true markings in lane_map.png and
its errors are printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from seg_node.cli.model_options import add_model_arguments, run_options
from seg_node.files import write_json
from seg_node.lane_map import MapOptions, VoxelGrid
from seg_node.lane_map.drive import DriveMap, map_drive
from seg_node.model.runner import default_cache_dir


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('bag', type=Path, help='bag (MCAP, sqlite3, ROS 1)')
    parser.add_argument('-o', '--output', type=Path, default=Path('lane_map'), metavar='DIR')
    parser.add_argument(
        '--image', '--topic', default='', metavar='TOPIC', help='default: by what the pictures are'
    )
    parser.add_argument(
        '--depth', default='', metavar='TOPIC', help="'none': ground plane; default: the camera's"
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
        '--max-voxels',
        type=int,
        default=MapOptions().max_voxels,
        help='in memory; what is further away goes to a temporary file in the cache folder',
    )
    parser.add_argument(
        '--truth',
        type=Path,
        metavar='FILE',
        help='true markings: GeoJSON in metres of the map, or OpenDRIVE (.xodr)',
    )
    parser.add_argument(
        '--cloud',
        type=Path,
        metavar='FILE.ply',
        help="another mapper's coloured cloud in the odometry's frame, to compare with (of "
        'rtabmap-export: --cloud --max_range 20 --decimation 1 --voxel 0.05)',
    )
    parser.add_argument(
        '--sight', type=float, default=10.0, metavar='M', help='range within which truth counts'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write figures')
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Map the bag, save, compare."""
    drive = DriveMap(
        bag=options.bag,
        output=options.output,
        image=options.image,
        depth=options.depth,
        odometry=options.odometry,
        labels=options.labels,
        class_map=options.class_map,
        mount=None if options.mount is None else tuple(options.mount),
        options=MapOptions(
            grid=VoxelGrid(options.voxel, max(VoxelGrid().height_m, options.voxel)),
            max_range_m=options.max_range,
            min_hits=options.min_hits,
            min_ratio=options.min_ratio,
            min_length_m=options.min_length,
            background_weight=options.background_weight,
            max_voxels=options.max_voxels,
            overflow=default_cache_dir() / 'lane_map',
        ),
        truth=options.truth,
        cloud=options.cloud,
        sight_m=options.sight,
        model=options.model,
        run=run_options(options),
    )
    figures = map_drive(drive)
    if options.json:
        write_json(options.json, figures)
    return 0
