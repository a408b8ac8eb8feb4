"""Reading OpenDRIVE (ASAM, 1.4 to 1.8) into frozen data.

Only what is seen on a road is kept. Numbers stay as they are in the file (OpenDRIVE axes: right-
handed, y left of x); `seg_node_sim.maps.curves` turns them into CARLA's axes.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from seg_node.errors import InputError

Poly = tuple[float, float, float, float, float]
"""(start s or offset, a, b, c, d): value = a + b ds + c ds^2 + d ds^3."""


@dataclass(frozen=True)
class PlanGeometry:
    """A piece of the reference line: kind line, arc, spiral, poly3 or paramPoly3."""

    s: float
    x: float
    y: float
    heading: float
    length: float
    kind: str
    values: tuple[float, ...] = ()
    normalized: bool = False


@dataclass(frozen=True)
class MarkLine:
    """One stripe of a road mark: painted `length`, gap `space`, lateral offset t to the left."""

    length: float
    space: float
    t: float
    s: float
    width: float
    colour: str


@dataclass(frozen=True)
class RoadMark:
    """A lane's outer mark from `s` (relative to the lane section) on; `lines` may be empty."""

    s: float
    kind: str
    colour: str
    width: float
    lines: tuple[MarkLine, ...] = ()


@dataclass(frozen=True)
class Lane:
    """A lane of one section. widths: polynomials; borders: absolute t, used when no width."""

    id: int
    kind: str
    widths: tuple[Poly, ...]
    borders: tuple[Poly, ...]
    marks: tuple[RoadMark, ...]


@dataclass(frozen=True)
class LaneSection:
    """Lanes between `s` and `end` of a road, by lane id (0 is the centre, no width)."""

    s: float
    end: float
    lanes: dict[int, Lane]


@dataclass(frozen=True)
class RoadObject:
    """An object with its outline in its own axes (u, v), metres, at road position (s, t)."""

    id: str
    kind: str
    name: str
    s: float
    t: float
    heading: float
    outline: tuple[tuple[float, float], ...]
    colour: str
    z: float = 0.0
    radius: float = 0.0
    length: float = 0.0
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True)
class Signal:
    """A sign or light at road position (s, t)."""

    id: str
    kind: str
    name: str
    s: float
    t: float
    heading: float
    orientation: str
    dynamic: bool


@dataclass(frozen=True)
class Road:
    """A road: reference line, lane offset, lane sections, and what stands or lies on it."""

    id: int
    junction: int
    length: float
    geometry: tuple[PlanGeometry, ...]
    lane_offset: tuple[Poly, ...]
    sections: tuple[LaneSection, ...]
    objects: tuple[RoadObject, ...]
    signals: tuple[Signal, ...]


@dataclass(frozen=True)
class OpenDrive:
    """All roads by id."""

    name: str
    roads: dict[int, Road]

    def junctions(self) -> dict[int, list[Road]]:
        """Connecting roads by junction id."""
        by_junction: dict[int, list[Road]] = {}
        for road in self.roads.values():
            if road.junction >= 0:
                by_junction.setdefault(road.junction, []).append(road)
        return by_junction


def parse(text: str, name: str = 'OpenDRIVE') -> OpenDrive:
    """Reads OpenDRIVE text. InputError names the map and the first thing that is wrong."""
    if '<!ENTITY' in text:  # a few lines of them can stand for gigabytes
        raise InputError(f'map {name}: expected OpenDRIVE without entity declarations')
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise InputError(f'map {name}: expected OpenDRIVE XML, got: {error}') from error
    if root.tag.rsplit('}', 1)[-1] != 'OpenDRIVE':
        raise InputError(f'map {name}: expected a root element OpenDRIVE, got {root.tag}')
    for element in root.iter():  # some writers put everything into a namespace
        element.tag = element.tag.rsplit('}', 1)[-1]
    try:
        roads = [_road(element) for element in root.findall('road')]
    except (KeyError, ValueError) as error:
        raise InputError(f'map {name}: bad or missing attribute in a road: {error}') from error
    if not roads:
        raise InputError(f'map {name}: expected at least one road, got none')
    return OpenDrive(name, {road.id: road for road in roads})


def _number(element: ET.Element, key: str, default: float | None = None) -> float:
    value = element.get(key)
    if value is None or value == '':
        if default is None:
            raise KeyError(f'{element.tag}/@{key}')
        return default
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f'{element.tag}/@{key}: expected a finite number, got {value}')
    return number


def _poly(element: ET.Element, start: str) -> Poly:
    return (
        _number(element, start, 0.0),
        _number(element, 'a', 0.0),
        _number(element, 'b', 0.0),
        _number(element, 'c', 0.0),
        _number(element, 'd', 0.0),
    )


