"""A motorway loop: straights, wide bends with clothoids and an S, three lanes each way."""

from __future__ import annotations

import math

from seg_node_sim.maps.builder import (
    NONE,
    LaneSpec,
    Network,
    State,
    arc,
    dashed,
    line,
    solid,
    spiral,
    symmetric,
)

LANES = (
    LaneSpec('median', 1.5),
    LaneSpec('shoulder', 0.9, solid('yellow', 0.15)),
    LaneSpec('driving', 3.5, dashed(3.0, 9.0)),
    LaneSpec('driving', 3.5, dashed(3.0, 9.0)),
    LaneSpec('driving', 3.5, solid('white', 0.2)),
    LaneSpec('shoulder', 2.6),
)


def build() -> str:
    """OpenDRIVE text. Half of the loop turns by 180 degrees; done twice it closes."""
    network = Network('Highway')
    profile = symmetric(LANES, NONE, 100.0)
    radius, clothoid = 110.0, 50.0
    turned = math.degrees(clothoid / radius / 2.0)
    bend = [
        spiral(clothoid, 0.0, 1.0 / radius),
        arc(radius, 180.0 - 2.0 * turned),
        spiral(clothoid, 1.0 / radius, 0.0),
    ]
    wave = [arc(300.0, -14.0), arc(300.0, 28.0), arc(300.0, -14.0)]
    half = [[line(160.0)], wave, [line(90.0)], bend]
    state = State(-160.0, -120.0, 0.0)
    roads = []
    for pieces in half + half:
        road = network.road(state, pieces, profile, 'Motorway')
        roads.append(road)
        state = road.end()
    for first, second in zip(roads, roads[1:] + roads[:1]):
        network.join(first, second)
    return network.text()
