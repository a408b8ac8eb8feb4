"""How large a map may be: its ground is drawn from tiles, which must fit into memory."""

from __future__ import annotations

import numpy as np

from seg_node.errors import InputError
from seg_node_sim.maps.curves import evaluate, lane_edges
from seg_node_sim.maps.opendrive import OpenDrive, Road

MAX_SURFACE_KM2 = 1.0  # of roads with their surroundings: about 2 GB of ground
MAX_AREA_KM2 = 100.0  # of the box around all roads
_MARGIN = 10.0  # metres of surroundings on either side of a road
_PLACES = 9  # along each lane section and reference line


def check_size(opendrive: OpenDrive) -> None:
    """Raises InputError, naming the road or the size, when a map is too large to be drawn."""
    surface = 0.0
    lines = []
    for road in opendrive.roads.values():
        what = f'map {opendrive.name}: road {road.id}'
        if not road.geometry:
            raise InputError(f'{what}: expected a reference line, got none')
        # Before anything is evaluated: some curves are integrated piece by piece.
        longest = max(road.length, *(abs(g.length) for g in road.geometry))
        if longest * 2.0 * _MARGIN > MAX_SURFACE_KM2 * 1e6:
            raise InputError(
                f'{what}: expected at most {MAX_SURFACE_KM2 * 500.0 / _MARGIN:g} km, '
                f'got {longest / 1000.0:g} km'
            )
        surface += road.length * (_width(road) + 2.0 * _MARGIN)
        line = evaluate(road, np.linspace(0.0, max(road.length, 0.0), _PLACES))
        lines.append(np.stack([line.x, line.y], axis=1))
    if not surface <= MAX_SURFACE_KM2 * 1e6:
        raise InputError(
            f'map {opendrive.name}: expected at most {MAX_SURFACE_KM2:g} km2 of roads and their '
            f'surroundings, got {surface / 1e6:.3g} km2'
        )
    points = np.concatenate(lines)
    width, height = np.ptp(points, axis=0) / 1000.0
    if not max(width, 0.1) * max(height, 0.1) <= MAX_AREA_KM2:
        raise InputError(
            f'map {opendrive.name}: expected roads within {MAX_AREA_KM2:g} km2, '
            f'got {width:.3g} km by {height:.3g} km'
        )


def _width(road: Road) -> float:
    """Metres between the outermost lane borders, where the road is widest."""
    widest = 0.0
    for section in road.sections:
        places = np.linspace(section.s, max(section.s, section.end), _PLACES)
        edges = np.stack(list(lane_edges(road, section, places).values()))
        widest = max(widest, float(np.ptp(edges, axis=0).max()), float(np.abs(edges).max()))
    return widest
