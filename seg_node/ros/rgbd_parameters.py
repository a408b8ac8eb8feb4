"""Parameters of the RGB-D path and of the lane points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seg_node.depth import DEPTH_CODINGS, DepthCoding
from seg_node.errors import ConfigError, problems_line
from seg_node.points import GroundPlane
from seg_node.rgbd import MODES, Mode
from seg_node.ros.parameters import Declared

POINT_SOURCES = ('auto', 'depth', 'ground', 'off')

PARAMETERS = (
    Declared(
        'nav2',
        False,
        "Names of nav2's semantic segmentation layer: mask, confidence, label_info and points "
        'on /segmentation/*.',
    ),
    Declared('rtabmap.mode', 'off', 'What ~/rgbd/* carries, see docs/rtabmap.md.', MODES),
    Declared(
        'rtabmap.drop_classes',
        [''],
        'Names of the classes whose depth is removed, with mode drop_classes.',
    ),
    Declared(
        'rtabmap.dilate_px',
        0,
        'RGB pixels by which the classes that the mode acts on are widened.',
        bounds=(0, 100),
    ),
    Declared('depth_coding', 'auto', 'Coding of depth/image.', DEPTH_CODINGS),
    Declared(
        'sync_tolerance_ms',
        0.0,
        'How far the stamps of a set may be apart; 0: they are equal. Milliseconds.',
        bounds=(0.0, 1000.0),
    ),
    Declared(
        'sync_queue',
        10,
        'Messages of each kind that wait for the rest of their set.',
        bounds=(1, 1000),
    ),
    Declared(
        'lane_classes', [''], 'Names of the lane-marking classes; empty: those of usual names.'
    ),
    Declared(
        'lane_points.source',
        'auto',
        'Where ~/lane_points gets range from; auto: depth where an RTAB-Map mode is on, else the '
        'ground plane.',
        POINT_SOURCES,
    ),
    Declared(
        'lane_points.max_range_m',
        20.0,
        'Lane points further away are left out. Metres along the optical axis.',
        bounds=(1.0, 1000.0),
    ),
    Declared(
        'lane_points.min_confidence',
        0,
        'Lane points of less confidence are left out.',
        bounds=(0, 255),
    ),
    Declared(
        'camera_height_m',
        0.0,
        'Optical centre above the road, for the ground plane; 0: from TF. Metres.',
        bounds=(0.0, 100.0),
    ),
    Declared(
        'camera_pitch_deg', 0.0, 'Pitch of the camera, nose down positive.', bounds=(-90.0, 90.0)
    ),
    Declared('camera_roll_deg', 0.0, 'Roll of the camera, right side down.', bounds=(-90.0, 90.0)),
    Declared(
        'ground_frame',
        'base_footprint',
        'Frame whose z = 0 is the road, looked up in TF where camera_height_m is 0.',
    ),
)


@dataclass(frozen=True)
class MappingSettings:
    """These parameters at one time; angles in radians."""

    nav2: bool
    mode: Mode
    drop_classes: tuple[str, ...]
    dilate_px: int
    depth_coding: DepthCoding
    sync_tolerance_ns: int
    sync_queue: int
    lane_classes: tuple[str, ...]
    points_source: str
    max_range_m: float
    min_confidence: int
    ground: GroundPlane | None
    ground_frame: str

    @property
    def rgbd(self) -> bool:
        """Whether ~/rgbd/* is published."""
        return self.mode != 'off'

    @property
    def takes_depth(self) -> bool:
        """Whether depth is subscribed."""
        return self.rgbd or self.points_source == 'depth'

    @property
    def place(self) -> str:
        """What stands before the topics that nav2 reads."""
        return '/segmentation' if self.nav2 else '~'

    @property
    def active(self) -> bool:
        """Whether the user has asked for any of it; the default is lane points when read."""
        return self.rgbd or self.nav2 or self.points_source == 'depth' or self.ground is not None


def checked_values(node: Any, items: Sequence[Declared]) -> dict[str, Any]:
    """Values of `items` on `node` by name; raises `ConfigError` that lists all problems."""
    found = {item.name: node.get_parameter(item.name).value for item in items}
    problems = [p for item in items if (p := item.problem(found[item.name]))]
    if problems:
        raise ConfigError(problems_line('parameters', problems))
    return found


def read(node: Any) -> MappingSettings:
    """The parameters of `node` as they are now. Raises `ConfigError`."""
    values = checked_values(node, PARAMETERS)
    mode, source = values['rtabmap.mode'], values['lane_points.source']
    if source == 'auto':
        source = 'depth' if mode != 'off' else 'ground'
    height = float(values['camera_height_m'])
    pitch, roll = (math.radians(values[f'camera_{name}_deg']) for name in ('pitch', 'roll'))
    return MappingSettings(
        nav2=bool(values['nav2']),
        mode=mode,
        drop_classes=_names(values['rtabmap.drop_classes']),
        dilate_px=int(values['rtabmap.dilate_px']),
        depth_coding=values['depth_coding'],
        sync_tolerance_ns=round(values['sync_tolerance_ms'] * 1e6),
        sync_queue=int(values['sync_queue']),
        lane_classes=_names(values['lane_classes']),
        points_source=source,
        max_range_m=float(values['lane_points.max_range_m']),
        min_confidence=int(values['lane_points.min_confidence']),
        ground=GroundPlane(height, pitch, roll) if height > 0.0 else None,
        ground_frame=values['ground_frame'],
    )


def check_output_size(settings: MappingSettings, output_size: str) -> None:
    """Raise `ConfigError` where sets are asked for and the mask is not of the picture's size."""
    if settings.rgbd and output_size != 'source':
        raise ConfigError(
            f'rtabmap.mode {settings.mode}: expected output_size source, as the mask has to lie '
            f'on the picture, got {output_size}'
        )


def _names(values: Any) -> tuple[str, ...]:
    """ROS cannot declare an empty list of strings; an empty string stands for none."""
    return tuple(name for name in values or () if name)
