"""Parameters of what is made of a mask with depth or the ground: RGB-D sets, lane points, nav2."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from seg_node.camera.depth import DEPTH_CODINGS, DepthCoding
from seg_node.camera.ground import GroundPlane
from seg_node.errors import ConfigError
from seg_node.rgbd import MODES, Mode
from seg_node.ros.declared import parameter

PointSource = Literal['auto', 'depth', 'ground', 'off']
POINT_SOURCES = ('auto', 'depth', 'ground', 'off')


@dataclass(frozen=True)
class MappingSettings:
    """All of them at one time."""

    nav2: bool = parameter(
        False,
        "Names of nav2's semantic segmentation layer: mask, confidence, label_info and points "
        'on segmentation/*, in the namespace of the node.',
    )
    mode: Mode = parameter(
        'off', 'What ~/rgbd/* carries, see docs/rtabmap.md.', name='rtabmap.mode', choices=MODES
    )
    drop_classes: tuple[str, ...] = parameter(
        (),
        'Names of the classes whose depth is removed, with mode drop_classes.',
        name='rtabmap.drop_classes',
    )
    dilate_px: int = parameter(
        0,
        'RGB pixels by which the classes that the mode acts on are widened.',
        name='rtabmap.dilate_px',
        bounds=(0, 100),
    )
    depth_coding: DepthCoding = parameter('auto', 'Coding of depth/image.', choices=DEPTH_CODINGS)
    depth_far_m: float = parameter(
        1000.0,
        "Depth of so many metres or more is unknown, as a simulator's sky (ros-bridge: 1000 m); "
        '0: none is.',
        bounds=(0.0, 1e6),
    )
    sync_tolerance_ms: float = parameter(
        0.0,
        'How far the stamps of a set may be apart; 0: they are equal. Milliseconds.',
        bounds=(0.0, 1000.0),
    )
    sync_queue: int = parameter(
        10, 'Messages of each kind that wait for the rest of their set.', bounds=(1, 1000)
    )
    lane_classes: tuple[str, ...] = parameter(
        (), 'Names of the lane-marking classes; empty: those of usual names.'
    )
    source: PointSource = parameter(
        'auto',
        'Where ~/lane_points gets range from; auto: depth where an RTAB-Map mode is on, else the '
        'ground plane.',
        name='lane_points.source',
        choices=POINT_SOURCES,
    )
    max_range_m: float = parameter(
        20.0,
        'Lane points further away are left out. Metres along the optical axis.',
        name='lane_points.max_range_m',
        bounds=(1.0, 1000.0),
    )
    min_confidence: int = parameter(
        0,
        'Lane points of less confidence are left out.',
        name='lane_points.min_confidence',
        bounds=(0, 255),
    )
    camera_height_m: float = parameter(
        0.0,
        'Optical centre above the road, for the ground plane; 0: from TF. Metres.',
        bounds=(0.0, 100.0),
    )
    camera_pitch_deg: float = parameter(
        0.0, 'Pitch of the camera, nose down positive.', bounds=(-90.0, 90.0)
    )
    camera_roll_deg: float = parameter(
        0.0, 'Roll of the camera, right side down.', bounds=(-90.0, 90.0)
    )
    ground_frame: str = parameter(
        'base_footprint',
        'Frame whose z = 0 is the road, looked up in TF where camera_height_m is 0.',
    )

    @property
    def points_source(self) -> str:
        """`lane_points.source` with `auto` resolved: depth, ground or off."""
        if self.source == 'auto':
            return 'depth' if self.rgbd else 'ground'
        return self.source

    @property
    def sync_tolerance_ns(self) -> int:
        """`sync_tolerance_ms` in nanoseconds."""
        return round(self.sync_tolerance_ms * 1e6)

    @cached_property
    def ground(self) -> GroundPlane | None:
        """The road by parameters; None: from TF."""
        if self.camera_height_m <= 0.0:
            return None
        pitch, roll = math.radians(self.camera_pitch_deg), math.radians(self.camera_roll_deg)
        return GroundPlane(self.camera_height_m, pitch, roll)

    @property
    def rgbd(self) -> bool:
        """Whether ~/rgbd/* is published."""
        return self.mode != 'off'

    @property
    def takes_depth(self) -> bool:
        """Whether depth is subscribed."""
        return self.rgbd or self.points_source == 'depth'

    @property
    def active(self) -> bool:
        """Whether the user has asked for any of it; the default is lane points when read."""
        return self.rgbd or self.nav2 or self.points_source == 'depth' or self.ground is not None

    def check_output_size(self, output_size: str) -> None:
        """Raise `ConfigError` where sets are on and the mask is not of the picture's size."""
        if self.rgbd and output_size != 'source':
            raise ConfigError(
                f'rtabmap.mode {self.mode}: expected output_size source, as the mask has to lie '
                f'on the picture, got {output_size}'
            )
