"""Everything painted on the roads of an OpenDRIVE map, in metres in CARLA's axes.

This is the ground truth for lane maps, for lane-type labels and for the tests of the renderer; the
renderer paints exactly these shapes. Lane marks come from <roadMark>, the rest (stop lines,
crosswalks, arrows, bays) from <object> outlines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seg_node_sim.maps.curves import evaluate, lane_edges, stations
from seg_node_sim.maps.opendrive import (
    LaneSection,
    MarkLine,
    OpenDrive,
    Road,
    RoadMark,
    RoadObject,
)

COLOURS = {'standard': 'white', '': 'white'}
BROKEN = (3.0, 6.0)  # painted and gap, metres, where the map names no lengths
DOUBLE_GAP = 0.10  # metres between the two lines of a double one, where the map names none
UNPAINTED = {'none', 'curb', 'grass', 'edge'}
PAINT_OBJECTS = {'crosswalk', 'roadmark', 'parkingspace'}


@dataclass(frozen=True)
class Marking:
    """One painted piece: a stripe along a lane edge, one dash of it, or an area.

    points: float64 (N, 2) metres. For a stripe (`width` > 0) its centre line, N >= 2; for an area
        (`width` == 0) its outline, N >= 3, not closed.
    kind: OpenDRIVE's mark type with '_' ('solid', 'broken', 'solid_solid', 'solid_broken', ...) of
        the whole mark this stripe belongs to, or 'stop_line', 'crosswalk', 'arrow', 'bay', 'area'.
    broken: whether this very stripe is dashed.
    colour: 'white', 'yellow', ... ('standard' is given as 'white').
    lane: id of the lane whose outer edge carries it (0: the centre line); section: its index.
    edge: float64 (N, 2), the lane edge itself (a stripe of a double line lies beside it).
    joined: whether the stripe's start and end go on in another marking without a gap.
    """

    points: np.ndarray
    kind: str
    colour: str
    width: float
    road: int
    junction: int
    section: int
    lane: int
    broken: bool = False
    edge: np.ndarray | None = None
    joined: tuple[bool, bool] = (False, False)


def markings(opendrive: OpenDrive) -> list[Marking]:
    """All markings of the map, roads in the order of the file."""
    stripes: list[Marking] = []
    for road in opendrive.roads.values():
        for index, section in enumerate(road.sections):
            for lane in section.lanes.values():
                marks = lane.marks
                for k, mark in enumerate(marks):
                    start = section.s + mark.s
                    end = section.s + marks[k + 1].s if k + 1 < len(marks) else section.end
                    end = min(end, section.end)
                    if mark.kind in UNPAINTED or end - start < 1e-3:
                        continue
                    stripes += _lane_mark(road, section, index, lane.id, mark, start, end)
        for item in road.objects:
            stripes += _object(road, item)
    return stripes


def _stripes(mark: RoadMark) -> list[tuple[MarkLine, bool]]:
    """The stripes of a mark and whether each is broken, from its lines or from its type."""
    if mark.lines:
        return [(line, line.space > 0.0 and line.length > 0.0) for line in mark.lines]
    width = mark.width if mark.width > 0.0 else 0.12
    words = mark.kind.split()
    known = [w for w in words if w in ('solid', 'broken')]
    if not known:
        known = ['broken'] if 'botts' in mark.kind else ['solid']
    shift = (width + DOUBLE_GAP) / 2.0 if len(known) == 2 else 0.0
    stripes = []
    for k, word in enumerate(known[:2]):
        # OpenDRIVE names double marks from the left (inner, for a right lane) to the right.
        t = shift if k == 0 else -shift
        length, space = BROKEN if word == 'broken' else (0.0, 0.0)
        if 'botts' in mark.kind:
            length, space = 0.1, 0.5
        stripes.append((MarkLine(length, space, t, 0.0, width, mark.colour), word == 'broken'))
    return stripes


def _lane_mark(
    road: Road,
    section: LaneSection,
    index: int,
    lane_id: int,
    mark: RoadMark,
    start: float,
    end: float,
) -> list[Marking]:
    stripes = []
    for stripe, broken in _stripes(mark):
        if broken:
            first = start + stripe.s
            count = int(np.ceil((end - first) / (stripe.length + stripe.space)))
            spans = []
            for k in range(max(0, count)):
                lo = first + k * (stripe.length + stripe.space)
                hi = min(lo + stripe.length, end)
                if hi - lo > 0.05:
                    spans.append((lo, hi, (False, False)))
        else:
            joined = (start <= 1e-6, end >= road.length - 1e-6)
            inner = (start > 1e-6 and start <= section.s + 1e-6, end >= section.end - 1e-6)
            spans = [(start, end, (joined[0] or inner[0], joined[1] or inner[1]))]
        for lo, hi, joins in spans:
            s = stations(road, lo, hi)
            line = evaluate(road, s)
            t = lane_edges(road, section, s)[lane_id]
            stripes.append(
                Marking(
                    line.offset(t + stripe.t),
                    mark.kind.replace(' ', '_'),
                    COLOURS.get(stripe.colour, stripe.colour),
                    stripe.width if stripe.width > 0.0 else 0.12,
                    road.id,
                    road.junction,
                    index,
                    lane_id,
                    broken,
                    line.offset(t),
                    joins,
                )
            )
    return stripes


def _object(road: Road, item: RoadObject) -> list[Marking]:
    if item.kind not in PAINT_OBJECTS or not (item.outline or item.length > 0.0):
        return []
    outline = outline_points(road, item)
    name = item.name.lower()
    common = (item.colour, 0.0, road.id, road.junction, 0, 0)
    if item.kind == 'crosswalk':
        return [Marking(bar, 'crosswalk', *common) for bar in crosswalk_bars(outline)]
    if item.kind == 'parkingspace':
        width = 0.10
        closed = np.vstack([outline, outline[:1]])
        sides = [closed[i : i + 2] for i in range(len(outline))]
        # the side towards the aisle (the first one) stays open
        return [
            Marking(side, 'bay', item.colour, width, road.id, road.junction, 0, 0)
            for side in sides[1:]
        ]
    kind = 'area'
    for word in ('stop_line', 'arrow', 'bay'):
        if word.replace('_', '') in name.replace('_', '').replace(' ', ''):
            kind = word
    return [Marking(outline, kind, *common)]


def outline_points(road: Road, item: RoadObject) -> np.ndarray:
    """float64 (N, 2): an object's outline in CARLA's axes (its box when it has no outline)."""
    base = evaluate(road, np.array([item.s]))
    origin = base.offset(item.t)[0]
    heading = float(base.heading[0]) - item.heading
    corners = item.outline
    if not corners:
        u, v = item.length / 2.0, item.width / 2.0
        corners = ((-u, -v), (-u, v), (u, v), (u, -v))
    c, n = np.cos(heading), np.sin(heading)
    uv = np.array(corners, dtype=float)
    turned = np.stack([c * uv[:, 0] + n * uv[:, 1], n * uv[:, 0] - c * uv[:, 1]], axis=1)
    outline: np.ndarray = origin + turned
    return outline


def crosswalk_bars(outline: np.ndarray, bar: float = 0.5, gap: float = 0.5) -> list[np.ndarray]:
    """The zebra's bars for a crosswalk outline: a convex quadrilateral, float64 (4, 2).

    A crosswalk is longer across the road than along it; the bars lie along the road, so they are
    cut across the longer side.
    """
    if len(outline) != 4:
        return [outline]
    a, b, c, d = outline
    if np.linalg.norm(b - a) + np.linalg.norm(c - d) < np.linalg.norm(d - a) + np.linalg.norm(
        c - b
    ):
        a, b, c, d = b, c, d, a
    length = 0.5 * (np.linalg.norm(b - a) + np.linalg.norm(c - d))
    count = max(1, int((length + gap) // (bar + gap)))
    margin = (length - (count * (bar + gap) - gap)) / 2.0
    bars = []
    for k in range(count):
        lo = (margin + k * (bar + gap)) / length
        hi = lo + bar / length
        bars.append(
            np.array([a + lo * (b - a), a + hi * (b - a), d + hi * (c - d), d + lo * (c - d)])
        )
    return bars


@dataclass(frozen=True)
class Strip:
    """A lane's surface: left, right: float64 (N, 2) borders in CARLA's axes, equal N."""

    left: np.ndarray
    right: np.ndarray
    kind: str
    road: int
    junction: int
    section: int
    lane: int

    def outline(self) -> np.ndarray:
        """float64 (2N, 2): the border polygon."""
        return np.vstack([self.left, self.right[::-1]])


def lane_strips(opendrive: OpenDrive) -> list[Strip]:
    """The surface of every lane with a width, for lane areas and for paving."""
    strips = []
    for road in opendrive.roads.values():
        for index, section in enumerate(road.sections):
            if section.end - section.s < 1e-3:
                continue
            s = stations(road, section.s, section.end)
            line = evaluate(road, s)
            edges = lane_edges(road, section, s)
            for lane_id, lane in section.lanes.items():
                if lane_id == 0 or lane_id not in edges:
                    continue
                inner = edges.get(lane_id - (1 if lane_id > 0 else -1), edges[0])
                outer = edges[lane_id]
                if np.abs(outer - inner).max() < 0.02:
                    continue
                left, right = (outer, inner) if lane_id > 0 else (inner, outer)
                strips.append(
                    Strip(
                        line.offset(left),
                        line.offset(right),
                        lane.kind,
                        road.id,
                        road.junction,
                        index,
                        lane_id,
                    )
                )
    return strips


@dataclass(frozen=True)
class LaneBoundary:
    """A lane edge that is marked, with the gaps of its dashes.

    points: float64 (N, 2) metres in CARLA's axes. kind: OpenDRIVE's mark type with '_'. key: road,
    section and lane.
    """

    points: np.ndarray
    kind: str
    key: tuple[int, int, int]


def lane_boundaries(opendrive: OpenDrive) -> list[LaneBoundary]:
    """The marked lane edges of a map, roads in the order of the file."""
    boundaries = []
    for road in opendrive.roads.values():
        for index, section in enumerate(road.sections):
            for lane in section.lanes.values():
                for k, mark in enumerate(lane.marks):
                    later = lane.marks[k + 1].s if k + 1 < len(lane.marks) else np.inf
                    start, end = section.s + mark.s, min(section.s + later, section.end)
                    if mark.kind in UNPAINTED or end - start < 0.5:
                        continue
                    s = stations(road, start, end)
                    edge = lane_edges(road, section, s)[lane.id]
                    boundaries.append(
                        LaneBoundary(
                            evaluate(road, s).offset(edge),
                            mark.kind.replace(' ', '_'),
                            (road.id, index, lane.id),
                        )
                    )
    return boundaries
