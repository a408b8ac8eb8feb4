"""Actors: what has an id, a pose and a place in the world snapshot."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from seg_node_sim.scene import Body, CarlaPose
from seg_node_sim.server.blueprints import Attributes
from seg_node_sim.server.catalogue import PEDESTRIAN, STATIC, PropType, VehicleType, WalkerType
from seg_node_sim.server.streams import Stream
from seg_node_sim.server.vehicle import AckermannDriver, MotionState, advance
from seg_node_sim.server.wire import (
    AckermannControl,
    ActorDescription,
    Vector,
    VehicleControl,
    WalkerControl,
    encode_box,
    encode_description,
)

_GRAVITY = 9.81
_ZERO: Vector = (0.0, 0.0, 0.0)


@dataclass(eq=False)
class Actor:
    """Base of all actors. `pose` is in the world; `relative` to the parent when attached.

    velocity m/s, acceleration m/s^2 (world axes), angular velocity deg/s.
    `box_centre` relative to the origin, `extent` half sizes, metres.
    """

    id: int
    description: ActorDescription
    attributes: Attributes
    pose: CarlaPose
    parent: Actor | None = None
    relative: CarlaPose | None = None
    velocity: Vector = _ZERO
    angular_velocity: Vector = _ZERO
    acceleration: Vector = _ZERO
    box_centre: Vector = _ZERO
    extent: Vector = _ZERO
    tags: tuple[int, ...] = ()
    stream: Stream | None = None
    collides: bool = False
    simulates: bool = True
    gravity: bool = True
    children: list[Actor] = field(default_factory=list)

    def place(self, pose: CarlaPose) -> None:
        """Teleport; for an attached actor the pose is relative to its parent."""
        if self.parent is None:
            self.pose = pose
        else:
            self.relative = pose
            self.follow()

    def follow(self) -> None:
        """Take the pose and the motion of the parent."""
        if self.parent is not None and self.relative is not None:
            self.pose = self.parent.pose.compose(self.relative)
            self.velocity = self.parent.velocity
            self.angular_velocity = self.parent.angular_velocity
            self.acceleration = self.parent.acceleration

    def step(self, dt: float, ground_z: float) -> None:
        """Advance by dt seconds; things without a motor stay where they are."""

    def body(self) -> Body | None:
        """What cameras see, None when nothing."""
        return None

    def push(self, velocity: Vector) -> None:
        """Set the velocity in world axes."""
        self.velocity = velocity

    def encode(self) -> list[Any]:
        """The protocol's struct of an actor."""
        return [
            self.id,
            self.parent.id if self.parent else 0,
            encode_description(self.description),
            encode_box(self.box_centre, self.extent),
            bytes(self.tags),
            self.stream.token if self.stream else b'',
        ]


@dataclass(eq=False)
class Prop(Actor):
    """A thing that stands where it was put."""

    kind: PropType | None = None

    def body(self) -> Body:
        """A box in one colour, of the tag static."""
        return Body(self.id, self.description.id, self.pose, self.extent, (150, 90, 40), STATIC)


@dataclass(eq=False)
class Walker(Actor):
    """Walks where its control says. Its origin is the centre of the body, as in CARLA."""

    kind: WalkerType | None = None
    control: WalkerControl = field(default_factory=WalkerControl)

    def step(self, dt: float, ground_z: float) -> None:
        """Walks for `dt` seconds; an attached walker goes with its parent."""
        if self.parent is not None or not self.simulates:
            return
        dx, dy, _ = self.control.direction
        length = math.hypot(dx, dy)
        if length > 1e-6 and self.control.speed > 0.0:
            vx, vy = (self.control.speed * d / length for d in (dx, dy))
            yaw = math.degrees(math.atan2(dy, dx))
        else:
            vx, vy, yaw = 0.0, 0.0, self.pose.yaw
        x, y = self.pose.x + vx * dt, self.pose.y + vy * dt
        self.velocity = (vx, vy, 0.0)
        self.pose = CarlaPose(x, y, ground_z + self.extent[2], 0.0, yaw, 0.0)

    def body(self) -> Body:
        """A pedestrian on its feet; the clothes follow from the actor id."""
        feet = replace(self.pose, z=self.pose.z - self.extent[2])
        return Body(
            self.id,
            self.description.id,
            feet,
            self.extent,
            _clothes(self.id),
            PEDESTRIAN,
            velocity=self.velocity,
        )


