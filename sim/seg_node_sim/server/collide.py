"""Boxes that touch: the check of spawn places, and collisions between moving vehicles.

Separating axis test of oriented boxes in the plane (Ericson, Real-Time Collision Detection, 4.4),
with the height overlap beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from seg_node_sim.scene import CarlaPose
from seg_node_sim.server.actors import Actor, Vehicle
from seg_node_sim.server.wire import Vector

_RESTITUTION = 0.1


@dataclass(frozen=True)
class Box:
    """An upright oriented box. yaw in radians; half sizes in metres."""

    x: float
    y: float
    z: float
    yaw: float
    extent: Vector

    @property
    def reach(self) -> float:
        """Metres from its middle to a corner, seen from above."""
        return math.hypot(self.extent[0], self.extent[1])


@dataclass(frozen=True)
class Contact:
    """Two actors that touch; `normal` points from a to b, impulse in N s."""

    a: Actor
    b: Actor
    normal: tuple[float, float]
    impulse: float


def box_of(pose: CarlaPose, centre: Vector, extent: Vector) -> Box:
    """The box of an actor's bounds at a pose."""
    yaw = math.radians(pose.yaw)
    cos, sin = math.cos(yaw), math.sin(yaw)
    return Box(
        pose.x + cos * centre[0] - sin * centre[1],
        pose.y + sin * centre[0] + cos * centre[1],
        pose.z + centre[2],
        yaw,
        extent,
    )


def penetration(a: Box, b: Box) -> tuple[float, float, float] | None:
    """(depth m, normal x, normal y) from a to b where they overlap, else None."""
    dx, dy = b.x - a.x, b.y - a.y
    if math.hypot(dx, dy) > a.reach + b.reach:
        return None
    if abs(b.z - a.z) > a.extent[2] + b.extent[2]:
        return None
    best: tuple[float, float, float] | None = None
    for yaw in (a.yaw, a.yaw + math.pi / 2, b.yaw, b.yaw + math.pi / 2):
        nx, ny = math.cos(yaw), math.sin(yaw)
        distance = dx * nx + dy * ny
        depth = _radius(a, nx, ny) + _radius(b, nx, ny) - abs(distance)
        if depth <= 0.0:
            return None
        if best is None or depth < best[0]:
            side = 1.0 if distance >= 0.0 else -1.0
            best = (depth, side * nx, side * ny)
    return best


def blocked(box: Box, actors: Iterable[Actor]) -> Actor | None:
    """The first colliding actor that overlaps a box."""
    for actor in actors:
        if actor.collides and penetration(box, box_of(actor.pose, actor.box_centre, actor.extent)):
            return actor
    return None


def resolve(actors: Sequence[Actor]) -> list[Contact]:
    """Find and answer all contacts: bodies are pushed apart and lose their closing speed."""
    bodies = [a for a in actors if a.collides and a.parent is None]
    if len(bodies) < 2:
        return []
    x = np.array([a.pose.x for a in bodies])
    y = np.array([a.pose.y for a in bodies])
    reach = np.array([math.hypot(*a.extent[:2]) for a in bodies])
    moving = np.array([_moves(a) for a in bodies])
    near = np.hypot(x[:, None] - x, y[:, None] - y) < reach[:, None] + reach
    near &= moving[:, None] | moving
    contacts = []
    for i, j in np.argwhere(np.triu(near, 1)):
        contact = _answer(bodies[i], bodies[j])
        if contact is not None:
            contacts.append(contact)
    return contacts


def _radius(box: Box, nx: float, ny: float) -> float:
    cos, sin = math.cos(box.yaw), math.sin(box.yaw)
    along, across = abs(nx * cos + ny * sin), abs(ny * cos - nx * sin)
    return box.extent[0] * along + box.extent[1] * across


def _moves(actor: Actor) -> bool:
    return abs(actor.velocity[0]) + abs(actor.velocity[1]) > 1e-3


def _mass(actor: Actor) -> float:
    return actor.kind.mass if isinstance(actor, Vehicle) else 80.0


def _answer(a: Actor, b: Actor) -> Contact | None:
    hit = penetration(
        box_of(a.pose, a.box_centre, a.extent), box_of(b.pose, b.box_centre, b.extent)
    )
    if hit is None:
        return None
    depth, nx, ny = hit
    closing = (a.velocity[0] - b.velocity[0]) * nx + (a.velocity[1] - b.velocity[1]) * ny
    weights = [1.0 / _mass(v) if isinstance(v, Vehicle) and v.simulates else 0.0 for v in (a, b)]
    total = sum(weights)
    if total == 0.0:
        return Contact(a, b, (nx, ny), 0.0)
    impulse = max(0.0, closing) * (1.0 + _RESTITUTION) / total
    for actor, weight, sign in ((a, weights[0], -1.0), (b, weights[1], 1.0)):
        if weight == 0.0 or not isinstance(actor, Vehicle):
            continue
        vx = actor.velocity[0] + sign * impulse * weight * nx
        vy = actor.velocity[1] + sign * impulse * weight * ny
        yaw = math.radians(actor.pose.yaw)
        share = sign * depth * weight / total
        actor.stop(
            vx * math.cos(yaw) + vy * math.sin(yaw),
            actor.pose.x + share * nx,
            actor.pose.y + share * ny,
        )
    return Contact(a, b, (nx, ny), impulse)
