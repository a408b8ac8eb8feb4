"""CARLA's structs on the control channel: arrays of their fields, in CARLA's order.

`decode_*` checks shapes and raises InputError with one line; `encode_*` gives plain lists for
msgpack.  Lengths in metres, angles in degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

from seg_node.errors import InputError
from seg_node_sim.scene import Pose

Vector = tuple[float, float, float]
NO_BOX = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


@dataclass(frozen=True)
class EpisodeSettings:
    """World settings; None for fixed_delta_seconds means a variable time step."""

    synchronous_mode: bool = False
    no_rendering_mode: bool = False
    fixed_delta_seconds: float | None = None
    substepping: bool = True
    max_substep_delta_time: float = 0.01
    max_substeps: int = 10
    max_culling_distance: float = 0.0
    deterministic_ragdolls: bool = True
    tile_stream_distance: float = 3000.0
    actor_active_distance: float = 2000.0
    spectator_as_ego: bool = True


@dataclass(frozen=True)
class VehicleControl:
    """throttle and brake 0..1, steer -1..1 (right is positive)."""

    throttle: float = 0.0
    steer: float = 0.0
    brake: float = 0.0
    hand_brake: bool = False
    reverse: bool = False
    manual_gear_shift: bool = False
    gear: int = 0


@dataclass(frozen=True)
class AckermannControl:
    """steer in radians (right is positive), speed in m/s, acceleration in m/s^2."""

    steer: float = 0.0
    steer_speed: float = 0.0
    speed: float = 0.0
    acceleration: float = 0.0
    jerk: float = 0.0


@dataclass(frozen=True)
class WalkerControl:
    """Unit direction in world axes, speed in m/s."""

    direction: Vector = (1.0, 0.0, 0.0)
    speed: float = 0.0
    jump: bool = False


@dataclass(frozen=True)
class ActorDescription:
    """What a client asks for: a blueprint and all of its attributes, as strings."""

    uid: int
    id: str
    attributes: tuple[tuple[str, int, str], ...]  # (id, type, value)


def _items(data: Any, count: int, what: str) -> Sequence[Any]:
    if not isinstance(data, (list, tuple)) or len(data) < count:
        raise InputError(f'{what}: expected {count} fields, got {str(data)[:80]}')
    return data


def decode_vector(data: Any) -> Vector:
    """[x, y, z] -> floats; not finite numbers are refused."""
    x, y, z = (float(v) for v in _items(data, 3, 'vector')[:3])
    if not (abs(x) < 1e9 and abs(y) < 1e9 and abs(z) < 1e9):
        raise InputError(f'vector: expected finite numbers, got [{x}, {y}, {z}]')
    return x, y, z


def decode_transform(data: Any) -> Pose:
    location, rotation = _items(data, 2, 'transform')[:2]
    return Pose(*decode_vector(location), *decode_vector(rotation))


def encode_transform(pose: Pose) -> list[Any]:
    return [[pose.x, pose.y, pose.z], [pose.pitch, pose.yaw, pose.roll]]


def encode_box(centre: Vector, extent: Vector) -> list[Any]:
    return [list(centre), list(extent), [0.0, 0.0, 0.0]]


def decode_settings(data: Any) -> EpisodeSettings:
    """Accepts the shorter structs of older clients: missing fields keep their defaults."""
    values = list(_items(data, 3, 'episode settings'))[: len(fields(EpisodeSettings))]
    delta = values[2]
    if isinstance(delta, (list, tuple)):
        values[2] = float(delta[1]) if delta and delta[0] and len(delta) > 1 else None
    settings = EpisodeSettings(*values)
    fixed = settings.fixed_delta_seconds
    if fixed is not None and not 0.0 <= fixed <= 10.0:
        raise InputError(f'fixed_delta_seconds: expected 0 to 10 s, got {fixed:g}')
    return settings


def encode_settings(settings: EpisodeSettings) -> list[Any]:
    values = list(astuple(settings))
    fixed = settings.fixed_delta_seconds
    values[2] = [True, float(fixed)] if fixed else [False]
    return values


def decode_vehicle_control(data: Any) -> VehicleControl:
    throttle, steer, brake, hand, reverse, manual, gear = _items(data, 7, 'vehicle control')[:7]
    return VehicleControl(
        _clamp(throttle, 0.0, 1.0),
        _clamp(steer, -1.0, 1.0),
        _clamp(brake, 0.0, 1.0),
        bool(hand),
        bool(reverse),
        bool(manual),
        int(gear),
    )


def decode_ackermann(data: Any) -> AckermannControl:
    return AckermannControl(*(float(v) for v in _items(data, 5, 'ackermann control')[:5]))


def decode_walker_control(data: Any) -> WalkerControl:
    direction, speed, jump = _items(data, 3, 'walker control')[:3]
    return WalkerControl(decode_vector(direction), float(speed), bool(jump))


def decode_description(data: Any) -> ActorDescription:
    uid, type_id, attributes = _items(data, 3, 'actor description')[:3]
    return ActorDescription(
        int(uid), str(type_id), tuple((str(a[0]), int(a[1]), str(a[2])) for a in attributes)
    )


def encode_description(description: ActorDescription) -> list[Any]:
    return [description.uid, description.id, [list(a) for a in description.attributes]]


def decode_optional(data: Any) -> Any:
    """optional<T>: [False] -> None, [True, value] -> value."""
    if isinstance(data, (list, tuple)):
        return data[1] if len(data) > 1 and data[0] else None
    return data


def _clamp(number: Any, low: float, high: float) -> float:
    x = float(number)
    return min(max(x, low), high) if x == x else 0.0
