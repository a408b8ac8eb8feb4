"""A drive: an ego vehicle with cameras in a synchronous world, tick by tick."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from seg_node.errors import ConfigError, first_line
from seg_node_sim.client.carla_api import require_carla
from seg_node_sim.client.errors import ServerError, ServerLost
from seg_node_sim.client.joiner import TickJoiner
from seg_node_sim.client.rig import CameraSpec, Rig
from seg_node_sim.client.session import LOAD_TIMEOUT_S, Address, Session
from seg_node_sim.client.traffic import Traffic, traffic_role
from seg_node_sim.client.weather import parse_weather
from seg_node_sim.scene import CarlaPose

_FIRST_IMAGE_TICKS = 30
_FIRST_IMAGE_S = 0.5
_SPAWN_TRIES = 50
_DROP_M = 0.3
_PAUSE_S = 0.002


class TownPlace(BaseModel):
    """A pose (CARLA's axes) in a town."""

    model_config = ConfigDict(frozen=True, extra='forbid')

    town: str
    pose: CarlaPose


class DriveRequest(BaseModel):
    """All that fixes a drive. Equal requests on equal servers give equal drives.

    town '' and weather 'keep' leave what the server has. fps: simulated ticks a second. fresh:
    load the town anew first. traffic: other vehicles. settle: ticks before the cameras
    are there. slower_percent: below the speed limit. lane_offset_m: to the right of the lane's
    middle. traffic_port 0: any free one. resume_at: where to go on, in that town, after a
    connection was lost.
    """

    model_config = ConfigDict(frozen=True, extra='forbid')

    host: str = '127.0.0.1'
    port: int = Field(2000, ge=1, le=65535)
    timeout_s: float = Field(10.0, gt=0.0, le=600.0)
    rig: Rig
    town: str = ''
    weather: str = 'keep'
    seed: int = Field(0, ge=0)
    traffic: int = Field(0, ge=0, le=500)
    traffic_port: int = Field(0, ge=0, le=65535)
    fps: float = Field(20.0, ge=1.0, le=1000.0)
    fresh: bool = False
    autopilot: bool = True
    settle: int = Field(10, ge=0, le=10000)
    slower_percent: float = Field(0.0, ge=-200.0, le=100.0)
    lane_offset_m: float = Field(0.0, ge=-3.0, le=3.0)
    resume_at: TownPlace | None = None

    @property
    def address(self) -> Address:
        """Where the server is asked for."""
        return Address(self.host, self.port, self.timeout_s)


@dataclass(frozen=True)
class VehicleState:
    """Where the ego vehicle is: CARLA's axes, metres, degrees, m/s, deg/s."""

    pose: CarlaPose
    velocity: tuple[float, float, float]
    angular_velocity: tuple[float, float, float]


@dataclass(frozen=True)
class Tick:
    """One frame of the world: all cameras' images belong to `frame`.

    elapsed_s: simulated seconds since the episode began. images: BGRA uint8 (H, W, 4) by camera
    id, as CARLA codes them; camera_poses: world poses at that frame.
    """

    frame: int
    elapsed_s: float
    ego: VehicleState
    images: dict[str, np.ndarray]
    camera_poses: dict[str, CarlaPose]


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Reports:
    """Whom a drive tells what.

    say: a line for the log. connected: the server answers, with the session. pulse: called while
    waiting for a server; what it raises ends the waiting. hangs: the client library hangs for
    good; called in another thread.
    """

    say: Callable[[str], None] = _nothing
    connected: Callable[[Session], None] = _nothing
    pulse: Callable[[], None] = _nothing
    hangs: Callable[[], None] = _nothing


class Drive:
    """See `open_drive`."""

    def __init__(self, request: DriveRequest, session: Session, reports: Reports) -> None:
        self.request = request
        self.session = session
        self._reports = reports
        self.joiner = TickJoiner()
        self.ego: Any = None
        self._sensors: list[Any] = []
        self._traffic: Traffic | None = None

    def prepare(self) -> None:
        """Spawn the vehicles, drive `settle` ticks, then add the cameras."""
        request, session = self.request, self.session
        self._remove_leftovers()
        # First, so that a fresh town does not run by itself for a while: equal requests give equal
        # drives.
        session.begin_synchronous(1.0 / request.fps)
        session.enter_town(request.town, request.fresh)
        weather = parse_weather(request.weather, request.seed)
        if weather is not None:
            session.set_weather(weather)
        self._spawn_ego()
        if request.autopilot or request.traffic:
            self._traffic = Traffic.start(
                session,
                request.seed,
                request.traffic_port,
                request.rig.role_name,
                self._reports.say,
                self._reports.hangs,
            )
            self._traffic.spawn(request.traffic, self.ego.get_location())
        if request.autopilot and self._traffic is not None:
            self._traffic.drive(self.ego, request.slower_percent, lane_changes=False)
            if request.lane_offset_m:
                self._traffic.offset(self.ego, request.lane_offset_m)
        for _ in range(request.settle):  # without cameras yet: nothing is rendered
            self._tick_quietly()
        self._spawn_cameras()
        self._wait_for_cameras()

    def tick(self) -> Tick:
        """One step of the world. Raises `ServerLost`."""
        timeout_s = self.request.timeout_s
        try:
            frame = self.session.tick(timeout_s)
            images = self.joiner.join(frame, timeout_s)
            snapshot = self.session.world.get_snapshot()
        except RuntimeError as error:
            raise ServerLost(f'server {self.session.address}: {first_line(error)}') from None
        if snapshot.frame != frame:
            raise ServerLost(
                f'server {self.session.address}: frame {frame} was ticked, the snapshot is of '
                f'{snapshot.frame}: does another client tick this world as well?'
            )
        ego = snapshot.find(self.ego.id)
        if ego is None:
            raise ServerLost(f'server {self.session.address}: the ego vehicle is gone')
        return Tick(
            frame,
            snapshot.timestamp.elapsed_seconds,
            VehicleState(
                pose_of(ego.get_transform()),
                _xyz(ego.get_velocity()),
                _xyz(ego.get_angular_velocity()),
            ),
            {name: _pixels(image) for name, image in images.items()},
            {name: pose_of(image.transform) for name, image in images.items()},
        )

    def close(self) -> None:
        """Destroy all that was spawned, the Traffic Manager first; then give the world back."""
        if self._traffic is not None:
            self._traffic.shut_down()
        # destroy() alone ends the subscription; stop() right before the end of the process
        # aborts it.
        for actor in [*reversed(self._sensors), self.ego]:
            if actor is not None:
                with contextlib.suppress(RuntimeError):
                    actor.destroy()
        self._sensors, self.ego = [], None
        if self._traffic is not None:
            self._traffic.destroy()
            self._traffic = None
        self.session.close()

    def _remove_leftovers(self) -> None:
        """Remove what a client of ours left behind when it was killed."""
        role = self.request.rig.role_name
        world = self.session.world
        if world.get_settings().synchronous_mode:
            # A new client sees no actors before the first snapshot.
            with contextlib.suppress(RuntimeError):
                self.session.tick(self.request.timeout_s)
        actors = world.get_actors()
        mine = [
            a for a in actors if a.attributes.get('role_name') in (role, traffic_role(role))
            and a.type_id.startswith('vehicle.')
        ]  # fmt: skip
        if not mine:
            return
        ids = {a.id for a in mine}
        sensors = [a for a in actors if a.parent is not None and a.parent.id in ids]
        for actor in [*sensors, *mine]:
            with contextlib.suppress(RuntimeError):
                actor.destroy()
        self.session.leave_asynchronous()

    def _spawn_ego(self) -> None:
        request, world = self.request, self.session.world
        carla = require_carla()
        library = world.get_blueprint_library()
        try:
            blueprint = library.find(request.rig.vehicle)
        except IndexError:
            raise ConfigError(
                f'rig: {request.rig.vehicle!r}: server {self.session.address} has no such vehicle'
            ) from None
        blueprint.set_attribute('role_name', request.rig.role_name)
        if request.rig.spawn_point is not None:
            candidates = [transform_of(carla, request.rig.spawn_point.pose())]
        else:
            candidates = list(world.get_map().get_spawn_points())
            random.Random(f'spawn {request.seed}').shuffle(candidates)
        place = request.resume_at
        if place is not None and place.town == self.session.town:
            above_ground = replace(place.pose, z=place.pose.z + _DROP_M)
            candidates.insert(0, transform_of(carla, above_ground))
        for transform in candidates[:_SPAWN_TRIES]:
            self.ego = world.try_spawn_actor(blueprint, transform)
            if self.ego is not None:
                self._tick_quietly()
                return
        raise ServerError(
            f'ego vehicle: no free place to spawn it at in {self.session.town} '
            f'({len(candidates)} spawn points)'
        )

    def _spawn_cameras(self) -> None:
        for spec in self.request.rig.cameras:
            sensor = self._spawn_camera(spec)
            self._sensors.append(sensor)
            sensor.listen(self.joiner.add(spec.id))

    def _spawn_camera(self, spec: CameraSpec) -> Any:
        carla = require_carla()
        world = self.session.world
        try:
            blueprint = world.get_blueprint_library().find(spec.type)
        except IndexError:
            raise ConfigError(f'rig: {spec.id}: the server has no {spec.type}') from None
        for name, value in spec.attributes().items():
            if not blueprint.has_attribute(name):
                raise ConfigError(f'rig: {spec.id}: {spec.type} has no attribute {name!r}')
            blueprint.set_attribute(name, value)
        for name, value in spec.optional_attributes().items():
            if blueprint.has_attribute(name):
                blueprint.set_attribute(name, value)
        for name in ('role_name', 'ros_name'):
            if blueprint.has_attribute(name):
                blueprint.set_attribute(name, spec.id)
        mount = transform_of(carla, spec.spawn_point.pose())
        try:
            return world.spawn_actor(blueprint, mount, attach_to=self.ego)
        except RuntimeError as error:
            raise ConfigError(f'rig: {spec.id}: {first_line(error)}') from None

    def _wait_for_cameras(self) -> None:
        # listen() returns before the server knows of it: tick until every camera delivers.
        for _ in range(_FIRST_IMAGE_TICKS):
            if self.joiner.try_join(self._tick_quietly(), _FIRST_IMAGE_S):
                return
        raise ServerLost(
            f'server {self.session.address}: cameras delivered no common frame '
            f'within {_FIRST_IMAGE_TICKS} ticks'
        )

    def _tick_quietly(self) -> int:
        try:
            frame = self.session.tick(LOAD_TIMEOUT_S)
        except RuntimeError as error:
            raise ServerLost(f'server {self.session.address}: {first_line(error)}') from None
        # Ticks that follow each other at once lose the Traffic Manager's wake-up (tick_watch.py).
        time.sleep(_PAUSE_S)
        return frame


@contextlib.contextmanager
def open_drive(
    request: DriveRequest, retry_s: float = 0.0, reports: Reports = Reports()
) -> Iterator[Drive]:
    """Connect, spawn, and give a `Drive` whose `tick` is ready; clean up at the end.

    Whatever ends the block, everything spawned is destroyed and the settings are given back.
    Raises `ServerError`, `ServerLost`, `ConfigError`.
    """
    cameras = len(request.rig.cameras)
    session = Session.connect(request.address, retry_s, cameras + 2, reports.say, reports.pulse)
    reports.connected(session)
    drive = Drive(request, session, reports)
    started = time.monotonic()
    try:
        try:
            with session.patience():
                drive.prepare()
        except RuntimeError as error:
            raise ServerError(f'server {session.address}: {first_line(error)}') from None
        reports.say(
            f'ready in {time.monotonic() - started:.1f} s: {session.town}, {cameras} cameras'
        )
        yield drive
    finally:
        drive.close()


def pose_of(transform: Any) -> CarlaPose:
    """carla.Transform -> CarlaPose."""
    place, turn = transform.location, transform.rotation
    return CarlaPose(place.x, place.y, place.z, turn.pitch, turn.yaw, turn.roll)


def transform_of(carla: Any, pose: CarlaPose) -> Any:
    """CarlaPose -> carla.Transform."""
    return carla.Transform(
        carla.Location(pose.x, pose.y, pose.z), carla.Rotation(pose.pitch, pose.yaw, pose.roll)
    )


def _xyz(vector: Any) -> tuple[float, float, float]:
    return (vector.x, vector.y, vector.z)


def _pixels(image: Any) -> np.ndarray:
    raw = np.frombuffer(image.raw_data, np.uint8)
    return raw.reshape(image.height, image.width, 4)
