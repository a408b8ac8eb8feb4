"""A ring street with a car park inside: two aisles with bays across and bays along the street."""

from __future__ import annotations

import itertools
import math

from seg_node_sim.maps import paint
from seg_node_sim.maps.builder import (
    CURB,
    Arm,
    LaneSpec,
    Network,
    State,
    arc,
    dashed,
    line,
    solid,
    symmetric,
)
from seg_node_sim.maps.grid import paint_arm

HALF_X, HALF_Y, CORNER, SETBACK = 90.0, 55.0, 20.0, 14.0
AISLES = (-34.0, 0.0, 34.0)
BAY_DEPTH, BAY_WIDTH = 5.0, 2.6
STREET = symmetric(
    (LaneSpec('driving', 3.4, solid('white', 0.12)), LaneSpec('shoulder', 0.5, CURB),
     LaneSpec('sidewalk', 2.5)),
    dashed(3.0, 4.0, 'yellow', 0.12),
    40.0,
)  # fmt: skip
AISLE = symmetric(
    (LaneSpec('driving', 3.0), LaneSpec('parking', BAY_DEPTH, CURB)),
    dashed(1.0, 2.0, 'white', 0.1),
    15.0,
)


def build() -> str:
    """OpenDRIVE text."""
    network = Network('Parking')
    south: list[list[Arm]] = [[] for _ in AISLES]
    north: list[list[Arm]] = [[] for _ in AISLES]
    for k, x in enumerate(AISLES):
        start = State(x, -HALF_Y + SETBACK, math.pi / 2.0)
        length = 2.0 * (HALF_Y - SETBACK)
        aisle = network.road(start, [line(length)], AISLE, 'Aisle')
        for side in (1, -1):
            paint.bays(network, aisle, side, 6.0, length - 6.0, 3.0, BAY_DEPTH - 0.1, BAY_WIDTH)
        south[k].append(Arm(aisle, 'start'))
        north[k].append(Arm(aisle, 'end'))
        aisle.bare = (4.0, 4.0)
    for row, y, heading in ((south, -HALF_Y, 0.0), (north, HALF_Y, math.pi)):
        order = list(range(len(AISLES)))
        if heading != 0.0:
            order.reverse()
        for a, b in itertools.pairwise(order):
            length = abs(AISLES[b] - AISLES[a]) - 2.0 * SETBACK
            start = State(AISLES[a] + SETBACK * math.cos(heading), y, heading)
            road = network.road(start, [line(length)], STREET, 'Street')
            row[a].append(Arm(road, 'start'))
            row[b].append(Arm(road, 'end'))
    turn = arc(CORNER, 90.0)
    reach = HALF_X - AISLES[-1] - SETBACK - CORNER
    upright = 2.0 * (HALF_Y - CORNER)
    pieces = [line(reach), turn, line(upright), turn, line(reach)]
    east = network.road(State(AISLES[-1] + SETBACK, -HALF_Y, 0.0), pieces, STREET, 'Street')
    west = network.road(State(AISLES[0] - SETBACK, HALF_Y, math.pi), pieces, STREET, 'Street')
    south[-1].append(Arm(east, 'start'))
    north[-1].append(Arm(east, 'end'))
    north[0].append(Arm(west, 'start'))
    south[0].append(Arm(west, 'end'))
    for arms in south + north:
        plan = network.junction(arms)
        for arm in arms:
            if arm.road.profile is STREET and arm.road.length > 30.0:
                paint_arm(network, plan, arm, crosswalk=True)
            elif arm.road.profile is AISLE:
                paint.stop_line(network, arm, 1.0)
    return network.text()
