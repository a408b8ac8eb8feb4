"""Sensors that are not cameras: GNSS, IMU, collision.

Their payloads are msgpack, unlike the images.  Lane invasion is worked out by the client.
"""

from __future__ import annotations

import math
import re

import msgpack
import numpy as np

from seg_node_sim.server.actors import Actor
from seg_node_sim.server.collide import Contact

_EARTH_RADIUS = 6378137.0  # WGS 84 equatorial, metres
_GRAVITY = 9.81


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
    found = re.search(rf'\+{name}=([-+0-9.eE]+)', xodr)
    return float(found.group(1)) if found else 0.0


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
    return msgpack.packb(values)


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
    return msgpack.packb([acceleration.tolist(), turn.tolist(), compass])


def collision(contact: Contact, owner: Actor) -> bytes:
    """[own actor, other actor, impulse N s] as felt by `owner`."""
    other, sign = (contact.b, -1.0) if contact.a is owner else (contact.a, 1.0)
    impulse = [sign * contact.impulse * n for n in contact.normal]
    return msgpack.packb([owner.encode(), other.encode(), [*impulse, 0.0]])
