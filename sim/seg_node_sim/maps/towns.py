"""The towns by name, and a town around any OpenDRIVE text."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from seg_node.errors import InputError
from seg_node_sim.maps import city, grid, highway, parking, roundabout
from seg_node_sim.maps.curves import evaluate, lane_edges
from seg_node_sim.maps.opendrive import OpenDrive, Road, parse
from seg_node_sim.maps.size import check_size
from seg_node_sim.scene import CarlaPose, Town

_BUILDERS: dict[str, tuple[Callable[[], str], str]] = {
    'Highway': (highway.build, 'highway'),
    'Grid': (grid.build, 'town'),
    'Parking': (parking.build, 'parking'),
    'Roundabout': (roundabout.build, 'town'),
}
# For training: in no list of towns to drive, since what drives there is judged elsewhere.
_MORE_BUILDERS: dict[str, tuple[Callable[[], str], str]] = {'City': (city.build, 'city')}
# Names of CARLA's towns, for programs that ask for them: a town of ours of the same kind.
_ALIASES: dict[str, tuple[str, int]] = {
    'Town01': ('Grid', 1),
    'Town02': ('Grid', 2),
    'Town03': ('Roundabout', 3),
    'Town04': ('Highway', 4),
    'Town05': ('Grid', 5),
}
SPAWN_EVERY = 22.0  # metres
SPAWN_HEIGHT = 0.2


def town_names() -> tuple[str, ...]:
    """Names that `load_town` knows, the first being the default world."""
    return tuple(_BUILDERS)


def town_aliases() -> tuple[str, ...]:
    """CARLA's names that `load_town` knows as well; they are in no list of towns to drive."""
    return tuple(_ALIASES)


def training_towns() -> tuple[str, ...]:
    """Names that `load_town` knows besides, of towns made for training."""
    return tuple(_MORE_BUILDERS)


def load_town(name: str, seed: int = 0) -> Town:
    """A town of ours. `name` may carry a path ('Carla/Maps/Grid'). InputError for other names.

    Town01 to Town05 (and Town01_Opt ...) are towns of the same kind under CARLA's name; they are
    not CARLA's own maps.  seed: changes what the map does not fix (asphalt, wear, houses, trees),
    never the lanes.
    """
    short = name.rsplit('/', 1)[-1]
    kind, own_seed = _ALIASES.get(short.removesuffix('_Opt'), (short, 0))
    known = _BUILDERS | _MORE_BUILDERS
    if kind not in known:
        raise InputError(f'town {name}: expected one of {", ".join(known)}')
    xodr = _text(kind)
    return Town(short, xodr, spawn_points(parse(xodr, short)), seed or own_seed, known[kind][1])


@cache
def _text(name: str) -> str:
    return (_BUILDERS | _MORE_BUILDERS)[name][0]()


def town_from_opendrive(name: str, xodr: str, seed: int = 0) -> Town:
    """A town around any OpenDRIVE text.

    Raises InputError when it is none, has no driving lane, or is too large to be drawn.
    """
    opendrive = parse(xodr, name)
    check_size(opendrive)
    points = spawn_points(opendrive)
    if not points:
        raise InputError(f'map {name}: expected at least one driving lane, got none')
    kinds = {lane.kind for r in opendrive.roads.values() for s in r.sections
             for lane in s.lanes.values()}  # fmt: skip
    style = 'town' if 'sidewalk' in kinds else 'highway'
    return Town(name, xodr, points, seed, style)


def spawn_points(opendrive: OpenDrive) -> tuple[CarlaPose, ...]:
    """A pose every SPAWN_EVERY metres on each driving lane outside junctions, along the lane."""
    poses: list[CarlaPose] = []
    for road in opendrive.roads.values():
        if road.junction < 0:
            poses += _on_road(road)
    if not poses:  # a map of nothing but junction roads
        for road in opendrive.roads.values():
            poses += _on_road(road)
    return tuple(poses)


def _on_road(road: Road) -> list[CarlaPose]:
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
                poses.append(CarlaPose(float(x), float(y), SPAWN_HEIGHT, 0.0, yaw, 0.0))
    return poses
