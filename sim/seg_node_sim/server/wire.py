"""CARLA's structs on the control channel: arrays of their fields, in CARLA's order.

`decode_*` checks shapes and numbers and raises InputError with one line: a number that is not
finite, or lies outside of any world, never gets past this file.  `encode_*` gives plain lists for
msgpack.  Lengths in metres, angles in degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

from seg_node.errors import InputError
from seg_node_sim.scene import CarlaPose, Weather

Vector = tuple[float, float, float]
U32 = (1 << 32) - 1
WORLD_EDGE = 1e6  # metres; float32 still tells 6 cm there
MAX_SPEED = 1e4  # m/s
MAX_ATTRIBUTES = 200
MAX_TEXT = 4096
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


def short(data: Any) -> str:
    """What a client sent, for a message: at most 80 characters, without walking through more."""
    if isinstance(data, (list, tuple, dict)):
        return f'{type(data).__name__} of {len(data)}'
    return repr(data[:80] if isinstance(data, (str, bytes)) else data)[:80]


def items(data: Any, count: int, what: str) -> Sequence[Any]:
    """A list of at least `count` fields; InputError for anything else."""
    if not isinstance(data, (list, tuple)) or len(data) < count:
        raise InputError(f'{what}: expected {count} fields, got {short(data)}')
    return data


def number(data: Any, what: str, low: float = -1e9, high: float = 1e9) -> float:
    """A finite float of low to high; InputError for anything else."""
    if isinstance(data, (int, float)) and low <= data <= high:
        return float(data)
    raise InputError(f'{what}: expected a number of {low:g} to {high:g}, got {short(data)}')


def whole(data: Any, what: str, low: int = 0, high: int = U32) -> int:
    """An int of low to high; InputError for anything else."""
    if isinstance(data, int) and low <= data <= high:
        return int(data)
    raise InputError(f'{what}: expected an integer of {low} to {high}, got {short(data)}')


def text(data: Any, what: str = 'text', most: int = MAX_TEXT) -> str:
    """A str of at most `most` characters; InputError for anything else."""
    if isinstance(data, str) and len(data) <= most:
        return data
    raise InputError(f'{what}: expected text of at most {most} characters, got {short(data)}')


def decode_vector(data: Any, what: str = 'vector', most: float = 1e9) -> Vector:
    """[x, y, z] -> floats of at most `most`, either way."""
    x, y, z = items(data, 3, what)[:3]
    return number(x, what, -most, most), number(y, what, -most, most), number(z, what, -most, most)


def decode_transform(data: Any) -> CarlaPose:
    """[location, rotation] -> pose; at most WORLD_EDGE from the origin."""
    location, rotation = items(data, 2, 'transform')[:2]
    return CarlaPose(
        *decode_vector(location, 'location', WORLD_EDGE),
        *decode_vector(rotation, 'rotation', 1e6),
    )


def decode_location(data: Any) -> Vector:
    """[x, y, z] -> metres, at most WORLD_EDGE from the origin."""
    return decode_vector(data, 'location', WORLD_EDGE)


def decode_velocity(data: Any) -> Vector:
    """[x, y, z] -> m/s, or deg/s, at most MAX_SPEED."""
    return decode_vector(data, 'velocity', MAX_SPEED)


def encode_transform(pose: CarlaPose) -> list[Any]:
    """[[x, y, z] metres, [pitch, yaw, roll] degrees]."""
    return [[pose.x, pose.y, pose.z], [pose.pitch, pose.yaw, pose.roll]]


def encode_box(centre: Vector, extent: Vector) -> list[Any]:
    """[centre, half sizes, rotation], metres, along the axes of its actor."""
    return [list(centre), list(extent), [0.0, 0.0, 0.0]]


def decode_settings(data: Any) -> EpisodeSettings:
    """Accepts the shorter structs of older clients: missing fields keep their defaults."""
    values = list(items(data, 3, 'episode settings'))[: len(fields(EpisodeSettings))]
    fixed = decode_optional(values[2])
    if fixed is not None:
        fixed = number(fixed, 'fixed_delta_seconds', 0.0, 10.0)
    checked: list[Any] = [bool(values[0]), bool(values[1]), fixed]
    for field_, data_ in zip(fields(EpisodeSettings)[3:], values[3:]):
        if field_.type == 'bool':
            checked.append(bool(data_))
        elif field_.type == 'int':
            checked.append(whole(data_, field_.name))
        else:
            checked.append(number(data_, field_.name))
    return EpisodeSettings(*checked)


def encode_settings(settings: EpisodeSettings) -> list[Any]:
    """The struct of `carla.WorldSettings`; `fixed_delta_seconds` as optional<double>."""
    values = list(astuple(settings))
    fixed = settings.fixed_delta_seconds
    values[2] = [True, float(fixed)] if fixed else [False]
    return values


def decode_vehicle_control(data: Any) -> VehicleControl:
    """Seven fields, see VehicleControl; throttle, brake and steer are brought into range."""
    throttle, steer, brake, hand, reverse, manual, gear = items(data, 7, 'vehicle control')[:7]
    return VehicleControl(
        _clamp(throttle, 'throttle', 0.0, 1.0),
        _clamp(steer, 'steer', -1.0, 1.0),
        _clamp(brake, 'brake', 0.0, 1.0),
        bool(hand),
        bool(reverse),
        bool(manual),
        whole(gear, 'gear', -1000, 1000),
    )


def decode_ackermann(data: Any) -> AckermannControl:
    """Five numbers, see AckermannControl."""
    what = 'ackermann control'
    return AckermannControl(*(number(v, what, -1e6, 1e6) for v in items(data, 5, what)[:5]))


def decode_walker_control(data: Any) -> WalkerControl:
    """Direction, speed and jump, see WalkerControl."""
    direction, speed, jump = items(data, 3, 'walker control')[:3]
    return WalkerControl(
        decode_vector(direction, 'direction', 1e6),
        number(speed, 'speed', -MAX_SPEED, MAX_SPEED),
        bool(jump),
    )


def decode_weather(data: Any) -> Weather:
    """14 numbers in the order of the wire; each is brought into the range that CARLA documents."""
    values = items(data, 0, 'weather')
    if len(values) != len(fields(Weather)):
        raise InputError(f'weather: expected {len(fields(Weather))} numbers, got {len(values)}')
    checked = {}
    for field_, data_ in zip(fields(Weather), values):
        low, high = _WEATHER_RANGES.get(field_.name, (0.0, 100.0))
        checked[field_.name] = _clamp(data_, field_.name, low, high)
    return Weather(**checked)


# Percentages but for these (carla.WeatherParameters).
_WEATHER_RANGES = {
    'sun_azimuth_angle': (-360.0, 360.0),
    'sun_altitude_angle': (-90.0, 90.0),
    'fog_distance': (0.0, 1e5),
    'fog_falloff': (0.0, 100.0),
    'mie_scattering_scale': (0.0, 5.0),
    'rayleigh_scattering_scale': (0.0, 2.0),
}


def decode_physics(data: Any) -> list[Any]:
    """The 17 fields of VehiclePhysicsControl, checked: it is handed to other clients as it is."""
    what = 'physics control'
    values = items(data, 17, what)
    if len(values) != 17:
        raise InputError(f'{what}: expected 17 fields, got {len(values)}')
    checked: list[Any] = []
    for place, field_ in enumerate(values):
        if place in (0, 14):
            checked.append([[number(v, what) for v in items(p, 2, what)[:2]]
                            for p in items(field_, 0, what)])  # fmt: skip
        elif place == 10:
            checked.append([[number(v, what) for v in items(g, 3, what)[:3]]
                            for g in items(field_, 0, what)])  # fmt: skip
        elif place == 13:
            checked.append(list(decode_vector(field_, what)))
        elif place == 15:
            checked.append([_decode_wheel(wheel) for wheel in items(field_, 0, what)])
        elif place in (6, 16):
            checked.append(bool(field_))
        else:
            checked.append(number(field_, what))
    return checked


def _decode_wheel(data: Any) -> list[Any]:
    what = 'wheel'
    *numbers, position = items(data, 10, what)[:10]
    return [*(number(v, what) for v in numbers), list(decode_vector(position, what))]


def decode_description(data: Any) -> ActorDescription:
    """[uid, id, attributes]; text stays text, whatever bytes it was."""
    uid, type_id, attributes = items(data, 3, 'actor description')[:3]
    checked = []
    for attribute in items(attributes, 0, 'attributes')[:MAX_ATTRIBUTES]:
        name, kind, content = items(attribute, 3, 'attribute')[:3]
        checked.append((text(name), whole(kind, 'attribute type', 0, 255), text(content)))
    return ActorDescription(whole(uid, 'blueprint'), text(type_id), tuple(checked))


def encode_description(description: ActorDescription) -> list[Any]:
    """The protocol's struct of an actor's description."""
    return [description.uid, description.id, [list(a) for a in description.attributes]]


def decode_optional(data: Any) -> Any:
    """optional<T>: [False] -> None, [True, value] -> value."""
    if isinstance(data, (list, tuple)):
        return data[1] if len(data) > 1 and data[0] else None
    return data


def _clamp(data: Any, what: str, low: float, high: float) -> float:
    return min(max(number(data, what, -1e30, 1e30), low), high)
