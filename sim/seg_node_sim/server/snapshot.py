"""The world snapshot: one message a tick that tells every client where everything is."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable

from seg_node_sim.scene import CarlaPose
from seg_node_sim.server.actors import Actor, Vehicle, Walker

HEADER = struct.Struct('<QQd6f')  # type id, frame, timestamp, location, rotation: 48 bytes
_EPISODE = struct.Struct('<Qdf3iI')
_ACTOR = struct.Struct('<IB15f54s')
_VEHICLE = struct.Struct('<fffBBBifBBIB')
_WALKER = struct.Struct('<4fB')
_ACTIVE = 1
_GREEN = 2
MAP_CHANGED = 1


def header(type_id: int, frame: int, timestamp: float, pose: CarlaPose) -> bytes:
    """Header of every streamed message."""
    return HEADER.pack(
        type_id, frame, timestamp, pose.x, pose.y, pose.z, pose.pitch, pose.yaw, pose.roll
    )


def encode_snapshot(
    type_id: int,
    frame: int,
    timestamp: float,
    episode: int,
    delta: float,
    flags: int,
    actors: Iterable[Actor],
) -> bytes:
    """The whole message: header, episode, 119 bytes an actor."""
    parts = [
        header(type_id, frame, timestamp, CarlaPose()),
        _EPISODE.pack(episode, time.time(), delta, 0, 0, 0, flags),
    ]
    parts.extend(_encode_actor(actor) for actor in actors)
    return b''.join(parts)


def _encode_actor(actor: Actor) -> bytes:
    pose = actor.pose
    return _ACTOR.pack(
        actor.id,
        _ACTIVE,
        pose.x,
        pose.y,
        pose.z,
        pose.pitch,
        pose.yaw,
        pose.roll,
        *actor.velocity,
        *actor.angular_velocity,
        *actor.acceleration,
        _detail(actor),
    )


def _detail(actor: Actor) -> bytes:
    if isinstance(actor, Vehicle):
        control = actor.control
        return _VEHICLE.pack(
            control.throttle,
            control.steer,
            control.brake,
            control.hand_brake,
            control.reverse,
            control.manual_gear_shift,
            max(-1, min(control.gear, 6)) if control.manual_gear_shift else _gear(actor),
            actor.speed_limit,
            _GREEN,
            0,
            0,
            0,
        )
    if isinstance(actor, Walker):
        return _WALKER.pack(*actor.control.direction, actor.control.speed, actor.control.jump)
    return b''


def _gear(vehicle: Vehicle) -> int:
    if vehicle.control.reverse:
        return -1
    return 0 if abs(vehicle.speed) < 0.1 else min(6, 1 + int(abs(vehicle.speed) / 7.0))
