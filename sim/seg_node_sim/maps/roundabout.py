"""A roundabout with four arms; two wide loops join arms, so that traffic never ends."""

from __future__ import annotations

import math

from seg_node_sim.maps import paint
from seg_node_sim.maps.builder import (
    CURB,
    Arm,
    LaneSpec,
    Network,
    Profile,
    State,
    arc,
    dashed,
    double,
    line,
    solid,
    symmetric,
)

ISLAND = 24.0  # radius of the central island, metres
HALF = math.radians(28.0)  # of the angle that an arm's junction takes of the ring
ARM = 46.0  # where the arms begin, metres from the middle
LOOP = 75.0  # radius of the outer loops
WALK = LaneSpec('sidewalk', 2.5)
RING = Profile((LaneSpec('driving', 5.5, CURB), WALK), (), solid('white', 0.15), 30.0)
ROADS = (
    symmetric(
        (LaneSpec('driving', 3.6, solid('white', 0.15)), LaneSpec('shoulder', 0.5, CURB), WALK),
        double('solid solid', 'white'),
        60.0,
    ),
    symmetric(
        (LaneSpec('driving', 3.6, solid('white', 0.15)), LaneSpec('shoulder', 0.5, CURB), WALK),
        dashed(3.0, 6.0, 'yellow'),
        60.0,
    ),
)


def build() -> str:
    """OpenDRIVE text."""
    network = Network('Roundabout')
    ring = []
    span = math.pi / 2.0 - 2.0 * HALF
    for k in range(4):
        angle = k * math.pi / 2.0 + HALF
        start = State(ISLAND * math.cos(angle), ISLAND * math.sin(angle), angle + math.pi / 2.0)
        ring.append(network.road(start, [arc(ISLAND, math.degrees(span))], RING, 'Ring'))
    arms: dict[int, Arm] = {}
    for first, profile in ((1, ROADS[0]), (3, ROADS[1])):
        # from the arm at the angle `first` outwards, round a loop, and in at the arm before it
        angle = first * math.pi / 2.0
        start = State(ARM * math.cos(angle), ARM * math.sin(angle), angle)
        leg = line(LOOP - ARM)
        road = network.road(start, [leg, arc(LOOP, -270.0), leg], profile, 'Loop')
        arms[first] = Arm(road, 'start')
        arms[first - 1] = Arm(road, 'end')
    for k in range(4):
        network.junction([Arm(ring[k - 1], 'end'), Arm(ring[k], 'start'), arms[k]])
        paint.crosswalk(network, arms[k], 4.0)
        paint.yield_line(network, arms[k], 0.6)
        road = arms[k].road
        at_start, at_end = road.bare
        road.bare = (8.0, at_end) if arms[k].contact == 'start' else (at_start, 8.0)
    return network.text()
