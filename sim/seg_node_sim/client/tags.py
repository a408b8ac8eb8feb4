"""CARLA's semantic tags in both numberings, and the predecessor's coloured labels."""

from __future__ import annotations

import numpy as np

from seg_node.errors import ConfigError

Rgb = tuple[int, int, int]

# Name and colour of CARLA's CityScapesPalette; the position is the tag.
NEW: tuple[tuple[str, Rgb], ...] = (
    ('Unlabeled', (0, 0, 0)),
    ('Road', (128, 64, 128)),
    ('SideWalk', (244, 35, 232)),
    ('Building', (70, 70, 70)),
    ('Wall', (102, 102, 156)),
    ('Fence', (190, 153, 153)),
    ('Pole', (153, 153, 153)),
    ('TrafficLight', (250, 170, 30)),
    ('TrafficSign', (220, 220, 0)),
    ('Vegetation', (107, 142, 35)),
    ('Terrain', (152, 251, 152)),
    ('Sky', (70, 130, 180)),
    ('Pedestrian', (220, 20, 60)),
    ('Rider', (255, 0, 0)),
    ('Car', (0, 0, 142)),
    ('Truck', (0, 0, 70)),
    ('Bus', (0, 60, 100)),
    ('Train', (0, 80, 100)),
    ('Motorcycle', (0, 0, 230)),
    ('Bicycle', (119, 11, 32)),
    ('Static', (110, 190, 160)),
    ('Dynamic', (170, 120, 50)),
    ('Other', (55, 90, 80)),
    ('Water', (45, 60, 150)),
    ('RoadLine', (157, 234, 50)),
    ('Ground', (81, 0, 81)),
    ('Bridge', (150, 100, 100)),
    ('RailTrack', (230, 150, 140)),
    ('GuardRail', (180, 165, 180)),
)
"""Since CARLA 0.9.14."""

_OLD_NAMES = (
    'Unlabeled', 'Building', 'Fence', 'Other', 'Pedestrian', 'Pole', 'RoadLine', 'Road',
    'SideWalk', 'Vegetation', 'Vehicle', 'Wall', 'TrafficSign', 'Sky', 'Ground', 'Bridge',
    'RailTrack', 'GuardRail', 'TrafficLight', 'Static', 'Dynamic', 'Water', 'Terrain',
)  # fmt: skip
_VEHICLES = {'Car', 'Truck', 'Bus', 'Train', 'Motorcycle', 'Bicycle'}
_COLOURS = {**dict(NEW), 'Vehicle': (0, 0, 142)}
OLD: tuple[tuple[str, Rgb], ...] = tuple((name, _COLOURS[name]) for name in _OLD_NAMES)
"""Up to CARLA 0.9.13: 23 tags, RoadLine is 6."""


def numbering(server_version: str) -> str:
    """`new` or `old`: which tags a server of this version sends."""
    parts = server_version.split('-')[0].split('.')
    try:
        version = tuple(int(p) for p in parts[:3])
    except ValueError:
        return 'new'  # a development build: its version is a commit
    return 'new' if version >= (0, 9, 14) else 'old'


def class_map_name(tags: str) -> str:
    """The class map that turns these tags into the lane model's ids."""
    return 'carla_0_9_14' if tags == 'new' else 'carla_0_9_13'


class Palette:
    """Colours of a `classes.json` for the tags that a server sends.

    classes: 23 (up to 0.9.13, what the predecessor's captures have) or 28 (0.9.14 and later,
    counted without Unlabeled). Old tags cannot be split into the new ones.
    """

    def __init__(self, classes: int, tags: str) -> None:
        if classes == 28 and tags == 'old':
            raise ConfigError('--classes 28: this server has only the 23 classes of before 0.9.14')
        self.classes = OLD if classes == 23 else NEW
        sent = NEW if tags == 'new' else OLD
        self._bgr = np.zeros((256, 3), np.uint8)
        for tag, (name, _) in enumerate(sent):
            self._bgr[tag] = self._colour(name)[::-1]

    def _colour(self, name: str) -> Rgb:
        names = dict(self.classes)
        if name in names:
            return names[name]
        return names['Vehicle' if name in _VEHICLES else 'Pedestrian']

    def paint(self, tags: np.ndarray) -> np.ndarray:
        """uint8 (H, W) tags -> uint8 (H, W, 3) BGR."""
        return np.take(self._bgr, tags, axis=0)

    def to_json(self) -> list[dict[str, object]]:
        """The contents of `classes.json`: id, name and RGB colour of each class, by id."""
        return [
            {'id': i, 'name': name, 'color': list(colour)}
            for i, (name, colour) in enumerate(self.classes)
        ]
