"""The blueprint library: definitions with typed attributes, and the check of what clients send.

The client itself checks nothing but attribute names, so every value is checked here and a wrong
one is answered with an error that names the attribute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from seg_node.errors import InputError
from seg_node_sim.server.catalogue import (
    PROPS,
    VEHICLES,
    WALKERS,
    PropType,
    VehicleType,
    WalkerType,
)
from seg_node_sim.server.wire import ActorDescription

Looks = VehicleType | WalkerType | PropType

_ANY = 1e9  # numbers have no other bound
# CARLA's cameras that are in the library, because programs look them up at their start, and that
# this renderer has no picture for.
NOT_RENDERED = (
    'sensor.camera.dvs',
    'sensor.camera.normals',
    'sensor.camera.optical_flow',
    'sensor.camera.cosmos_visualization',
)
_MAX_PIXELS = 16 << 20  # of one camera: 4096 x 4096


class AttributeType(IntEnum):
    """CARLA's types of attributes, as on the wire."""

    BOOL = 1
    INT = 2
    FLOAT = 3
    STRING = 4
    RGB = 5


@dataclass(frozen=True)
class Attribute:
    """One attribute of a blueprint; values are strings on the wire."""

    id: str
    type: AttributeType
    default: str
    recommended: tuple[str, ...] = ()
    modifiable: bool = True
    restricted: bool = False
    low: float = -_ANY
    high: float = _ANY

    def encode(self) -> list[Any]:
        """The protocol's struct of an attribute's definition."""
        return [
            self.id,
            int(self.type),
            self.default,
            list(self.recommended),
            self.modifiable,
            self.restricted,
        ]

    def problem_of(self, text: str) -> str | None:
        """Why a value cannot be used, or None."""
        if not self.modifiable and text != self.default:
            return f'cannot be changed from {self.default!r}'
        if self.restricted and self.recommended and text not in self.recommended:
            return f'expected one of {", ".join(self.recommended)}, got {text!r}'
        if self.type is AttributeType.BOOL:
            ok = text.lower() in ('true', 'false')
            return None if ok else f'expected true or false, got {text!r}'
        if self.type is AttributeType.RGB:
            return None if _is_rgb(text) else f'expected "r,g,b" of 0 to 255, got {text!r}'
        if self.type in (AttributeType.INT, AttributeType.FLOAT):
            return self._problem_of_number(text)
        return None

    def _problem_of_number(self, text: str) -> str | None:
        kind = 'int' if self.type is AttributeType.INT else 'float'
        try:
            number = int(text) if self.type is AttributeType.INT else float(text)
        except ValueError:
            return f'expected {kind}, got {text[:40]!r}'
        if math.isnan(number) or not self.low <= number <= self.high:
            return f'expected {kind} of {self.low:g} to {self.high:g}, got {text[:40]!r}'
        return None


@dataclass(frozen=True)
class Blueprint:
    """A definition in the library. `body` is what it looks like, None for sensors."""

    uid: int
    id: str
    attributes: tuple[Attribute, ...]
    body: Looks | None = None

    def encode(self) -> list[Any]:
        """The protocol's struct of a blueprint; tags are the parts of its id."""
        tags = self.id.replace('.', ',')
        return [self.uid, self.id, tags, [a.encode() for a in self.attributes]]


@dataclass(frozen=True)
class Attributes:
    """The checked attribute values of one actor."""

    values: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str, default: str = '') -> str:
        """The value as it came."""
        return self.values.get(name, default)

    def number(self, name: str, default: float = 0.0) -> float:
        """The value as a float; they were checked when the actor was made."""
        return float(self.values.get(name, default))

    def integer(self, name: str, default: int = 0) -> int:
        """The value as a whole number."""
        return int(self.values.get(name, default))

    def flag(self, name: str) -> bool:
        """Whether the value is `true`, in any case."""
        return self.values.get(name, 'false').lower() == 'true'

    def colour(self, name: str) -> tuple[int, int, int] | None:
        """(r, g, b), each 0..255; None where it has none."""
        text = self.values.get(name)
        if not text:
            return None
        r, g, b = (int(part) for part in text.split(','))
        return r, g, b


