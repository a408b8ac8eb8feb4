"""The world: one episode of one town, its actors, and the step from frame to frame."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from seg_node.errors import InputError
from seg_node_sim.maps import load_town, town_aliases, town_from_opendrive, town_names
from seg_node_sim.scene import Camera, CarlaPose, Town, Weather
from seg_node_sim.server import collide
from seg_node_sim.server.actors import Actor, Prop, Vehicle, Walker
from seg_node_sim.server.blueprints import Attributes, Blueprint, BlueprintLibrary
from seg_node_sim.server.cameras import PASS_OF, CameraRig
from seg_node_sim.server.catalogue import PEDESTRIAN, STATIC, PropType, VehicleType, WalkerType
from seg_node_sim.server.instruments import DRAWN, Instruments, Moment
from seg_node_sim.server.recorder import EpisodeRecorder
from seg_node_sim.server.roads import RoadNetwork
from seg_node_sim.server.sensors import GeoReference
from seg_node_sim.server.snapshot import MAP_CHANGED, encode_snapshot, header
from seg_node_sim.server.streams import StreamHub
from seg_node_sim.server.versions import SensorIds
from seg_node_sim.server.wire import WORLD_EDGE, ActorDescription, EpisodeSettings

OPENDRIVE_TOWN = 'OpenDriveMap'
# The sensor that clients compute by themselves gets no stream.
_CLIENT_SIDE = 'sensor.other.lane_invasion'
_KEPT_RENDERERS = 4  # about 100 MB each
_MAX_ACTORS = 2000
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
        self.town = _known_town(town.rsplit('/', 1)[-1])
        self.opendrive: Town | None = None
        self.stream = hub.create()
        self._hub = hub
        self._ids = ids
        self._instruments = Instruments(ids, seed)
        self.recorder = EpisodeRecorder()
        self._preload = preload
        self._rigs: OrderedDict[Town, CameraRig] = OrderedDict()
        self._next_id = 1
        self._flags = 0
        self._workers = ThreadPoolExecutor(3, thread_name_prefix='cameras')
        self.enter(self.town)

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
        self._instruments.reference = GeoReference(town.xodr, self._ids.north)
        self.weather = Weather()
        self.elapsed = 0.0
        self.episode += 1
        self._flags |= MAP_CHANGED
        self.spectator = self._add(
            Actor(
                self._new_id(),
                ActorDescription(0, 'spectator', ()),
                Attributes(),
                CarlaPose(z=20.0),
            )
        )

    def read_opendrive(self, xodr: str) -> None:
        """Keep an OpenDRIVE text for the next `load('OpenDriveMap')`; InputError when bad."""
        self.opendrive = town_from_opendrive(OPENDRIVE_TOWN, xodr)

    def _find_town(self, name: str) -> Town:
        if name == OPENDRIVE_TOWN and self.opendrive is not None:
            return self.opendrive
        return self.town if name in ('', self.town.name) else _known_town(name)

    @property
    def map_name(self) -> str:
        """The town's name, as the path of CARLA's asset."""
        return f'Carla/Maps/{self.town.name}'

    def spawn(
        self, description: ActorDescription, pose: CarlaPose, parent_id: int | None = None
    ) -> Actor:
        """Create an actor; with a parent the pose is relative to it.

        Raises InputError with CARLA's words when the place is taken.
        """
        if len(self.actors) >= _MAX_ACTORS:
            raise InputError(f'unable to spawn actor: there are {_MAX_ACTORS}, which is the limit')
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
            if blueprint.id in PASS_OF or blueprint.id in DRAWN:
                self._rig.renderer()
            self._instruments.add(actor)
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
        self.recorder.frame(delta, self.elapsed, self.actors.values(), contacts)
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

    def wait_for_renderer(self, limit_s: float | None = None) -> bool:
        """Wait until cameras can be served without delay, if `preload` is wished.

        False when that takes longer than `limit_s`.
        """
        try:
            if self._preload:
                self._rig.renderer(limit_s)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """End the renderers and a running recording."""
        self.recorder.stop()
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
            if max(map(abs, actor.pose.location)) > WORLD_EDGE:
                actor.place(actor.pose.within(WORLD_EDGE))
                actor.push((0.0, 0.0, 0.0))
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
        due = [
            (sensor, sensor.stream)
            for sensor in self.actors.values()
            if sensor.stream is not None and self._instruments.is_due(sensor, self.elapsed)
        ]
        if skip_busy:
            due = [(a, stream) for a, stream in due if not all(s.busy for s in stream.sessions)]
        if not due:
            return
        cameras = [a for a, _ in due if a.description.id in PASS_OF]
        bodies = [b for b in (a.body() for a in self.actors.values()) if b is not None]

        def draw(
            camera: Camera, pose: CarlaPose, passes: frozenset[str]
        ) -> Mapping[str, np.ndarray]:
            return self._rig.renderer().render(
                camera, pose, bodies, self.weather, passes, self.elapsed
            )

        moment = Moment(self.actors, contacts, self.elapsed, self.delta, draw)
        for sensor, stream in due:
            if sensor.description.id not in PASS_OF:
                type_id, payloads = self._instruments.measure(sensor, moment)
                head = header(type_id, self.frame, self.elapsed, sensor.pose)
                for payload in payloads:
                    stream.send([head, payload], skip_busy=skip_busy)
        if cameras and not self.settings.no_rendering_mode:
            self._rig.send(
                cameras, bodies, self.weather, self.frame, self.elapsed, self.delta, skip_busy
            )

    def _build(
        self,
        blueprint: Blueprint,
        attributes: Attributes,
        description: ActorDescription,
        pose: CarlaPose,
    ) -> Actor:
        kind = blueprint.body
        base = (0, description, attributes, pose)
        if isinstance(kind, VehicleType):
            colour = attributes.colour('color') or (200, 200, 200)
            actor: Actor = Vehicle(*base, kind=kind, colour=colour)
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
        self._instruments.forget(actor)
        self.actors.pop(actor.id, None)


def _known_town(name: str) -> Town:
    try:
        return load_town(name)
    except InputError:
        names = ', '.join((*town_names(), *town_aliases()))
        raise InputError(f'map not found: {name!r}; expected one of {names}') from None
