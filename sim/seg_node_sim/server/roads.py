"""What moving actors need to know of the map: the height of the ground and the speed limit."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from seg_node_sim.maps.curves import evaluate
from seg_node_sim.maps.opendrive import parse

_DEFAULT_KMH = 50.0
_SPACING = 4.0  # metres between the points of a reference line
_TO_KMH = {'km/h': 1.0, 'kmh': 1.0, 'mph': 1.609344, 'm/s': 3.6}


class RoadNetwork:
    """Points on all reference lines with the speed limit of their road."""

    def __init__(self, xodr: str) -> None:
        limits = _limits(xodr)
        points, values = [], []
        for road in parse(xodr).roads.values():
            count = max(2, int(road.length / _SPACING) + 1)
            line = evaluate(road, np.linspace(0.0, road.length, count))
            points.append(np.stack([line.x, line.y], axis=1))
            values.append(np.full(count, limits.get(road.id, _DEFAULT_KMH)))
        self._tree = cKDTree(np.concatenate(points))
        self._limits = np.concatenate(values)

    def ground_z(self, x: float, y: float) -> float:
        """Height of the ground in metres.  The renderer's world is flat, so is this one."""
        return 0.0

    def speed_limits(self, places: Sequence[tuple[float, float]]) -> list[float]:
        """km/h on the nearest road of each place."""
        _, index = self._tree.query(np.asarray(places, dtype=float))
        return [float(v) for v in self._limits[index]]


def _limits(xodr: str) -> dict[int, float]:
    limits: dict[int, float] = {}
    for road in ET.fromstring(xodr).iter():
        if road.tag.rsplit('}', 1)[-1] != 'road':
            continue
        speeds = [e for e in road.iter() if e.tag.rsplit('}', 1)[-1] == 'speed' and e.get('max')]
        for speed in speeds[:1]:
            try:
                value = float(speed.get('max', '')) * _TO_KMH.get(speed.get('unit', 'm/s'), 1.0)
            except ValueError:
                continue  # 'no limit' and 'undefined' are allowed by OpenDRIVE
            limits[int(road.get('id', '-1'))] = value
    return limits