class BlueprintLibrary:
    """All blueprints by id."""

    def __init__(self) -> None:
        builders: list[tuple[str, list[Attribute], Looks | None]] = [
            *((v.id, _vehicle_attributes(v), v) for v in VEHICLES),
            *((w.id, _walker_attributes(w), w) for w in WALKERS),
            *((p.id, _prop_attributes(p), p) for p in PROPS),
            *((name, attributes, None) for name, attributes in _sensors().items()),
        ]
        self._by_id = {
            name: Blueprint(uid, name, tuple(attributes), body)
            for uid, (name, attributes, body) in enumerate(builders, start=1)
        }

    def __iter__(self) -> Any:
        return iter(self._by_id.values())

    def encode(self) -> list[Any]:
        """Every blueprint as the protocol has it."""
        return [blueprint.encode() for blueprint in self]

    def check(self, description: ActorDescription) -> tuple[Blueprint, Attributes]:
        """The blueprint of a description and its values, defaults filled in.

        Raises InputError for an unknown blueprint or attribute and for a value that does not
        fit; all wrong values are named.
        """
        if description.id in NOT_RENDERED:
            raise InputError(f'unable to spawn {description.id}: this server has no such sensor')
        blueprint = self._by_id.get(description.id)
        if blueprint is None:
            raise InputError(f'unable to spawn actor: unknown blueprint {description.id!r}')
        known = {a.id: a for a in blueprint.attributes}
        values = {a.id: a.default for a in blueprint.attributes}
        problems = []
        for name, _, text in description.attributes:
            attribute = known.get(name)
            problem = 'unknown attribute' if attribute is None else attribute.problem_of(text)
            if problem:
                problems.append(f'{name}: {problem}')
            values[name] = text
        if not problems:
            problems += _too_large(values)
        if problems:
            raise InputError(f'unable to spawn {blueprint.id}: {"; ".join(problems)}')
        return blueprint, Attributes(values)


def _too_large(values: Mapping[str, str]) -> list[str]:
    width, height = int(values.get('image_size_x', 0)), int(values.get('image_size_y', 0))
    if width * height <= _MAX_PIXELS:
        return []
    return [f'image_size: expected at most {_MAX_PIXELS} pixels, got {width} x {height}']


def _is_rgb(text: str) -> bool:
    parts = text.split(',')
    return len(parts) == 3 and all(
        p.isascii() and p.isdigit() and len(p) <= 3 and int(p) <= 255
        for p in map(str.strip, parts)
    )


def _bool(name: str, default: bool, modifiable: bool = True) -> Attribute:
    return Attribute(name, AttributeType.BOOL, str(default).lower(), modifiable=modifiable)


def _int(name: str, default: int, low: float = -_ANY, high: float = _ANY) -> Attribute:
    return Attribute(name, AttributeType.INT, str(default), (str(default),), low=low, high=high)


def _float(name: str, default: float, low: float = -_ANY, high: float = _ANY) -> Attribute:
    # As in CARLA the default is a recommended value too: programs read it from there.
    text = str(float(default))
    return Attribute(name, AttributeType.FLOAT, text, (text,), low=low, high=high)


def _fixed(name: str, kind: AttributeType, text: str) -> Attribute:
    return Attribute(name, kind, text, (text,), modifiable=False)


def _role(default: str, *roles: str) -> list[Attribute]:
    return [
        Attribute('role_name', AttributeType.STRING, default, roles or (default,)),
        Attribute('ros_name', AttributeType.STRING, ''),
    ]


def _vehicle_attributes(vehicle: VehicleType) -> list[Attribute]:
    attributes = _role('autopilot', 'autopilot', 'scenario', 'ego_vehicle', 'hero')
    if vehicle.colours:
        attributes.append(
            Attribute('color', AttributeType.RGB, vehicle.colours[0], vehicle.colours)
        )
    return [
        *attributes,
        _bool('sticky_control', True),
        _bool('terramechanics', False),
        _fixed('object_type', AttributeType.STRING, ''),
        _fixed('base_type', AttributeType.STRING, vehicle.base_type),
        _fixed('special_type', AttributeType.STRING, vehicle.special_type),
        _fixed('number_of_wheels', AttributeType.INT, str(vehicle.wheels)),
        _fixed('generation', AttributeType.INT, str(vehicle.generation)),
        _bool('has_dynamic_doors', False, modifiable=False),
        _bool('has_lights', vehicle.wheels == 4, modifiable=False),
    ]


def _walker_attributes(walker: WalkerType) -> list[Attribute]:
    return [
        *_role('pedestrian'),
        _fixed('gender', AttributeType.STRING, walker.gender),
        _fixed('age', AttributeType.STRING, walker.age),
        _fixed('generation', AttributeType.INT, '2'),
        Attribute('speed', AttributeType.FLOAT, walker.speeds[1], walker.speeds),
        _bool('is_invincible', True),
    ]


def _prop_attributes(prop: PropType) -> list[Attribute]:
    return [*_role('prop'), _fixed('size', AttributeType.STRING, prop.size)]


def _sensor(default_role: str, *attributes: Attribute) -> list[Attribute]:
    return [*_role(default_role), _float('sensor_tick', 0.0, low=0.0), *attributes]


def _camera(*attributes: Attribute) -> list[Attribute]:
    return _sensor(
        'front',
        _float('fov', 90.0, low=1.0, high=170.0),
        _int('image_size_x', 800, low=1, high=8192),
        _int('image_size_y', 600, low=1, high=8192),
        _float('lens_circle_falloff', 5.0, low=0.0),
        _float('lens_circle_multiplier', 0.0, low=0.0),
        _float('lens_k', -1.0),
        _float('lens_kcube', 0.0),
        _float('lens_x_size', 0.08),
        _float('lens_y_size', 0.08),
        *attributes,
    )