def _polys(parent: ET.Element | None, tag: str, start: str) -> tuple[Poly, ...]:
    if parent is None:
        return ()
    return tuple(sorted(_poly(element, start) for element in parent.findall(tag)))


def _geometry(element: ET.Element) -> PlanGeometry:
    kind, normalized = 'line', False
    values: tuple[float, ...] = ()
    for shape in element:
        if shape.tag == 'arc':
            kind, values = 'arc', (_number(shape, 'curvature'),)
        elif shape.tag == 'spiral':
            kind, values = 'spiral', (_number(shape, 'curvStart'), _number(shape, 'curvEnd'))
        elif shape.tag == 'poly3':
            kind, values = 'poly3', tuple(_number(shape, k, 0.0) for k in 'abcd')
        elif shape.tag == 'paramPoly3':
            keys = ('aU', 'bU', 'cU', 'dU', 'aV', 'bV', 'cV', 'dV')
            kind, values = 'paramPoly3', tuple(_number(shape, k, 0.0) for k in keys)
            normalized = shape.get('pRange', 'normalized') != 'arcLength'
    return PlanGeometry(
        _number(element, 's'),
        _number(element, 'x'),
        _number(element, 'y'),
        _number(element, 'hdg'),
        _number(element, 'length'),
        kind,
        values,
        normalized,
    )


def _mark(element: ET.Element) -> RoadMark:
    colour = element.get('color', 'standard')
    width = _number(element, 'width', 0.12)
    lines = []
    for line in element.findall('type/line') + element.findall('explicit/line'):
        lines.append(
            MarkLine(
                _number(line, 'length', 0.0),
                _number(line, 'space', 0.0),
                _number(line, 'tOffset', 0.0),
                _number(line, 'sOffset', 0.0),
                _number(line, 'width', width),
                line.get('color', colour),
            )
        )
    return RoadMark(
        _number(element, 'sOffset', 0.0),
        (element.get('type') or 'none').strip().lower().replace('_', ' '),
        colour,
        width,
        tuple(lines),
    )


def _lane(element: ET.Element) -> Lane:
    marks = sorted((_mark(m) for m in element.findall('roadMark')), key=lambda m: m.s)
    return Lane(
        int(element.get('id', '0')),
        element.get('type', 'none'),
        _polys(element, 'width', 'sOffset'),
        _polys(element, 'border', 'sOffset'),
        tuple(marks),
    )


def _object(element: ET.Element) -> RoadObject:
    outline: list[tuple[float, float]] = []
    for corner in element.findall('.//cornerLocal'):
        outline.append((_number(corner, 'u'), _number(corner, 'v')))
    if len(outline) > 3 and outline[0] == outline[-1]:
        outline.pop()
    colour = 'white'
    for data in element.findall('userData'):
        if data.get('code') == 'color':
            colour = data.get('value', colour)
    return RoadObject(
        element.get('id', ''),
        (element.get('type') or '').lower(),
        element.get('name', ''),
        _number(element, 's', 0.0),
        _number(element, 't', 0.0),
        _number(element, 'hdg', 0.0),
        tuple(outline),
        colour,
        _number(element, 'zOffset', 0.0),
        _number(element, 'radius', 0.0),
        _number(element, 'length', 0.0),
        _number(element, 'width', 0.0),
        _number(element, 'height', 0.0),
    )


def _signal(element: ET.Element) -> Signal:
    return Signal(
        element.get('id', ''),
        element.get('type', ''),
        element.get('name', ''),
        _number(element, 's', 0.0),
        _number(element, 't', 0.0),
        _number(element, 'hOffset', 0.0),
        element.get('orientation', '+'),
        element.get('dynamic', 'no') == 'yes',
    )


def _road(element: ET.Element) -> Road:
    length = _number(element, 'length')
    lanes = element.find('lanes')
    plan = element.find('planView')
    if plan is None or lanes is None:
        raise ValueError(f'road {element.get("id")}: planView or lanes is missing')
    geometry = sorted((_geometry(g) for g in plan.findall('geometry')), key=lambda g: g.s)
    starts = [_number(s, 's') for s in lanes.findall('laneSection')]
    sections = []
    for i, section in enumerate(lanes.findall('laneSection')):
        end = starts[i + 1] if i + 1 < len(starts) else length
        section_lanes = [_lane(e) for side in section for e in side.findall('lane')]
        sections.append(LaneSection(starts[i], end, {lane.id: lane for lane in section_lanes}))
    return Road(
        int(element.get('id', '-1')),
        int(element.get('junction', '-1') or '-1'),
        length,
        tuple(geometry),
        _polys(lanes, 'laneOffset', 's'),
        tuple(sections),
        tuple(_object(e) for e in element.findall('objects/object')),
        tuple(_signal(e) for e in element.findall('signals/signal')),
    )
