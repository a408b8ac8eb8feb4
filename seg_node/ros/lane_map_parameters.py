"""Parameters of the node `lane_map`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from seg_node.lane_map import MapOptions, VoxelGrid
from seg_node.model.runner import default_cache_dir
from seg_node.ros.declared import parameter
from seg_node.transforms import Pose

_DEFAULT = MapOptions()


def _fixed(default: Any, description: str, **options: Any) -> Any:
    """A parameter that is read once, when the node starts."""
    return parameter(default, description, read_only=True, **options)


@dataclass(frozen=True)
class LaneMapSettings:
    """All of them, as the node starts with them."""

    pose_source: Literal['odometry', 'tf'] = _fixed(
        'odometry', 'Where poses come from.', choices=('odometry', 'tf')
    )
    odom_frame: str = _fixed('odom', 'Frame of the map, with pose_source tf.')
    base_frame: str = _fixed('base_link', 'Frame that moves, with pose_source tf.')
    camera_mount: str = _fixed(
        'tf',
        'Where the place of the camera on the vehicle comes from.',
        choices=('tf', 'parameters'),
    )
    camera_x_m: float = _fixed(0.0, 'Camera, forward in the moving frame. Metres.')
    camera_y_m: float = _fixed(0.0, 'Camera, left in the moving frame. Metres.')
    camera_z_m: float = _fixed(0.0, 'Camera, up in the moving frame. Metres.')
    camera_roll_deg: float = _fixed(0.0, 'Roll of the camera body in the moving frame (REP-103).')
    camera_pitch_deg: float = _fixed(
        0.0, 'Pitch of the camera body in the moving frame (REP-103).'
    )
    camera_yaw_deg: float = _fixed(0.0, 'Yaw of the camera body in the moving frame (REP-103).')
    lane_ids: tuple[int, ...] = _fixed((2,), 'Class ids of lane markings in the mask.')
    road_ids: tuple[int, ...] = _fixed((1,), 'Class ids of the road in the mask.')
    use_mask: bool = _fixed(True, 'Take evidence against markings from mask and camera_info.')
    voxel_size_m: float = _fixed(
        _DEFAULT.grid.size_m, 'Width of a voxel. Metres.', bounds=(0.01, 1.0)
    )
    max_range_m: float = _fixed(
        _DEFAULT.max_range_m, 'Points further away are left out. Metres.', bounds=(1.0, 200.0)
    )
    min_hits: float = _fixed(
        _DEFAULT.min_hits, 'Sightings that a voxel needs to be on the map.', bounds=(0.0, 20.0)
    )
    min_ratio: float = _fixed(
        _DEFAULT.min_ratio,
        'Share of sightings as a marking that a voxel needs to be on the map.',
        bounds=(0.0, 1.0),
    )
    min_length_m: float = _fixed(
        _DEFAULT.min_length_m, 'Shorter pieces are not on the map. Metres.', bounds=(0.0, 100.0)
    )
    background_weight: float = _fixed(
        _DEFAULT.background_weight,
        'What a pixel of neither road nor marking counts against a marking.',
        bounds=(0.0, 1.0),
    )
    max_voxels: int = _fixed(
        _DEFAULT.max_voxels, 'Bound of memory, about 75 bytes each.', bounds=(1000, 50_000_000)
    )
    tiles_on_disk: bool = _fixed(
        True,
        'What memory does not hold goes to a temporary file in the cache folder and comes back '
        'when the vehicle does; false: the weakest voxels are forgotten.',
    )
    publish_period_s: float = _fixed(
        1.0, 'Seconds between clouds on ~/points, of what is in memory.', bounds=(0.1, 3600.0)
    )
    output_dir: str = _fixed('lane_map', 'Folder that ~/save writes into.')
    save_on_shutdown: bool = _fixed(False, 'Save when the node ends.')

    @cached_property
    def options(self) -> MapOptions:
        """What the map is made with."""
        size = self.voxel_size_m
        return MapOptions(
            grid=VoxelGrid(size, max(VoxelGrid().height_m, size)),
            max_range_m=self.max_range_m,
            background_weight=self.background_weight,
            min_hits=self.min_hits,
            min_ratio=self.min_ratio,
            min_length_m=self.min_length_m,
            max_voxels=self.max_voxels,
            overflow=default_cache_dir() / 'lane_map' if self.tiles_on_disk else None,
        )

    @cached_property
    def mount(self) -> Pose | None:
        """The camera body in the moving frame; None: from TF."""
        if self.camera_mount != 'parameters':
            return None
        roll, pitch, yaw = map(
            math.radians, (self.camera_roll_deg, self.camera_pitch_deg, self.camera_yaw_deg)
        )
        return Pose.of_euler(self.camera_x_m, self.camera_y_m, self.camera_z_m, roll, pitch, yaw)

    @property
    def folder(self) -> Path:
        """Where ~/save writes."""
        return Path(self.output_dir).expanduser()
