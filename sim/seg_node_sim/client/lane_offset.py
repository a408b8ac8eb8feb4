"""How far a vehicle is from the middle of its lane, by the OpenDRIVE map."""

from __future__ import annotations

from typing import Any

from seg_node_sim.client.carla_api import require_carla
from seg_node_sim.scene import CarlaPose


class LaneOffset:
    """Measures against the driving lanes of one town."""

    def __init__(self, xodr: str) -> None:
        carla = require_carla()
        self._map: Any = carla.Map('map', xodr)
        self._location = carla.Location

    def of(self, pose: CarlaPose) -> float | None:
        """Metres from the nearest lane's middle; None inside junctions, where lanes cross."""
        place = self._location(pose.x, pose.y, pose.z)
        waypoint = self._map.get_waypoint(place)
        if waypoint is None or waypoint.is_junction:
            return None
        middle = waypoint.transform.location
        return float(((middle.x - pose.x) ** 2 + (middle.y - pose.y) ** 2) ** 0.5)
