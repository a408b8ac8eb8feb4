"""The triangles of a frame: still scenery, trees turned to the camera, moving bodies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from seg_node_sim.render.inputs import View
from seg_node_sim.render.mesh import Mesh
from seg_node_sim.render.object_shade import COLUMNS
from seg_node_sim.render.raster import SCREEN, place_billboards, place_mesh, project
from seg_node_sim.render.scenery import Scenery
from seg_node_sim.render.vehicles import BRAKE, HEAD, LEFT, REVERSE, RIGHT, TAIL, vehicle
from seg_node_sim.scene import Body

MAX_BOARDS = 3000
MAX_MOVING = 120_000  # triangles
BODY_RANGE = 300.0  # metres
SMALLEST = 0.7  # pixels: what is smaller is left out


class Stage:
    """Holds the triangle arrays; the tail of them is written anew for each frame."""

    def __init__(self, scenery: Scenery, parked: Sequence[Body]) -> None:
        self._boards = scenery.boards
        still = len(scenery.mesh)
        starts, counts = list(scenery.starts), list(scenery.counts)
        centres, radii = list(scenery.centres), list(scenery.radii)
        meshes = [(body, _mesh(body)) for body in parked]
        total = still + sum(len(mesh) for _, mesh in meshes)
        size = total + 2 * MAX_BOARDS + MAX_MOVING
        self.corners = np.zeros((size, 9), np.float32)
        self.table = np.zeros((size, COLUMNS), np.float32)
        self.codes = np.zeros((size, 3), np.uint16)
        self.corners[:still] = scenery.mesh.corners
        self.table[:still] = scenery.mesh.table
        self.codes[:still] = scenery.mesh.codes
        at = still
        for body, mesh in meshes:
            starts.append(at)
            counts.append(len(mesh))
            centres.append(np.array([body.pose.x, body.pose.y, body.extent[2]]))
            radii.append(math.hypot(*body.extent) * 1.1)
            at = self._place(body, mesh, at, 0.0, 0)
        self._free = at
        self._starts, self._counts = np.array(starts, np.int64), np.array(counts, np.int64)
        self._centres, self._radii = np.array(centres), np.array(radii)
        self.screen = np.zeros((size // 2 + 2000, SCREEN))
        self.owners = np.zeros(size // 2 + 2000, np.int32)

    def _place(self, body: Body, mesh: Mesh, at: int, time_s: float, lights: int) -> int:
        colour = (np.array(body.colour) / 255.0) ** 2.2
        return int(
            place_mesh(
                mesh.corners,
                mesh.table,
                mesh.codes,
                body.pose.matrix(),
                np.clip(colour, 0.004, 0.85),
                lamp_levels(lights, time_s),
                body.tag,
                body.actor_id & 0xFFFF,
                self.corners,
                self.table,
                self.codes,
                at,
            )
        )

    def set_up(
        self, view: View, height: int, width: int, bodies: Sequence[Body], time_s: float
    ) -> int:
        """Chooses and projects what the camera may see; returns the number of screen triangles."""
        at = self._free
        starts, counts = self._visible(view, width)
        chosen = self._visible_boards(view, width)
        if len(chosen):
            end = place_billboards(
                chosen, self._boards, view, self.corners, self.table, self.codes, at
            )
            starts, counts = np.append(starts, at), np.append(counts, end - at)
            at = end
        for body in bodies:
            reach = math.hypot(*body.extent)
            if not _in_view(view, width, body, reach):
                continue
            mesh = _mesh(body)
            if at + len(mesh) > len(self.corners):
                break
            end = self._place(body, mesh, at, time_s, body.lights)
            starts, counts = np.append(starts, at), np.append(counts, end - at)
            at = end
        return int(
            project(
                self.corners,
                self.table,
                self.codes,
                starts,
                counts,
                view,
                np.array([height, width], np.float64),
                self.screen,
                self.owners,
                np.empty((3, 3)),
                np.empty((4, 3)),
            )
        )

    def _visible(self, view: View, width: int) -> tuple[np.ndarray, np.ndarray]:
        keep, forward = _inside(view, width, self._centres, self._radii)
        order = keep[np.argsort(forward[keep])]
        return self._starts[order], self._counts[order]

    def _visible_boards(self, view: View, width: int) -> np.ndarray:
        if len(self._boards) == 0:
            return np.zeros(0, np.int64)
        centres = self._boards[:, :3].astype(np.float64)
        centres[:, 2] += 0.5 * self._boards[:, 4]
        radii = 0.7 * np.maximum(self._boards[:, 3], self._boards[:, 4]).astype(np.float64)
        keep, forward = _inside(view, width, centres, radii)
        near = np.hypot(centres[keep, 0] - view.x, centres[keep, 1] - view.y) > 0.6
        keep = keep[near]
        chosen: np.ndarray = keep[np.argsort(forward[keep])][:MAX_BOARDS]
        return chosen


def _inside(
    view: View, width: int, centres: np.ndarray, radii: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the spheres that may be seen, and all spheres' forward distances."""
    offset = centres - view.place()
    rotation = view.rotation()
    forward = offset @ rotation[:, 0]
    right = offset @ rotation[:, 1]
    wide = width / 2.0 / view.focal
    reach = radii * math.sqrt(1.0 + wide * wide)
    seen = (forward > -radii) & (np.abs(right) < np.maximum(forward, 0.0) * wide + reach)
    seen &= radii * view.focal > SMALLEST * np.maximum(forward, 1.0)
    return np.flatnonzero(seen), forward


def _in_view(view: View, width: int, body: Body, reach: float) -> bool:
    centre = np.array([[body.pose.x, body.pose.y, body.pose.z + body.extent[2]]])
    keep, forward = _inside(view, width, centre, np.array([reach]))
    return len(keep) > 0 and float(forward[0]) < BODY_RANGE


def _mesh(body: Body) -> Mesh:
    extent = tuple(round(float(v), 3) for v in body.extent)
    return vehicle(body.blueprint, body.tag, (extent[0], extent[1], extent[2]))


def lamp_levels(lights: int, time_s: float) -> np.ndarray:
    """float32 (10,): how bright each lamp looks, for carla.VehicleLightState bits."""
    blink = math.fmod(time_s * 1.5, 1.0) < 0.5
    levels = np.zeros(10, np.float32)
    if lights & 0x7:
        levels[HEAD] = 6.0 if lights & 0x6 else 0.8
        levels[TAIL] = 1.8
    if lights & 0x8:
        levels[BRAKE] = 4.5
        levels[TAIL] = max(levels[TAIL], 2.4)
    if lights & 0x10 and blink:
        levels[RIGHT] = 3.0
    if lights & 0x20 and blink:
        levels[LEFT] = 3.0
    if lights & 0x40:
        levels[REVERSE] = 2.0
    return levels
