"""The world: one episode of one town, its actors, and the step from frame to frame."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from seg_node.errors import InputError
from seg_node_sim.maps import load_town, town_from_opendrive, town_names
from seg_node_sim.scene import Pose, Town, Weather
from seg_node_sim.server import collide, sensors
from seg_node_sim.server.actors import Actor, Prop, Vehicle, Walker
from seg_node_sim.server.blueprints import Attributes, Blueprint, BlueprintLibrary
from seg_node_sim.server.cameras import PASS_OF, CameraRig
from seg_node_sim.server.catalogue import PEDESTRIAN, STATIC, PropType, VehicleType, WalkerType
from seg_node_sim.server.roads import RoadNetwork
from seg_node_sim.server.snapshot import MAP_CHANGED, encode_snapshot, header
from seg_node_sim.server.streams import StreamHub
from seg_node_sim.server.versions import SensorIds
from seg_node_sim.server.wire import ActorDescription, EpisodeSettings

OPENDRIVE_TOWN = 'OpenDriveMap'
# The sensor that clients compute by themselves gets no stream.
_CLIENT_SIDE = 'sensor.other.lane_invasion'
_KEPT_RENDERERS = 4  # about 100 MB each
_READER_TIMEOUT_S = 5.0
_SUBSCRIBE_TIMEOUT_S = 0.5


class World:
    """State of the simulation; used by one thread only.

    `tick` advances by seconds, renders what somebody listens to and sends everything.
    """

    def __init__(
        self, town: str, hub: StreamHub, ids: SensorIds, seed: int = 0, preload: bool = True
    ) -> None:
        self.library = BlueprintLibrary()
        self.settings = EpisodeSettings()
        self.weather = Weather()
        self.frame = 0
        self.elapsed = 0.0
        self.delta = 0.0
        self.episode = 0
        self.actors: dict[int, Actor] = {}
        self.town: Town | None = None
        self.opendrive: Town | None = None
        self.stream = hub.create()
        self._hub = hub
        self._ids = ids
        self._seed = seed
        self._preload = preload
        self._rigs: OrderedDict[Town, CameraRig] = OrderedDict()
        self._next_id = 1
        self._due: dict[int, float] = {}
        self._noise: dict[int, np.random.Generator] = {}
        self._flags = 0
        self._workers = ThreadPoolExecutor(3, thread_name_prefix='cameras')
        self.load(town)

    def load(self, name: str) -> None:
        """Begin a new episode on a town; '' means the present one again.

        Raises InputError when the name is not a town's.
        """
        self.enter(self._find_town(name.rsplit('/', 1)[-1]))

    def enter(self, town: Town) -> None:
        """Begin a new episode on this town: no actors, default weather, time 0."""
        roads = RoadNetwork(town.xodr)
        for actor in list(self.actors.values()):
            self._forget(actor)
        self.town, self.roads, self._rig = town, roads, self._rig_of(town)
        if self._preload:
            self._rig.prepare()
        self._geo = sensors.GeoReference(town.xodr, self._ids.north)
        self.weather = Weather()
        self.elapsed = 0.0
        self.episode += 1
        self._flags |= MAP_CHANGED
        self.spectator = self._add(
            Actor(self._new_id(), ActorDescription(0, 'spectator', ()), Attributes(), Pose(z=20.0))
        )

    def read_opendrive(self, xodr: str) -> None:
        """Keep an OpenDRIVE text for the next `load('OpenDriveMap')`; InputError when bad."""
        self.opendrive = town_from_opendrive(OPENDRIVE_TOWN, xodr)

    def _find_town(self, name: str) -> Town:
        if name == OPENDRIVE_TOWN and self.opendrive is not None:
            return self.opendrive
        if self.town is not None and name in ('', self.town.name):
            return self.town
        if name not in town_names():
            raise InputError(f'map not found: {name!r}; expected one of {", ".join(town_names())}')
        return load_town(name)

    @property
    def map_name(self) -> str:
        return f'Carla/Maps/{self.town.name}'

    def spawn(
        self, description: ActorDescription, pose: Pose, parent_id: int | None = None
    ) -> Actor:
        """Create an actor; with a parent the pose is relative to it.

        Raises InputError with CARLA's words when the place is taken.
        """
        blueprint, attributes = self.library.check(description)
        parent = None
        if parent_id:
            parent = self.actors.get(parent_id)
            if parent is None:
                raise InputError(f'unable to attach actor: parent {parent_id} not found')
        actor = self._build(blueprint, attributes, description, pose)
        if parent is not None:
            actor.parent, actor.relative = parent, pose
            actor.follow()
        elif actor.collides:
            box = collide.box_of(actor.pose, actor.box_centre, actor.extent)
            if collide.blocked(box, self.actors.values()) is not None:
                raise InputError('Spawn failed because of collision at spawn position')
        actor.id = self._new_id()
        if parent is not None:
            parent.children.append(actor)
        if blueprint.id.startswith('sensor.') and blueprint.id != _CLIENT_SIDE:
            actor.stream = self._hub.create()
            if blueprint.id in PASS_OF:
                self._rig.renderer()
            self._noise[actor.id] = sensors.noise_source(actor, self._seed)
        return self._add(actor)

    def destroy(self, actor_id: int) -> bool:
        """Remove an actor; False when there is none. What was attached to it stays behind."""
        actor = self.actors.get(actor_id)
        if actor is None or actor is self.spectator:
            return False
        self._forget(actor)
        return True

    def get(self, actor_id: int, kind: type[Any] = Actor) -> Any:
        """The actor with an id, of a kind; InputError otherwise."""
        actor = self.actors.get(actor_id)
        if actor is None:
            raise InputError(f'actor {actor_id} not found')
        if not isinstance(actor, kind):
            raise InputError(
                f'actor {actor_id}: expected a {kind.__name__.lower()}, got {actor.description.id}'
            )
        return actor

    def tick(self, delta: float) -> int:
        """Advance by `delta` seconds and send everything; returns the new frame number."""
        synchronous = self.settings.synchronous_mode
        if synchronous:
            self._hub.wait_expected(_SUBSCRIBE_TIMEOUT_S)
            self._hub.wait_sent(_READER_TIMEOUT_S)
        self.frame += 1
        self.elapsed += delta
        self.delta = delta
        contacts = self._move(delta)
        self._send_sensors(contacts, skip_busy=not synchronous)
        snapshot = encode_snapshot(
            self._ids.world,
            self.frame,
            self.elapsed,
            self.episode,
            delta,
            self._flags,
            self.actors.values(),
        )
        self._flags = 0
        self.stream.send([snapshot], skip_busy=not synchronous)
        return self.frame

    def wait_for_renderer(self) -> None:
        """Return when cameras can be served without delay, if `preload` is wished."""
        if self._preload:
            self._rig.renderer()

    def close(self) -> None:
        for rig in self._rigs.values():
            rig.close()
        self._workers.shutdown()

    def _rig_of(self, town: Town) -> CameraRig:
        # Captures go back and forth between towns, and a renderer takes seconds to build.
        rig = self._rigs.pop(town, None) or CameraRig(town, self._ids, self._workers)
        self._rigs[town] = rig
        if len(self._rigs) > _KEPT_RENDERERS:
            self._rigs.popitem(last=False)[1].close()
        return rig

    def _move(self, delta: float) -> list[collide.Contact]:
        actors = list(self.actors.values())
        for actor in actors:
            actor.step(delta, self.roads.ground_z(actor.pose.x, actor.pose.y))
        contacts = collide.resolve(actors)
        vehicles = [a for a in actors if isinstance(a, Vehicle)]
        if vehicles:
            limits = self.roads.speed_limits([(v.pose.x, v.pose.y) for v in vehicles])
            for vehicle, limit in zip(vehicles, limits):
                vehicle.speed_limit = limit
        for actor in actors:  # parents have lower ids than their children
            actor.follow()
        return contacts

    def _send_sensors(self, contacts: list[collide.Contact], skip_busy: bool) -> None:
        due = [a for a in self.actors.values() if a.stream is not None and self._is_due(a)]
        if skip_busy:
            due = [a for a in due if not all(s.busy for s in a.stream.sessions)]
        cameras = [a for a in due if a.description.id in PASS_OF]
        for sensor in due:
            for payload in self._payloads(sensor, contacts):
                sensor.stream.send(payload, skip_busy=skip_busy)
        if cameras and not self.settings.no_rendering_mode:
            bodies = [b for b in (a.body() for a in self.actors.values()) if b is not None]
            self._rig.send(
                cameras, bodies, self.weather, self.frame, self.elapsed, self.delta, skip_busy
            )

    def _is_due(self, sensor: Actor) -> bool:
        if not sensor.stream.has_subscribers:
            return False
        period = sensor.attributes.number('sensor_tick')
        if period <= 0.0:
            return True
        due = self._due.get(sensor.id, self.elapsed)
        if self.elapsed < due - 1e-6:
            return False
        # Keep the grid while ticks are finer than the period, start anew when they are not.
        self._due[sensor.id] = max(due + period, self.elapsed)
        return True

    def _payloads(self, sensor: Actor, contacts: list[collide.Contact]) -> list[list[bytes]]:
        name = sensor.description.id
        if name == 'sensor.other.collision':
            mine = [c for c in contacts if sensor.parent in (c.a, c.b)]
            bodies = [sensors.collision(c, sensor.parent) for c in mine]
            type_id = self._ids.collision
        elif name == 'sensor.other.gnss':
            bodies = [sensors.gnss(sensor, self._geo, self._noise[sensor.id])]
            type_id = self._ids.gnss
        elif name == 'sensor.other.imu':
            bodies = [sensors.imu(sensor, self._noise[sensor.id])]
            type_id = self._ids.imu
        else:
            return []
        return [[header(type_id, self.frame, self.elapsed, sensor.pose), b] for b in bodies]

    def _build(
        self,
        blueprint: Blueprint,
        attributes: Attributes,
        description: ActorDescription,
        pose: Pose,
    ) -> Actor:
        kind = blueprint.body
        base = (0, description, attributes, pose)
        if isinstance(kind, VehicleType):
            actor: Actor = Vehicle(*base, kind=kind)
            actor.colour = attributes.colour('color') or (200, 200, 200)
            actor.box_centre, actor.tags = (0.0, 0.0, kind.extent[2]), kind.tags
        elif isinstance(kind, WalkerType):
            actor = Walker(*base, kind=kind)
            actor.tags = (PEDESTRIAN,)
        elif isinstance(kind, PropType):
            actor = Prop(*base, kind=kind)
            actor.box_centre, actor.tags = (0.0, 0.0, kind.extent[2]), (STATIC,)
        else:
            return Actor(*base)
        actor.extent, actor.collides = kind.extent, True
        return actor

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _add(self, actor: Actor) -> Actor:
        self.actors[actor.id] = actor
        return actor

    def _forget(self, actor: Actor) -> None:
        for child in actor.children:  # as in CARLA they stay behind, alive
            child.parent = child.relative = None
        if actor.parent is not None and actor in actor.parent.children:
            actor.parent.children.remove(actor)
        if actor.stream is not None:
            self._hub.close(actor.stream)
        self._due.pop(actor.id, None)
        self._noise.pop(actor.id, None)
        self.actors.pop(actor.id, None)
