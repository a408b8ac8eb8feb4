"""All sensors that are not cameras: who is due, and what it says in this tick."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seg_node_sim.server import sensors
from seg_node_sim.server.actors import Actor
from seg_node_sim.server.collide import Contact
from seg_node_sim.server.ranging import Draw, Lidar, radar
from seg_node_sim.server.versions import SensorIds

# Sensors that look into the renderer's pictures.
DRAWN = frozenset(
    {'sensor.lidar.ray_cast', 'sensor.lidar.ray_cast_semantic', 'sensor.other.radar'}
)


@dataclass(frozen=True)
class Moment:
    """The world in one tick, as sensors see it. elapsed, delta: seconds."""

    actors: Mapping[int, Actor]
    contacts: Sequence[Contact]
    elapsed: float
    delta: float
    draw: Draw


@dataclass
class _SensorState:
    noise: np.random.Generator
    lidar: Lidar
    due: float | None = None
    last: float | None = None


class Instruments:
    """State and measurements of the sensors of one world.

    seed: of their noise.
    """

    def __init__(self, ids: SensorIds, seed: int) -> None:
        self.reference = sensors.GeoReference('', ids.north)
        self._seed = seed
        self._states: dict[int, _SensorState] = {}
        self._kinds: dict[str, tuple[int, Callable[[Actor, Moment], list[bytes]]]] = {
            'sensor.other.collision': (ids.collision, self._collision),
            'sensor.other.gnss': (ids.gnss, self._gnss),
            'sensor.other.imu': (ids.imu, self._imu),
            'sensor.other.obstacle': (ids.obstacle, self._obstacle),
            'sensor.other.radar': (ids.radar, self._radar),
            'sensor.lidar.ray_cast': (ids.lidar, self._lidar),
            'sensor.lidar.ray_cast_semantic': (ids.semantic_lidar, self._semantic_lidar),
        }

    def add(self, sensor: Actor) -> None:
        """A sensor is new in the world."""
        noise = sensors.noise_source(sensor, self._seed)
        self._states[sensor.id] = _SensorState(noise, Lidar(sensor.attributes, noise))

    def forget(self, sensor: Actor) -> None:
        """A sensor is gone."""
        self._states.pop(sensor.id, None)

    def is_due(self, sensor: Actor, elapsed: float) -> bool:
        """Whether somebody listens to it and its `sensor_tick` has passed."""
        if sensor.stream is None or not sensor.stream.has_subscribers:
            return False
        period = sensor.attributes.number('sensor_tick')
        if period <= 0.0:
            return True
        state = self._states[sensor.id]
        due = elapsed if state.due is None else state.due
        if elapsed < due - 1e-6:
            return False
        # Keep the grid while ticks are finer than the period, start anew when they are not.
        state.due = max(due + period, elapsed)
        return True

    def measure(self, sensor: Actor, moment: Moment) -> tuple[int, list[bytes]]:
        """Stream type id, and the payloads of this tick: none, one or several."""
        type_id, measure = self._kinds[sensor.description.id]
        return type_id, measure(sensor, moment)

    def _since(self, sensor: Actor, moment: Moment) -> float:
        """Seconds since the sensor's last measurement: what a slow `sensor_tick` sweeps."""
        state = self._states[sensor.id]
        last, state.last = state.last, moment.elapsed
        return moment.delta if last is None else min(max(moment.elapsed - last, 0.0), 10.0)

    def _collision(self, sensor: Actor, moment: Moment) -> list[bytes]:
        owner = sensor.parent
        mine = [c for c in moment.contacts if owner is not None and owner in (c.a, c.b)]
        return [sensors.collision(contact, owner) for contact in mine if owner is not None]

    def _gnss(self, sensor: Actor, moment: Moment) -> list[bytes]:
        return [sensors.gnss(sensor, self.reference, self._states[sensor.id].noise)]

    def _imu(self, sensor: Actor, moment: Moment) -> list[bytes]:
        return [sensors.imu(sensor, self._states[sensor.id].noise)]

    def _obstacle(self, sensor: Actor, moment: Moment) -> list[bytes]:
        obstacle = sensors.obstacle(sensor, moment.actors.values())
        return [] if obstacle is None else [obstacle]

    def _radar(self, sensor: Actor, moment: Moment) -> list[bytes]:
        velocities = {actor.id: actor.velocity for actor in moment.actors.values()}
        state, pose = self._states[sensor.id], sensor.pose
        dt = self._since(sensor, moment)
        own = sensor.velocity
        return [radar(sensor.attributes, state.noise, moment.draw, pose, dt, own, velocities)]

    def _lidar(self, sensor: Actor, moment: Moment) -> list[bytes]:
        return self._scan(sensor, moment, semantic=False)

    def _semantic_lidar(self, sensor: Actor, moment: Moment) -> list[bytes]:
        return self._scan(sensor, moment, semantic=True)

    def _scan(self, sensor: Actor, moment: Moment, semantic: bool) -> list[bytes]:
        lidar, pose = self._states[sensor.id].lidar, sensor.pose
        payload = lidar.measure(moment.draw, pose, self._since(sensor, moment), semantic)
        return [] if payload is None else [payload]
