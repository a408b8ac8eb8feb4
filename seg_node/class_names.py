"""What a class is by its name: one spelling, one table of the names that others give a class.

Models and label sets write one thing in many ways ("Road Marking", `road_marking`, `RoadLine`,
`lane_lines`). Whoever asks whether a class is road or paint asks here.
"""

from __future__ import annotations

import re
from typing import Literal

Meaning = Literal['road', 'marking']

# fmt: off
_ALIASES: dict[str, tuple[str, ...]] = {
    'road': (
        'roads', 'roadway', 'road_surface', 'drivable', 'drivable_area', 'drivable_surface',
        'driveable', 'driveable_area', 'driveable_surface', 'drivable_road',
    ),
    'ego_lane': ('main_lane', 'current_lane', 'own_lane', 'direct', 'direct_drivable'),
    'other_lane': (
        'alternate_lane', 'alternative_lane', 'adjacent_lane', 'alternative',
        'alternative_drivable',
    ),
    'lane_marking': (
        'lane', 'lanes', 'lane_markings', 'lane_mark', 'lane_marks', 'lane_line', 'lane_lines',
        'lane_marker', 'lane_markers', 'laneline', 'lanelines', 'lanemarking', 'lanemarkings',
        'lane_marking_general', 'road_line', 'road_lines', 'roadline', 'roadlines',
        'road_marking', 'road_markings', 'roadmarking', 'roadmarkings', 'road_mark', 'road_marks',
        'marking', 'markings', 'marking_general',
    ),
    'double_line': ('double_lines',),
    'dashed_line': ('dashed_lines', 'broken_line', 'broken_lines'),
    'single_line': ('single_lines', 'solid_line', 'solid_lines'),
}
# fmt: on
_CANONICAL = {alias: name for name, aliases in _ALIASES.items() for alias in (name, *aliases)}
_ROAD = frozenset({'road', 'ego_lane', 'other_lane'})
_NO_PAINT = frozenset({'power_line', 'power_lines', 'tree_line', 'sky_line'})
_HUMP = re.compile(r'(?<=[a-z0-9])(?=[A-Z])')
_GAP = re.compile(r'[^a-z0-9]+')


def normalised(name: str) -> str:
    """`name` in lower case, words joined by one underscore.

    `Road Marking`, `road-marking` and `RoadMarking` all become `road_marking`.
    """
    return _GAP.sub('_', _HUMP.sub('_', name).lower()).strip('_')


def canonical(name: str) -> str:
    """The name that this package uses for the class `name`; other names come back normalised."""
    plain = normalised(name)
    return _CANONICAL.get(plain, plain)


def meaning(name: str) -> Meaning | None:
    """Whether a class of this name is road, or paint on the road; None: neither.

    Any name that ends in "line" as a word of its own (`stop_line`, `white_lines`) is paint.
    """
    known = canonical(name)
    if known in _ROAD:
        return 'road'
    if known in _NO_PAINT:
        return None
    paint = known == 'lane_marking' or known.endswith(('_line', '_lines'))
    return 'marking' if paint else None


def same_class(one: str, other: str) -> bool:
    """Whether two names mean one class."""
    return canonical(one) == canonical(other)
