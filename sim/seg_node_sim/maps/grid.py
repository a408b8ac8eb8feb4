"""A town grid: an avenue and streets of several kinds, crossings, T junctions, rounded corners."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seg_node_sim.maps import paint
from seg_node_sim.maps.builder import (
    CURB,
    Arm,
    JunctionPlan,
    LaneSpec,
    Network,
    Profile,
    RoadPlan,
    State,
    arc,
    dashed,
    double,
    line,
    solid,
    symmetric,
)

WALK = LaneSpec('sidewalk', 3.0)
AVENUE = symmetric(
    (
        LaneSpec('driving', 3.5, dashed(3.0, 4.5)),
        LaneSpec('driving', 3.5, solid('white', 0.12)),
        LaneSpec('shoulder', 0.6, CURB),
        WALK,
    ),
    double('solid solid', 'yellow'),
    60.0,
)
STREET_YELLOW = symmetric(
    (LaneSpec('driving', 3.4, solid('white', 0.12)), LaneSpec('shoulder', 0.6, CURB), WALK),
    double('solid broken', 'yellow'),
    40.0,
)
STREET_WHITE = symmetric(
    (LaneSpec('driving', 3.4, solid('white', 0.12)), LaneSpec('shoulder', 0.6, CURB), WALK),
    dashed(2.0, 4.0, 'white', 0.12),
    40.0,
)
STREET_PARKING = symmetric(
    (LaneSpec('driving', 3.3, solid('white', 0.1)), LaneSpec('parking', 2.3, CURB), WALK),
    solid('yellow', 0.12),
    30.0,
)
RING = symmetric(
    (LaneSpec('driving', 3.5, solid('white', 0.15)), LaneSpec('shoulder', 0.6, CURB), WALK),
    dashed(3.0, 3.0, 'yellow', 0.15),
    50.0,
)

XS = (-150.0, -50.0, 50.0, 150.0)
YS = (-90.0, 0.0, 90.0)
SETBACK = 15.0  # metres between a junction's middle and the ends of its arms
CORNER = 18.0  # radius of the reference line at the four corners of the town

Node = tuple[int, int]


@dataclass(frozen=True)
class GridPlan:
    """The cross-sections of a grid of streets.

    avenue: of the middle row. columns: of the lower and the upper street at each inner column of
    `XS`, by its index. ring: of the streets round the town. painted: whether every junction
    has stop lines, arrows and crosswalks, or only some.
    """

    name: str
    avenue: Profile
    columns: dict[int, tuple[Profile, Profile]]
    ring: Profile
    painted: bool = True


GRID = GridPlan(
    'Grid', AVENUE, {1: (STREET_WHITE, STREET_PARKING), 2: (STREET_YELLOW, STREET_WHITE)}, RING
)


def _state(node: Node, heading: float, ahead: float) -> State:
    x, y = XS[node[0]], YS[node[1]]
    return State(x + ahead * math.cos(heading), y + ahead * math.sin(heading), heading)


def build(plan: GridPlan = GRID) -> str:
    """OpenDRIVE text of the town."""
    network = Network(plan.name)
    arms: dict[Node, list[Arm]] = {}
    for i in range(len(XS)):
        for j in range(len(YS)):
            if not _is_corner((i, j)):
                arms[(i, j)] = []
    for first, second, profile in _inner_edges(plan):
        _street(network, arms, first, second, profile)
    _outer_edges(network, arms, plan.ring)
    for node, ends in arms.items():
        junction = network.junction(ends)
        for arm in ends if plan.painted or sum(node) % 2 else ():
            paint_arm(network, junction, arm, crosswalk=sum(node) % 3 != 0 or len(ends) == 4)
    return network.text()


def paint_arm(network: Network, plan: JunctionPlan, arm: Arm, crosswalk: bool) -> None:
    """Crosswalk, stop line and arrows at one arm of a junction."""
    road = arm.road
    first, last = road.bare
    road.bare = (paint.BARE, last) if arm.contact == 'start' else (first, paint.BARE)
    road.solid_before = 16.0
    if crosswalk:
        paint.crosswalk(network, arm)
    paint.stop_line(network, arm)
    turns: dict[int, set[str]] = {}
    for source, target, lane in plan.turns.values():
        if source.road is road and source.contact == arm.contact:
            change = math.remainder(
                target.outward().heading - source.outward().heading - math.pi, 2 * math.pi
            )
            word = 'straight' if abs(change) < 0.5 else 'left' if change > 0 else 'right'
            turns.setdefault(lane, set()).add(word)
    if len(arm.incoming()) > 1:
        paint.arrows(network, arm, turns, paint.STOP_AT + 6.0)
        if road.length > 60.0:
            paint.arrows(network, arm, turns, paint.STOP_AT + 20.0)


def _is_corner(node: Node) -> bool:
    return node[0] in (0, len(XS) - 1) and node[1] in (0, len(YS) - 1)


def _inner_edges(plan: GridPlan) -> list[tuple[Node, Node, Profile]]:
    edges: list[tuple[Node, Node, Profile]] = []
    for i in range(len(XS) - 1):  # the avenue runs along the middle row
        edges.append(((i, 1), (i + 1, 1), plan.avenue))
    for i, (lower, upper) in plan.columns.items():
        edges.append(((i, 0), (i, 1), lower))
        edges.append(((i, 1), (i, 2), upper))
    return edges


def _street(
    network: Network, arms: dict[Node, list[Arm]], first: Node, second: Node, profile: Profile
) -> RoadPlan:
    dx, dy = XS[second[0]] - XS[first[0]], YS[second[1]] - YS[first[1]]
    heading = math.atan2(dy, dx)
    length = math.hypot(dx, dy) - 2.0 * SETBACK
    road = network.road(_state(first, heading, SETBACK), [line(length)], profile, 'Street')
    arms[first].append(Arm(road, 'start'))
    arms[second].append(Arm(road, 'end'))
    return road


def _outer_edges(network: Network, arms: dict[Node, list[Arm]], ring: Profile) -> None:
    """The ring round the town: straight streets and four corners, counter-clockwise."""
    last_x, last_y = len(XS) - 1, len(YS) - 1
    walk = [(i, 0) for i in range(last_x)] + [(last_x, j) for j in range(last_y)]
    walk += [(i, last_y) for i in range(last_x, 0, -1)] + [(0, j) for j in range(last_y, 0, -1)]
    junctions = [k for k, node in enumerate(walk) if not _is_corner(node)]
    for a, b in zip(junctions, [*junctions[1:], junctions[0] + len(walk)]):
        nodes = [walk[k % len(walk)] for k in range(a, b + 1)]
        if len(nodes) == 2:
            _street(network, arms, nodes[0], nodes[1], ring)
            continue
        start, corner, end = nodes
        heading = math.atan2(YS[corner[1]] - YS[start[1]], XS[corner[0]] - XS[start[0]])
        legs = [
            math.hypot(XS[p[0]] - XS[q[0]], YS[p[1]] - YS[q[1]]) - SETBACK - CORNER
            for p, q in ((start, corner), (corner, end))
        ]
        road = network.road(
            _state(start, heading, SETBACK),
            [line(legs[0]), arc(CORNER, 90.0), line(legs[1])],
            ring,
            'Ring',
        )
        arms[start].append(Arm(road, 'start'))
        arms[end].append(Arm(road, 'end'))
