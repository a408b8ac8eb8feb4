"""Parameters of the node `lane_map`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seg_node.lane_map import MapOptions, Pose, VoxelGrid
from seg_node.ros.parameters import Declared
from seg_node.ros.rgbd_parameters import checked_values

_DEFAULT = MapOptions()

PARAMETERS = (
    Declared(
        'pose_source', 'odometry', 'Where poses come from.', ('odometry', 'tf'), read_only=True
    ),
    Declared('odom_frame', 'odom', 'Frame of the map, with pose_source tf.', read_only=True),
    Declared('base_frame', 'base_link', 'Frame that moves, with pose_source tf.', read_only=True),
    Declared(
        'camera_mount',
        'tf',
        'Where the place of the camera on the vehicle comes from.',
        ('tf', 'parameters'),
        read_only=True,
    ),
    *(
        Declared(f'camera_{axis}_m', 0.0, f'{what} in the moving frame. Metres.', read_only=True)
        for axis, what in (('x', 'Camera, forward'), ('y', 'Camera, left'), ('z', 'Camera, up'))
    ),
    *(
        Declared(
            f'camera_{angle}_deg',
            0.0,
            f'{angle.capitalize()} of the camera body in the moving frame (REP-103).',
            read_only=True,
        )
        for angle in ('roll', 'pitch', 'yaw')
    ),
    Declared('lane_ids', [2], 'Class ids of lane markings in the mask.', read_only=True),
    Declared('road_ids', [1], 'Class ids of the road in the mask.', read_only=True),
    Declared(
        'use_mask',
        True,
        'Take evidence against markings from mask and camera_info.',
        read_only=True,
    ),
    Declared(
        'voxel_size_m',
        _DEFAULT.grid.size_m,
        'Width of a voxel. Metres.',
        bounds=(0.01, 1.0),
        read_only=True,
    ),
    Declared(
        'max_range_m',
        _DEFAULT.max_range_m,
        'Points further away are left out. Metres.',
        bounds=(1.0, 200.0),
        read_only=True,
    ),
    Declared(
        'min_hits',
        _DEFAULT.min_hits,
        'Sightings that a voxel needs to be on the map.',
        bounds=(0.0, 20.0),
        read_only=True,
    ),
    Declared(
        'min_ratio',
        _DEFAULT.min_ratio,
        'Share of sightings as a marking that a voxel needs to be on the map.',
        bounds=(0.0, 1.0),
        read_only=True,
    ),
    Declared(
        'min_length_m',
        _DEFAULT.min_length_m,
        'Shorter pieces are not on the map. Metres.',
        bounds=(0.0, 100.0),
        read_only=True,
    ),
    Declared(
        'background_weight',
        _DEFAULT.background_weight,
        'What a pixel of neither road nor marking counts against a marking.',
        bounds=(0.0, 1.0),
        read_only=True,
    ),
    Declared(
        'max_voxels',
        _DEFAULT.max_voxels,
        'Bound of memory, about 75 bytes each.',
        bounds=(1000, 50_000_000),
        read_only=True,
    ),
    Declared(
        'publish_period_s',
        1.0,
        'Seconds between clouds on ~/points.',
        bounds=(0.1, 3600.0),
        read_only=True,
    ),
    Declared('output_dir', 'lane_map', 'Folder that ~/save writes into.', read_only=True),
    Declared('save_on_shutdown', False, 'Save when the node ends.', read_only=True),
)


@dataclass(frozen=True)
class LaneMapSettings:
    """The parameters, ready for use."""

    options: MapOptions
    pose_source: str
    odom_frame: str
    base_frame: str
    mount: Pose | None
    """The camera body in the moving frame; None: from TF."""
    lane_ids: tuple[int, ...]
    road_ids: tuple[int, ...]
    use_mask: bool
    publish_period_s: float
    output_dir: Path
    save_on_shutdown: bool


def read(node: Any) -> LaneMapSettings:
    """The parameters of `node`. Raises `ConfigError` that lists every impossible one."""
    given = checked_values(node, PARAMETERS)
    mount = None
    if given['camera_mount'] == 'parameters':
        x, y, z = (float(given[f'camera_{axis}_m']) for axis in 'xyz')
        roll, pitch, yaw = (
            math.radians(given[f'camera_{angle}_deg']) for angle in ('roll', 'pitch', 'yaw')
        )
        mount = Pose.of_euler(x, y, z, roll, pitch, yaw)
    size = float(given['voxel_size_m'])
    return LaneMapSettings(
        options=MapOptions(
            grid=VoxelGrid(size, max(VoxelGrid().height_m, size)),
            max_range_m=given['max_range_m'],
            background_weight=given['background_weight'],
            min_hits=given['min_hits'],
            min_ratio=given['min_ratio'],
            min_length_m=given['min_length_m'],
            max_voxels=given['max_voxels'],
        ),
        pose_source=given['pose_source'],
        odom_frame=given['odom_frame'],
        base_frame=given['base_frame'],
        mount=mount,
        lane_ids=tuple(given['lane_ids']),
        road_ids=tuple(given['road_ids']),
        use_mask=given['use_mask'],
        publish_period_s=given['publish_period_s'],
        output_dir=Path(given['output_dir']).expanduser(),
        save_on_shutdown=given['save_on_shutdown'],
    )
