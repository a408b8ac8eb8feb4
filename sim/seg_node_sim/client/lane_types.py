"""Lane-type labels (six classes) from the OpenDRIVE map, through `carla.Map`'s waypoints.

The map says which lane a point of the road belongs to and of which kind the lines beside it are;
the depth and semantic cameras say which point of the world each pixel shows, and what hides what.
Each pixel of road or paint is put back into the world and looked up, so occlusion, slopes and the
gaps of dashed lines are those of the picture, with a real server as with the embedded one.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from seg_node.classes import LANE_TYPES, UNLABELED
from seg_node_sim.client.carla_api import require_carla
from seg_node_sim.client.images import intrinsic_matrix
from seg_node_sim.client.rig import CameraSpec
from seg_node_sim.scene import CarlaPose

EGO, OTHER = LANE_TYPES.id_of('ego_lane'), LANE_TYPES.id_of('other_lane')
DOUBLE, DASHED = LANE_TYPES.id_of('double_line'), LANE_TYPES.id_of('dashed_line')
SINGLE = LANE_TYPES.id_of('single_line')

RANGE_M = 130.0
"""Farther road is unlabeled."""
_CELL_M = 0.08
_STEP_M = 1.0
_LINE_REACH_M = 0.40  # paint this near a lane edge belongs to its marking
_LEVEL_M = 2.0  # lanes this far above or below are of another level (bridges)
_ROAD_TAGS = {'new': (1, 24), 'old': (7, 6)}

_KINDS = {
    'Solid': SINGLE,
    'Broken': DASHED,
    'BottsDots': DASHED,
    'SolidSolid': DOUBLE,
    'SolidBroken': DOUBLE,
    'BrokenSolid': DOUBLE,
    'BrokenBroken': DOUBLE,
}
Key = tuple[int, int, int]


@dataclass(frozen=True)
class SampledLane:
    """One driving lane of one lane section, sampled along it; CARLA's axes, metres.

    left, right: float64 (N, 2), its edges. z: float64 (N,). left_kind, right_kind: uint8 (N - 1,),
    class id of the line between two samples, 0 = none.
    """

    left: np.ndarray
    right: np.ndarray
    z: np.ndarray
    left_kind: np.ndarray
    right_kind: np.ndarray

    def near(self, pose: CarlaPose) -> bool:
        """Whether some of it may lie within range and on the level of `pose`."""
        distance = np.hypot(self.left[:, 0] - pose.x, self.left[:, 1] - pose.y)
        level = np.abs(self.z - pose.z) < _LEVEL_M + 0.15 * distance
        return bool(((distance < RANGE_M + 10.0) & level).any())


class LaneTypes:
    """Labels frames of one town. `tags`: `new` numbering (since CARLA 0.9.14) or `old`."""

    def __init__(self, xodr: str, tags: str = 'new') -> None:
        carla = require_carla()
        self._map = carla.Map('map', xodr)
        self._location = carla.Location
        self._lanes = _sample(self._map)
        self._road, self._paint = _ROAD_TAGS[tags]

    def label(
        self,
        spec: CameraSpec,
        camera: CarlaPose,
        ego: CarlaPose,
        tags: np.ndarray,
        depth: np.ndarray,
    ) -> np.ndarray:
        """uint8 (H, W) ids of `LANE_TYPES`; 255 for road too far away to tell.

        camera, ego: world poses. tags: uint8 (H, W). depth: float32 (H, W), metres along the view.
        """
        road, paint = tags == self._road, tags == self._paint
        rows, columns = np.nonzero(road | paint)
        labels = np.zeros(tags.shape, np.uint8)
        if not len(rows):
            return labels
        areas, lines = self._rasters(camera, ego)
        x, y = _to_camera_plane(spec, camera, rows, columns, depth[rows, columns])
        inside, cell_y, cell_x = _cells(x, y, areas.shape)
        classes = np.full(len(rows), UNLABELED, np.uint8)
        classes[inside] = areas[cell_y, cell_x]
        line = np.zeros(len(rows), np.uint8)
        line[inside] = lines[cell_y, cell_x]
        on_line = paint[rows, columns] & (line > 0)
        classes[on_line] = line[on_line]
        labels[rows, columns] = classes
        return labels

    def _rasters(self, camera: CarlaPose, ego: CarlaPose) -> tuple[np.ndarray, np.ndarray]:
        """Lane areas and lines round the camera, seen from above: class ids a cell."""
        size = (2 * round(RANGE_M / 2 / _CELL_M), round(RANGE_M / _CELL_M))
        areas, lines = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        near = {key: lane for key, lane in self._lanes.items() if lane.near(ego)}
        ego_lanes = [near[key] for key in self._path(ego) if key in near]
        # The ego lane goes on top: connecting roads lie over each other in junctions.
        for lanes, value in ((near.values(), OTHER), (ego_lanes, EGO)):
            for lane in lanes:
                outline = np.vstack([lane.left, lane.right[::-1]])
                cv2.fillPoly(areas, [_to_cells(outline, camera)], value, shift=4)
        thickness = max(1, round(2 * _LINE_REACH_M / _CELL_M))
        for lane in near.values():
            for edge, kinds in ((lane.left, lane.left_kind), (lane.right, lane.right_kind)):
                for start, end in _runs(kinds):
                    points = _to_cells(edge[start : end + 1], camera)
                    cv2.polylines(lines, [points], False, int(kinds[start]), thickness, shift=4)
        return areas, lines

    def _path(self, ego: CarlaPose) -> list[Key]:
        """Keys of the lane under the vehicle and of those it leads to, the straightest first."""
        place = self._location(ego.x, ego.y, ego.z)
        here = self._map.get_waypoint(place, project_to_road=False)
        keys: list[Key] = []
        if here is None:
            return keys
        heading = here.transform.rotation.yaw
        # Somebody who drives against the lane's direction looks at where it comes from.
        forward = abs(_turn(ego.yaw, heading)) < 90.0
        behind = here.previous(5.0) if forward else here.next(5.0)
        keys += [_key(w) for w in behind[:1]] + [_key(here)]
        travelled = 0.0
        while travelled < RANGE_M:
            ahead = here.next(4.0) if forward else here.previous(4.0)
            if not ahead:
                break
            heading = here.transform.rotation.yaw
            here = min(ahead, key=lambda w: abs(_turn(w.transform.rotation.yaw, heading)))
            keys.append(_key(here))
            travelled += 4.0
        return list(dict.fromkeys(keys))


def _sample(town: Any) -> dict[Key, SampledLane]:
    groups: dict[Key, list[Any]] = defaultdict(list)
    for waypoint in town.generate_waypoints(_STEP_M):
        groups[_key(waypoint)].append(waypoint)
    lanes = {}
    for key, waypoints in groups.items():
        # Lanes of negative id run along the road, the others against it.
        waypoints.sort(key=lambda w: w.s, reverse=key[2] > 0)
        first, last = waypoints[0], waypoints[-1]
        lane = _lane([*_beyond(first, first.previous), *waypoints, *_beyond(last, last.next)])
        if lane is not None:
            lanes[key] = lane
    return lanes


def _beyond(end: Any, follow: Callable[[float], list[Any]]) -> list[Any]:
    """One more sample between the outermost one and the end of its lane, as far on as there is."""
    for quarters in (3, 2, 1):
        for waypoint in follow(quarters * _STEP_M / 4):
            if _key(waypoint) == _key(end):
                return [waypoint]
    return []


def _lane(waypoints: list[Any]) -> SampledLane | None:
    if len(waypoints) < 2:
        return None
    places = np.array([_xyz(w.transform.location) for w in waypoints])
    yaw = np.radians([w.transform.rotation.yaw for w in waypoints])
    half = np.array([w.lane_width / 2.0 for w in waypoints])[:, None]
    right = np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)
    # The samples end a little before the lane does.
    reach = np.stack([np.cos(yaw), np.sin(yaw)], axis=1) * (_STEP_M / 4)
    places[0, :2] -= reach[0]
    places[-1, :2] += reach[-1]
    return SampledLane(
        places[:, :2] - right * half,
        places[:, :2] + right * half,
        places[:, 2],
        np.array([_kind(w.left_lane_marking) for w in waypoints[:-1]], np.uint8),
        np.array([_kind(w.right_lane_marking) for w in waypoints[:-1]], np.uint8),
    )


def _kind(marking: Any) -> int:
    return _KINDS.get(str(marking.type), 0) if marking is not None else 0


def _runs(kinds: np.ndarray) -> list[tuple[int, int]]:
    """Stretches [start, end) of equal, painted kind."""
    cuts = [0, *(np.flatnonzero(np.diff(kinds)) + 1), len(kinds)]
    return [(a, b) for a, b in itertools.pairwise(cuts) if kinds[a]]


def _to_camera_plane(
    spec: CameraSpec, camera: CarlaPose, rows: np.ndarray, columns: np.ndarray, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels to metres ahead of and right of the camera, on the level plane under it."""
    k = intrinsic_matrix(spec.image_size_x, spec.image_size_y, spec.fov)
    # CARLA's camera: x along the view, y right, z up.
    right = (columns - k[0, 2]) / k[0, 0] * depth
    up = -(rows - k[1, 2]) / k[1, 1] * depth
    matrix = camera.matrix()[:3, :3]
    x = matrix[0, 0] * depth + matrix[0, 1] * right + matrix[0, 2] * up
    y = matrix[1, 0] * depth + matrix[1, 1] * right + matrix[1, 2] * up
    return _turned(x, y, camera)


