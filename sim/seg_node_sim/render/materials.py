"""Numbers for surfaces: ground materials, paint colours, semantic tags of each."""

from __future__ import annotations

import numpy as np

# ground materials, low four bits of the material byte
TERRAIN, ASPHALT, SIDEWALK, SHOULDER, BAY, GRAVEL, PLAZA, MEDIAN = range(8)
GROUND_TAGS = np.array([10, 1, 2, 1, 1, 10, 2, 10] + [0] * 8, np.uint8)

# paint colours, bits 4 and 5
PAINTS = {'white': 0, 'yellow': 1, 'red': 2, 'blue': 3}

NONE_TAG, ROAD, WALK, BUILDING, WALL, FENCE, POLE = 0, 1, 2, 3, 4, 5, 6
TRAFFIC_LIGHT, TRAFFIC_SIGN, VEGETATION, TERRAIN_TAG, SKY = 7, 8, 9, 10, 11
STATIC, DYNAMIC, ROAD_LINE, GROUND, GUARD_RAIL = 20, 21, 24, 25, 28

TEXEL = 0.05  # metres
TILE = 128  # texels
LEVELS = 5  # mip levels, each half as fine; level 0 holds distances, the others coverage
PAINT_SCALE = 800.0  # steps per metre of the distance to paint: +-0.16 m
RISE_SCALE = 100.0  # steps per metre of the distance to kerbs: +-1.27 m
KERB_HEIGHT = 0.14  # metres, where a look says nothing else
RAISED_STYLES = ('town', 'parking', 'city')  # towns with kerbs

# places in the numbers of a look (`wear.Look.numbers`)
LOOK_ASPHALT, LOOK_WEAR, LOOK_GRASS, LOOK_RAISED = 0, 3, 4, 7
LOOK_PAVEMENT, LOOK_KERB_HEIGHT, LOOK_KERB_TONE, LOOK_KERB_WORN, LOOK_KERB_TOP = 8, 9, 10, 11, 12


def material_of_lane(kind: str, style: str) -> int | None:
    """Ground material of an OpenDRIVE lane type; None leaves the terrain."""
    kind = kind.lower()
    if kind in ('sidewalk', 'curb', 'walking'):
        return SIDEWALK
    if kind == 'parking':
        return BAY
    if kind in ('shoulder', 'stop'):
        return SHOULDER
    if kind == 'median':
        return MEDIAN
    if kind in ('none', 'border', 'tram', 'rail', 'special1', 'special2', 'special3'):
        return GRAVEL if style == 'highway' and kind == 'border' else None
    return ASPHALT
