"""Sensors that are not cameras and draw nothing: GNSS, IMU, collision, obstacle.

Their payloads are msgpack, unlike the images.  Lane invasion is worked out by the client.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import msgpack
import numpy as np

from seg_node_sim.server.actors import Actor, Vehicle, Walker
from seg_node_sim.server.collide import Box, Contact, box_of

_EARTH_RADIUS = 6378137.0  # WGS 84 equatorial, metres
_GRAVITY = 9.81


def _packed(values: list[Any]) -> bytes:
    # attributes of actors may be any bytes
    packed: bytes = msgpack.packb(values, unicode_errors='surrogateescape')
    return packed


class GeoReference:
    """Origin of the map; Mercator projection as CARLA does it.

    north: sign of the world's y in the latitude.  CARLA has north at -y, but its 0.9.16 (server
    and client alike) turns +y into growing latitude (carla-simulator/carla pull request 9552).
    """

    def __init__(self, xodr: str, north: float) -> None:
        self._latitude = _parameter(xodr, 'lat_0')
        self._longitude = _parameter(xodr, 'lon_0')
        self._north = north

    def locate(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """World x, y, z (m, CARLA axes) -> latitude, longitude (deg), altitude (m)."""
        scale = math.cos(math.radians(self._latitude))
        mx = scale * math.radians(self._longitude) * _EARTH_RADIUS + x
        my = (
            scale * _EARTH_RADIUS * math.log(math.tan(math.radians(90.0 + self._latitude) / 2.0))
            + self._north * y
        )
        longitude = math.degrees(mx / (_EARTH_RADIUS * scale))
        latitude = 2.0 * math.degrees(math.atan(math.exp(my / (_EARTH_RADIUS * scale)))) - 90.0
        return latitude, longitude, z


def _parameter(xodr: str, name: str) -> float:
    match = re.search(rf'\+{name}=([-+0-9.eE]+)', xodr)
    return float(match.group(1)) if match else 0.0


def noise_source(sensor: Actor, seed: int) -> np.random.Generator:
    """The sensor's own random numbers: repeatable by the server's seed and its noise_seed."""
    own = sensor.attributes.integer('noise_seed') & 0xFFFFFFFF
    return np.random.default_rng([seed, own, sensor.id])


def gnss(sensor: Actor, reference: GeoReference, noise: np.random.Generator) -> bytes:
    """[latitude, longitude, altitude] with bias and noise."""
    true = reference.locate(*sensor.pose.location)
    values = [
        value
        + sensor.attributes.number(f'noise_{axis}_bias')
        + sensor.attributes.number(f'noise_{axis}_stddev') * noise.standard_normal()
        for value, axis in zip(true, ('lat', 'lon', 'alt'))
    ]
    return _packed(values)


def imu(sensor: Actor, noise: np.random.Generator) -> bytes:
    """[acceleration m/s^2, turn rate rad/s, compass rad]: sensor axes, gravity included.

    The compass is 0 towards north (-y) and grows clockwise.
    """
    rotation = sensor.pose.matrix()[:3, :3]
    felt = np.add(sensor.acceleration, (0.0, 0.0, _GRAVITY))
    acceleration = rotation.T @ felt
    turn = rotation.T @ np.radians(sensor.angular_velocity)
    for i, axis in enumerate('xyz'):
        number = sensor.attributes.number
        acceleration[i] += number(f'noise_accel_stddev_{axis}') * noise.standard_normal()
        turn[i] += number(f'noise_gyro_bias_{axis}')
        turn[i] += number(f'noise_gyro_stddev_{axis}') * noise.standard_normal()
    forward = rotation[:, 0]
    compass = math.atan2(forward[0], -forward[1]) % (2.0 * math.pi)
    return _packed([acceleration.tolist(), turn.tolist(), compass])


def collision(contact: Contact, owner: Actor) -> bytes:
    """[own actor, other actor, impulse N s] as felt by `owner`."""
    other, sign = (contact.b, -1.0) if contact.a is owner else (contact.a, 1.0)
    impulse = [sign * contact.impulse * n for n in contact.normal]
    return _packed([owner.encode(), other.encode(), [*impulse, 0.0]])


def obstacle(sensor: Actor, actors: Iterable[Actor]) -> bytes | None:
    """[own actor, other actor, distance m] of the nearest actor ahead, None when there is none.

    A ball of `hit_radius` moves `distance` metres forward; what the sensor is attached to is left
    out.  Actors only: houses and poles are none.
    """
    reach, radius = sensor.attributes.number('distance'), sensor.attributes.number('hit_radius')
    moving_only = sensor.attributes.flag('only_dynamics')
    forward = sensor.pose.matrix()[:3, 0]
    nearest: tuple[float, Actor] | None = None
    for actor in actors:
        if not actor.collides or actor is sensor.parent:
            continue
        if moving_only and not isinstance(actor, (Vehicle, Walker)):
            continue
        box = box_of(actor.pose, actor.box_centre, actor.extent)
        distance = _swept(sensor.pose.location, forward, box, radius)
        if distance <= reach and (nearest is None or distance < nearest[0]):
            nearest = (distance, actor)
    if nearest is None:
        return None
    owner = sensor.parent or sensor
    return _packed([owner.encode(), nearest[1].encode(), nearest[0]])


def _swept(start: tuple[float, float, float], way: np.ndarray, box: Box, radius: float) -> float:
    """Metres until a ball touches a box (slabs, with corners as large as the ball), or inf."""
    cos, sin = math.cos(box.yaw), math.sin(box.yaw)
    dx, dy, dz = start[0] - box.x, start[1] - box.y, start[2] - box.z
    local = (cos * dx + sin * dy, cos * dy - sin * dx, dz)
    course = (cos * way[0] + sin * way[1], cos * way[1] - sin * way[0], way[2])
    enter, leave = 0.0, math.inf
    for place, step, half in zip(local, course, box.extent):
        if abs(step) < 1e-9:
            if abs(place) > half + radius:
                return math.inf
            continue
        low, high = sorted(((-half - radius - place) / step, (half + radius - place) / step))
        enter, leave = max(enter, low), min(leave, high)
    return enter if enter <= leave else math.inf