def _turned(x: np.ndarray, y: np.ndarray, camera: CarlaPose) -> tuple[np.ndarray, np.ndarray]:
    cos, sin = math.cos(math.radians(camera.yaw)), math.sin(math.radians(camera.yaw))
    return x * cos + y * sin, y * cos - x * sin


def _to_cells(points: np.ndarray, camera: CarlaPose) -> np.ndarray:
    """World points (N, 2) as OpenCV's fixed-point cells (4 bits) of the rasters."""
    x, y = _turned(points[:, 0] - camera.x, points[:, 1] - camera.y, camera)
    cells = np.stack([x / _CELL_M, (y + RANGE_M / 2.0) / _CELL_M], axis=1) - 0.5
    return np.round(cells * 16.0).astype(np.int32)


def _cells(
    x: np.ndarray, y: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    column = np.floor(x / _CELL_M)
    row = np.floor((y + RANGE_M / 2.0) / _CELL_M)
    inside = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
    return inside, row[inside].astype(np.intp), column[inside].astype(np.intp)


def _turn(a: float, b: float) -> float:
    """Difference of two headings in degrees, -180..180."""
    return math.remainder(a - b, 360.0)


def _key(waypoint: Any) -> Key:
    return (waypoint.road_id, waypoint.section_id, waypoint.lane_id)


def _xyz(location: Any) -> tuple[float, float, float]:
    return (location.x, location.y, location.z)