def _clothes(actor_id: int) -> tuple[int, int, int]:
    palette = ((60, 70, 110), (130, 40, 45), (70, 90, 60), (150, 140, 120), (50, 50, 55))
    return palette[actor_id % len(palette)]


@dataclass(eq=False)
class Vehicle(Actor):
    """A vehicle on the bicycle model; falls to the ground when spawned above it."""

    kind: VehicleType = None  # type: ignore[assignment]
    control: VehicleControl = field(default_factory=VehicleControl)
    ackermann: AckermannDriver | None = None
    lights: int = 0
    speed_limit: float = 30.0  # km/h
    constant_velocity: Vector | None = None
    colour: tuple[int, int, int] = (120, 120, 120)
    physics: list[Any] | None = None
    _motion: MotionState | None = None
    _fall: float = 0.0

    @property
    def speed(self) -> float:
        """Signed speed along the body, m/s."""
        return self._motion.speed if self._motion else 0.0

    @property
    def steer_angle(self) -> float:
        """Angle of the front wheels, radians, right positive."""
        return self._motion.steer_angle if self._motion else 0.0

    def place(self, pose: CarlaPose) -> None:
        """Teleport; the speed along the body stays."""
        speed = self.speed
        super().place(pose)
        self._motion = MotionState(pose.x, pose.y, math.radians(pose.yaw), speed)
        self._fall = 0.0

    def drive(self, control: VehicleControl) -> None:
        """Follow pedals and wheel from now on."""
        self.control, self.ackermann = control, None

    def drive_ackermann(self, target: AckermannControl) -> None:
        """Follow a speed and a steering angle from now on."""
        self.ackermann = AckermannDriver(target)

    def push(self, velocity: Vector) -> None:
        """Set the velocity in world axes; what points along the body becomes its speed."""
        self.velocity = velocity
        yaw = math.radians(self.pose.yaw)
        self._state().speed = velocity[0] * math.cos(yaw) + velocity[1] * math.sin(yaw)

    def stop(self, speed: float, x: float, y: float) -> None:
        """After a collision: new speed along the body and new place."""
        state = self._state()
        state.speed, state.x, state.y = speed, x, y
        self.pose = replace(self.pose, x=x, y=y)

    def step(self, dt: float, ground_z: float) -> None:
        """Advance the bicycle model by `dt` seconds, and fall to `ground_z` where above it."""
        if self.parent is not None or dt <= 0.0:
            return
        if not self.simulates:
            self.velocity = self.acceleration = self.angular_velocity = _ZERO
            self._state().speed = 0.0
            return
        state = self._state()
        if self.ackermann is not None:
            self.control = self.ackermann.control(state)
        constant = self.constant_velocity[0] if self.constant_velocity else None
        advance(state, self.control, self.kind, dt, constant)
        z, vz = self._drop(ground_z, dt)
        course = state.yaw + state.slip
        velocity = (state.speed * math.cos(course), state.speed * math.sin(course), vz)
        ax, ay, az = ((b - a) / dt for a, b in zip(self.velocity, velocity))
        self.acceleration = (ax, ay, az)
        self.velocity = velocity
        self.angular_velocity = (0.0, 0.0, math.degrees(state.yaw_rate))
        yaw = (math.degrees(state.yaw) + 180.0) % 360.0 - 180.0
        self.pose = CarlaPose(state.x, state.y, z, 0.0, yaw, 0.0)

    def body(self) -> Body:
        """The vehicle in its colour, with its lights and its velocity."""
        return Body(
            self.id,
            self.description.id,
            self.pose,
            self.extent,
            self.colour,
            self.tags[0],
            self.lights,
            self.velocity,
        )

    def _state(self) -> MotionState:
        if self._motion is None:
            self._motion = MotionState(self.pose.x, self.pose.y, math.radians(self.pose.yaw))
        return self._motion

    def _drop(self, ground_z: float, dt: float) -> tuple[float, float]:
        height = self.pose.z - ground_z
        if not self.gravity:
            return self.pose.z, 0.0
        if height <= 0.0:
            self._fall = 0.0
            return ground_z, 0.0
        self._fall += _GRAVITY * dt
        drop = self._fall * dt
        # Down a slope the wheels stay on the road.
        if drop >= height or height < 0.02:
            self._fall = 0.0
            return ground_z, 0.0
        return self.pose.z - drop, -self._fall
