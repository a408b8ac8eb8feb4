"""Range sensors: lidar, semantic lidar and radar, from the depth that the renderer draws anyway.

Rays are looked up in up to four depth pictures around the sensor, 90 degrees each.  A point is
put where the middle of the ray's pixel meets the surface: exactly on the surface, and up to half a
pixel (0.12 degrees) beside the ray.  Rays steeper than 60 degrees return nothing.
Models and payloads as documented by CARLA (sensors reference: lidar, semantic lidar, radar).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from seg_node_sim.scene import FAR, Camera, CarlaPose
from seg_node_sim.server.blueprints import Attributes
from seg_node_sim.server.wire import Vector

_WIDTH = 480  # pixels of a picture of 90 degrees
_STEEPEST_DEG = 60.0
_MOST_RAYS = 2_000_000  # a tick
_SCENERY = 32768  # instance ids from here on are no actors

# (camera, pose, passes) -> pictures by pass, as `Renderer.render` draws them.
Draw = Callable[[Camera, CarlaPose, frozenset[str]], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Hits:
    """Where rays met something. float64 (N, 3) metres in the sensor's axes, and by point:

    rays: index of the ray. actors: actor id, 0 for scenery. tags: semantic tag.
    cosines: of the angle between ray and surface normal.
    """

    points: np.ndarray
    rays: np.ndarray
    actors: np.ndarray
    tags: np.ndarray
    cosines: np.ndarray


def shoot(draw: Draw, pose: CarlaPose, rays: np.ndarray, reach: float, detailed: bool) -> Hits:
    """Shoot rays. rays: float64 (N, 2), azimuth (right positive) and elevation in radians.

    reach: metres. detailed: also say what was hit, else actors, tags and cosines are 0.
    """
    passes = frozenset({'depth', 'semantic', 'instance'} if detailed else {'depth'})
    usable = np.abs(rays[:, 1]) <= math.radians(_STEEPEST_DEG)
    quarter = np.round(rays[:, 0] / (math.pi / 2.0)).astype(int)
    parts = []
    for turn in np.unique(quarter[usable]):
        mine = np.flatnonzero(usable & (quarter == turn))
        parts.append(_one_picture(draw, pose, rays, mine, int(turn), reach, passes))
    columns = [np.concatenate(c) for c in zip(*parts)] if parts else [np.zeros((0, 3))]
    if not parts:
        columns += [np.zeros(0, int) for _ in range(3)] + [np.zeros(0)]
    order = np.argsort(columns[1], kind='stable')
    return Hits(*(c[order] for c in columns))


def _one_picture(
    draw: Draw,
    pose: CarlaPose,
    rays: np.ndarray,
    mine: np.ndarray,
    turn: int,
    reach: float,
    passes: frozenset[str],
) -> tuple[np.ndarray, ...]:
    azimuth = rays[mine, 0] - turn * math.pi / 2.0
    across = np.tan(azimuth)
    up = np.tan(rays[mine, 1]) / np.cos(azimuth)
    focal = _WIDTH / 2.0
    half = math.ceil(focal * float(np.abs(up).max())) + 2
    camera = Camera(_WIDTH, 2 * half, 90.0)
    pictures = draw(camera, pose.compose(CarlaPose(yaw=90.0 * turn)), passes)
    column = np.clip((focal + focal * across).astype(int), 0, _WIDTH - 2)
    row = np.clip((half - focal * up).astype(int), 0, 2 * half - 2)
    depth = pictures['depth']

    def point(r: np.ndarray, c: np.ndarray) -> np.ndarray:
        metres = depth[r, c].astype(float)
        view = [np.ones(len(r)), (c + 0.5 - focal) / focal, (half - r - 0.5) / focal]
        place: np.ndarray = metres[:, None] * np.stack(view, axis=1)
        return place

    points = point(row, column)
    distance = np.linalg.norm(points, axis=1)
    hit = (depth[row, column] < FAR - 0.1) & (distance <= reach) & (distance > 1e-3)
    row, column, points, mine, distance = (a[hit] for a in (row, column, points, mine, distance))
    actors, tags, cosines = np.zeros(len(mine), int), np.zeros(len(mine), int), np.zeros(len(mine))
    if 'instance' in passes:
        ids = pictures['instance'][row, column].astype(int)
        actors = np.where(ids < _SCENERY, ids, 0)
        tags = pictures['semantic'][row, column].astype(int)
        normal = np.cross(point(row, column + 1) - points, point(row + 1, column) - points)
        length = np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
        cosines = np.abs((normal * points).sum(axis=1)) / (length * distance)
    c, s = math.cos(turn * math.pi / 2.0), math.sin(turn * math.pi / 2.0)
    turned = np.stack(
        [c * points[:, 0] - s * points[:, 1], s * points[:, 0] + c * points[:, 1], points[:, 2]],
        axis=1,
    )
    return turned, mine, actors, tags, cosines


@dataclass
class Lidar:
    """A rotating lidar; `angle` (degrees) is where the next measurement begins."""

    attributes: Attributes
    noise: np.random.Generator
    angle: float = 0.0

    def measure(self, draw: Draw, pose: CarlaPose, dt: float, semantic: bool) -> bytes | None:
        """The payload of one tick of `dt` seconds; None when no point is due.

        Header: horizontal angle (float32, radians), channels, points by channel (uint32).  Points:
        float32 x, y, z, intensity; or x, y, z, cosine (float32), actor id, tag (uint32).
        """
        number = self.attributes.number
        channels = self.attributes.integer('channels')
        each = round(number('points_per_second') * dt / channels)
        each = min(each, _MOST_RAYS // channels)
        if each <= 0:
            return None
        rays = self._rays(channels, each, dt)
        if not semantic:
            kept = self.noise.random(len(rays)) >= number('dropoff_general_rate')
            rays = rays[kept]
            channel_of = np.repeat(np.arange(channels), each)[kept]
        else:
            channel_of = np.repeat(np.arange(channels), each)
        hits = shoot(draw, pose, rays, number('range'), semantic)
        body, channel = (
            (_semantic_points(hits), channel_of[hits.rays])
            if semantic
            else self._plain_points(hits, channel_of[hits.rays])
        )
        counts = np.bincount(channel, minlength=channels).astype('<u4')
        head = np.float32(math.radians(self.angle)).tobytes() + np.uint32(channels).tobytes()
        return head + counts.tobytes() + body

    def _rays(self, channels: int, each: int, dt: float) -> np.ndarray:
        number = self.attributes.number
        width, upper, lower = number('horizontal_fov'), number('upper_fov'), number('lower_fov')
        elevation = np.linspace(upper, lower, channels) if channels > 1 else np.array([upper])
        swept = number('rotation_frequency') * width * dt
        azimuth = (self.angle + swept / each * np.arange(each)) % width - width / 2.0
        self.angle = (self.angle + swept) % width
        grid = np.stack(np.meshgrid(elevation, azimuth, indexing='ij')[::-1], axis=-1)
        angles: np.ndarray = np.radians(grid.reshape(-1, 2))
        return angles

    def _plain_points(self, hits: Hits, channel: np.ndarray) -> tuple[bytes, np.ndarray]:
        number = self.attributes.number
        distance = np.linalg.norm(hits.points, axis=1)
        intensity = np.exp(-number('atmosphere_attenuation_rate') * distance)
        limit, zero = number('dropoff_intensity_limit'), number('dropoff_zero_intensity')
        chance = zero / max(limit, 1e-6) * intensity + 1.0 - zero
        kept = (intensity > limit) | (self.noise.random(len(intensity)) < chance)
        along = self.noise.normal(0.0, 1.0, len(distance)) * number('noise_stddev')
        points = hits.points * (1.0 + along / np.maximum(distance, 1e-6))[:, None]
        values = np.column_stack([points, intensity])[kept].astype('<f4')
        return values.tobytes(), channel[kept]


def _semantic_points(hits: Hits) -> bytes:
    values = np.zeros(len(hits.points), dtype=[('place', '<f4', 4), ('what', '<u4', 2)])
    values['place'][:, :3], values['place'][:, 3] = hits.points, hits.cosines
    values['what'][:, 0], values['what'][:, 1] = hits.actors, hits.tags
    return values.tobytes()


def radar(
    attributes: Attributes,
    noise: np.random.Generator,
    draw: Draw,
    pose: CarlaPose,
    dt: float,
    own_velocity: Vector,
    velocities: Mapping[int, Vector],
) -> bytes:
    """float32 rows of velocity towards the sensor's axis (m/s, away positive), azimuth, altitude
    (radians), distance (m).

    velocities: m/s in world axes, by actor id.
    """
    reach = attributes.number('range')
    count = min(int(attributes.number('points_per_second') * dt), _MOST_RAYS)
    radius, angle = noise.random(count), noise.random(count) * 2.0 * math.pi
    wide, high = (
        math.tan(math.radians(attributes.number(name)) / 2.0)
        for name in ('horizontal_fov', 'vertical_fov')
    )
    y, z = wide * radius * np.cos(angle), high * radius * np.sin(angle)
    rays = np.stack([np.arctan2(y, 1.0), np.arctan2(z, np.hypot(1.0, y))], axis=1)
    hits = shoot(draw, pose, rays, reach, detailed=True)
    distance = np.linalg.norm(hits.points, axis=1)
    moving = np.array([velocities.get(int(i), (0.0, 0.0, 0.0)) for i in hits.actors], float)
    relative = moving.reshape(-1, 3) - np.asarray(own_velocity)
    direction = hits.points / distance[:, None] @ pose.matrix()[:3, :3].T
    speed = (relative * direction).sum(axis=1)
    azimuth = np.arctan2(hits.points[:, 1], hits.points[:, 0])
    altitude = np.arctan2(hits.points[:, 2], np.hypot(hits.points[:, 0], hits.points[:, 1]))
    return np.column_stack([speed, azimuth, altitude, distance]).astype('<f4').tobytes()