# Post-process attributes of CARLA's RGB camera that are accepted so that programs written for it
# run; this renderer uses exposure_compensation, motion_blur_intensity and noise_stddev of them.
_RGB_FLOATS = (
    ('gamma', 2.2),
    ('shutter_speed', 200.0),
    ('iso', 100.0),
    ('fstop', 1.4),
    ('min_fstop', 1.2),
    ('blade_count', 5.0),
    ('exposure_min_bright', 10.0),
    ('exposure_max_bright', 12.0),
    ('exposure_speed_up', 3.0),
    ('exposure_speed_down', 1.0),
    ('calibration_constant', 16.0),
    ('focal_distance', 1000.0),
    ('blur_amount', 1.0),
    ('blur_radius', 0.0),
    ('motion_blur_max_distortion', 0.35),
    ('motion_blur_min_object_screen_size', 0.1),
    ('slope', 0.88),
    ('toe', 0.55),
    ('shoulder', 0.26),
    ('black_clip', 0.0),
    ('white_clip', 0.04),
    ('temp', 6500.0),
    ('tint', 0.0),
    ('chromatic_aberration_intensity', 0.0),
    ('chromatic_aberration_offset', 0.0),
    ('bloom_intensity', 0.675),
    ('lens_flare_intensity', 0.1),
)


def _rgb_camera() -> list[Attribute]:
    return _camera(
        _bool('enable_postprocess_effects', True),
        Attribute('exposure_mode', AttributeType.STRING, 'histogram', ('histogram', 'manual')),
        _float('exposure_compensation', 0.0, low=-15.0, high=15.0),
        _float('motion_blur_intensity', 0.0, low=0.0, high=1.0),
        _float('noise_stddev', 0.0, low=0.0, high=128.0),
        _int('noise_seed', 0),
        *(_float(name, default) for name, default in _RGB_FLOATS),
    )


def _sensors() -> dict[str, list[Attribute]]:
    imu_noise = [
        _float(f'noise_{sensor}_{axis}', 0.0)
        for sensor in ('accel_stddev', 'gyro_bias', 'gyro_stddev')
        for axis in 'xyz'
    ]
    gnss_noise = [
        _float(f'noise_{axis}_{kind}', 0.0)
        for axis in ('alt', 'lat', 'lon')
        for kind in ('bias', 'stddev')
    ]
    lidar = [
        _int('channels', 32, low=1, high=256),
        _float('range', 10.0, low=0.0, high=1000.0),
        _int('points_per_second', 56000, low=1, high=10_000_000),
        _float('rotation_frequency', 10.0, low=0.0, high=1000.0),
        _float('upper_fov', 10.0, low=-90.0, high=90.0),
        _float('lower_fov', -30.0, low=-90.0, high=90.0),
        _float('horizontal_fov', 360.0, low=1.0, high=360.0),
    ]
    lidar_losses = [
        _float('atmosphere_attenuation_rate', 0.004, low=0.0),
        _float('dropoff_general_rate', 0.45, low=0.0, high=1.0),
        _float('dropoff_intensity_limit', 0.8, low=0.0, high=1.0),
        _float('dropoff_zero_intensity', 0.4, low=0.0, high=1.0),
        _float('noise_stddev', 0.0, low=0.0, high=1000.0),
        _int('noise_seed', 0),
    ]
    return {
        'controller.ai.walker': _role('controller'),
        'sensor.camera.rgb': _rgb_camera(),
        'sensor.camera.depth': _camera(),
        'sensor.camera.semantic_segmentation': _camera(),
        'sensor.camera.instance_segmentation': _camera(),
        **{name: _camera() for name in NOT_RENDERED},
        'sensor.other.collision': _sensor('collision'),
        'sensor.other.lane_invasion': _sensor('lane_invasion'),
        'sensor.other.gnss': _sensor('gnss', *gnss_noise, _int('noise_seed', 0)),
        'sensor.other.imu': _sensor('imu', *imu_noise, _int('noise_seed', 0)),
        'sensor.other.obstacle': _sensor(
            'obstacle',
            _float('distance', 5.0, low=0.0, high=1000.0),
            _float('hit_radius', 0.5, low=0.0, high=100.0),
            _bool('only_dynamics', False),
            _bool('debug_linetrace', False),
        ),
        'sensor.other.radar': _sensor(
            'radar',
            _float('horizontal_fov', 30.0, low=1.0, high=170.0),
            _float('vertical_fov', 30.0, low=1.0, high=110.0),
            _float('range', 100.0, low=0.0, high=1000.0),
            _int('points_per_second', 1500, low=1, high=1_000_000),
            _int('noise_seed', 0),
        ),
        'sensor.lidar.ray_cast': _sensor('lidar', *lidar, *lidar_losses),
        'sensor.lidar.ray_cast_semantic': _sensor('lidar', *lidar),
    }
