"""The towns by name, and a town around any OpenDRIVE text."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from seg_node.errors import InputError
from seg_node_sim.maps import grid, highway, parking, roundabout
from seg_node_sim.maps.curves import evaluate, lane_edges
from seg_node_sim.maps.opendrive import OpenDrive, Road, parse
from seg_node_sim.scene import Pose, Town

_BUILDERS: dict[str, tuple[Callable[[], str], str]] = {
    'Highway': (highway.build, 'highway'),
    'Grid': (grid.build, 'town'),
    'Parking': (parking.build, 'parking'),
    'Roundabout': (roundabout.build, 'town'),
}
SPAWN_EVERY = 22.0  # metres
SPAWN_HEIGHT = 0.2


def town_names() -> tuple[str, ...]:
    """Names that `load_town` knows, the first being the default world."""
    return tuple(_BUILDERS)


def load_town(name: str, seed: int = 0) -> Town:
    """A town of ours. `name` may carry a path ('Carla/Maps/Grid'). InputError for other names.

    seed: changes what the map does not fix (asphalt, wear, houses, trees), never the lanes.
    """
    short = name.rsplit('/', 1)[-1]
    if short not in _BUILDERS:
        raise InputError(f'town {name}: expected one of {", ".join(_BUILDERS)}')
    xodr = _text(short)
    return Town(short, xodr, spawn_points(parse(xodr, short)), seed, _BUILDERS[short][1])


@cache
def _text(name: str) -> str:
    return _BUILDERS[name][0]()


def town_from_opendrive(name: str, xodr: str, seed: int = 0) -> Town:
    """A town around any OpenDRIVE text. InputError when it is none or has no driving lane."""
    opendrive = parse(xodr, name)
    points = spawn_points(opendrive)
    if not points:
        raise InputError(f'map {name}: expected at least one driving lane, got none')
    kinds = {lane.kind for r in opendrive.roads.values() for s in r.sections
             for lane in s.lanes.values()}  # fmt: skip
    style = 'town' if 'sidewalk' in kinds else 'highway'
    return Town(name, xodr, points, seed, style)


def spawn_points(opendrive: OpenDrive) -> tuple[Pose, ...]:
    """A pose every SPAWN_EVERY metres on each driving lane outside junctions, along the lane."""
    poses: list[Pose] = []
    for road in opendrive.roads.values():
        if road.junction < 0:
            poses += _on_road(road)
    if not poses:  # a map of nothing but junction roads
        for road in opendrive.roads.values():
            poses += _on_road(road)
    return tuple(poses)


def _on_road(road: Road) -> list[Pose]:
    poses = []
    for section in road.sections:
        span = section.end - section.s
        if span < 8.0:
            continue
        margin = min(6.0, span / 3.0)
        count = max(1, int((span - 2.0 * margin) / SPAWN_EVERY) + 1)
        s = section.s + np.linspace(margin, span - margin, count)
        line = evaluate(road, s)
        edges = lane_edges(road, section, s)
        for lane_id, lane in section.lanes.items():
            if lane.kind != 'driving' or lane_id == 0:
                continue
            middle = 0.5 * (edges[lane_id] + edges[lane_id - (1 if lane_id > 0 else -1)])
            for (x, y), heading in zip(line.offset(middle), line.heading):
                yaw = heading if lane_id < 0 else heading + math.pi
                yaw = math.degrees(math.remainder(yaw, 2.0 * math.pi))
                poses.append(Pose(float(x), float(y), SPAWN_HEIGHT, 0.0, yaw, 0.0))
    return poses
