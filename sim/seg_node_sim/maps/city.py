"""A city's streets: no line at the kerb, cars parked along it, pavements of the road's own stuff.

Only the kerb and the place tell road from pavement there; see `render.wear` for the looks.
"""

from __future__ import annotations

from seg_node_sim.maps import grid
from seg_node_sim.maps.builder import CURB, NONE, LaneSpec, dashed, solid, symmetric

AVENUE = symmetric(
    (
        LaneSpec('driving', 3.3, dashed(3.0, 4.5)),
        LaneSpec('driving', 3.2),
        LaneSpec('parking', 2.1, CURB),
        LaneSpec('sidewalk', 3.4),
    ),
    solid('white', 0.12),
    50.0,
)
PARKED = symmetric(
    (LaneSpec('driving', 3.1), LaneSpec('parking', 2.0, CURB), LaneSpec('sidewalk', 3.0)),
    dashed(2.0, 4.0, 'white', 0.12),
    30.0,
)
BARE = symmetric(
    (LaneSpec('driving', 3.0), LaneSpec('parking', 2.0, CURB), LaneSpec('sidewalk', 2.2)),
    NONE,
    30.0,
)
OPEN = symmetric(
    (LaneSpec('driving', 3.3, CURB), LaneSpec('sidewalk', 3.2)),
    dashed(2.0, 4.0, 'white', 0.12),
    40.0,
)
RING = symmetric(
    (LaneSpec('driving', 3.6, CURB), LaneSpec('sidewalk', 2.4)),
    dashed(3.0, 3.0, 'white', 0.12),
    50.0,
)
CITY = grid.GridPlan('City', AVENUE, {1: (PARKED, BARE), 2: (OPEN, PARKED)}, RING, painted=False)


def build() -> str:
    """OpenDRIVE text of the town."""
    return grid.build(CITY)
