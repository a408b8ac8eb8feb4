"""Calls about actors: spawn, destroy, move, drive, and what the Traffic Manager asks."""

from __future__ import annotations

import math
from typing import Any

from seg_node.errors import InputError
from seg_node_sim.scene import CarlaPose
from seg_node_sim.server import wire
from seg_node_sim.server.actors import Actor, Vehicle, Walker
from seg_node_sim.server.dispatch import value, void
from seg_node_sim.server.vehicle import MAX_STEER_DEG, STEERING_CURVE
from seg_node_sim.server.world import World

_GEARS = ((4.25, 0.5, 0.65), (2.52, 0.5, 0.65), (1.66, 0.5, 0.65), (1.22, 0.5, 0.65))


class ActorCalls:
    """Every call that names an actor. Errors are InputError with the actor's id."""

    def __init__(self, world: World) -> None:
        self._world = world

    @value
    def get_actors_by_id(self, ids: list[int]) -> list[Any]:
        """The actors among `ids` that exist, each once."""
        actors = (self._world.actors.get(i) for i in dict.fromkeys(ids))
        return [actor.encode() for actor in actors if actor is not None]

    @value
    def get_spectator(self) -> list[Any]:
        """The spectator, as an actor; it is there from the start."""
        return self._world.spectator.encode()

    @value
    def spawn_actor(self, description: Any, transform: Any) -> list[Any]:
        """A new actor at a pose in the world. InputError: wrong attributes, or no room there."""
        return self._world.spawn(
            wire.decode_description(description), wire.decode_transform(transform)
        ).encode()

    @value
    def spawn_actor_with_parent(
        self, description: Any, transform: Any, parent: int, attachment: int = 0, socket: str = ''
    ) -> list[Any]:
        """A new actor at a pose relative to `parent`. Every attachment is rigid."""
        return self._world.spawn(
            wire.decode_description(description), wire.decode_transform(transform), parent
        ).encode()

    @value
    def destroy_actor(self, actor_id: int) -> bool:
        """True; InputError for an actor that is not there."""
        if not self._world.destroy(actor_id):
            raise InputError(f'unable to destroy actor: actor {actor_id} not found')
        return True

    @value
    def get_actor_bounding_box(self, actor_id: int) -> list[Any]:
        # Zeros for the unknown: an error here ends a client whose Traffic Manager asks for an
        # actor that was just destroyed.
        """Bounding box relative to the actor, metres: [centre, half sizes, rotation]."""
        actor = self._world.actors.get(actor_id)
        return wire.encode_box(actor.box_centre, actor.extent) if actor else wire.NO_BOX

    @void
    def set_actor_location(self, actor_id: int, location: Any) -> None:
        """Teleport to [x, y, z] metres; the rotation stays. Relative when attached."""
        actor = self._get(actor_id)
        old = actor.relative if actor.relative is not None else actor.pose
        place = wire.decode_location(location)
        actor.place(CarlaPose(*place, old.pitch, old.yaw, old.roll))

    @void
    def set_actor_transform(self, actor_id: int, transform: Any) -> None:
        """Teleport to a pose; relative when attached."""
        self._get(actor_id).place(wire.decode_transform(transform))

    @void
    def set_actor_target_velocity(self, actor_id: int, velocity: Any) -> None:
        """Velocity from now on, m/s in world axes."""
        self._get(actor_id).push(wire.decode_velocity(velocity))

    @void
    def set_actor_target_angular_velocity(self, actor_id: int, velocity: Any) -> None:
        """Angular velocity from now on, deg/s."""
        self._get(actor_id).angular_velocity = wire.decode_velocity(velocity)

    @void
    def enable_actor_constant_velocity(self, actor_id: int, velocity: Any) -> None:
        """Keeps a vehicle at the first component of a velocity in its own axes, m/s."""
        self._get(actor_id, Vehicle).constant_velocity = wire.decode_velocity(velocity)

    @void
    def disable_actor_constant_velocity(self, actor_id: int) -> None:
        """The vehicle follows its control again."""
        self._get(actor_id, Vehicle).constant_velocity = None

    @void
    def add_actor_impulse(self, actor_id: int, impulse: Any) -> None:
        """N s in world axes, at the centre of mass."""
        vehicle = self._get(actor_id, Vehicle)
        push = wire.decode_vector(impulse)
        mass = vehicle.kind.mass
        vehicle.push(wire.decode_velocity([v + i / mass for v, i in zip(vehicle.velocity, push)]))

    @void
    def add_actor_force(self, actor_id: int, force: Any) -> None:
        """N for one step of the simulation."""
        step = self._world.delta or 0.05
        self.add_actor_impulse(actor_id, [f * step for f in wire.decode_vector(force)])

    @void
    def add_actor_impulse_at_location(self, actor_id: int, impulse: Any, at: Any) -> None:
        """As `add_actor_impulse`: vehicles do not turn about a place that is hit."""
        self.add_actor_impulse(actor_id, impulse)

    @void
    def add_actor_force_at_location(self, actor_id: int, force: Any, at: Any) -> None:
        """As `add_actor_force`, wherever it is applied."""
        self.add_actor_force(actor_id, force)

    @void
    def add_actor_angular_impulse(self, actor_id: int, impulse: Any) -> None:
        """Vehicles follow their wheels: a turn without a way is not part of the model."""
        self._get(actor_id)

    @void
    def add_actor_torque(self, actor_id: int, torque: Any) -> None:
        """As `add_actor_angular_impulse`."""
        self._get(actor_id)

    @void
    def set_actor_simulate_physics(self, actor_id: int, enabled: bool) -> None:
        """Whether the actor moves by itself."""
        self._get(actor_id).simulates = bool(enabled)

    @void
    def set_actor_collisions(self, actor_id: int, enabled: bool) -> None:
        """Whether others bump into it."""
        self._get(actor_id).collides = bool(enabled)

    @void
    def set_actor_enable_gravity(self, actor_id: int, enabled: bool) -> None:
        """Whether it falls to the ground."""
        self._get(actor_id).gravity = bool(enabled)

    @void
    def set_actor_autopilot(self, actor_id: int, enabled: bool) -> None:
        """The client's Traffic Manager drives; the server has nothing to do."""
        self._get(actor_id, Vehicle)

    @void
    def apply_control_to_vehicle(self, actor_id: int, control: Any) -> None:
        """Pedals and wheel, kept until the next control."""
        self._get(actor_id, Vehicle).drive(wire.decode_vehicle_control(control))

    @void
    def apply_ackermann_control_to_vehicle(self, actor_id: int, control: Any) -> None:
        """Speed and steering angle to be reached, kept until the next control."""
        self._get(actor_id, Vehicle).drive_ackermann(wire.decode_ackermann(control))

    @void
    def apply_control_to_walker(self, actor_id: int, control: Any) -> None:
        """Direction and speed of a walker, kept until the next control."""
        self._get(actor_id, Walker).control = wire.decode_walker_control(control)

    @void
    def set_walker_state(self, actor_id: int, transform: Any, speed: float) -> None:
        """Place and speed of a walker, direction along its yaw."""
        walker = self._get(actor_id, Walker)
        pose = wire.decode_transform(transform)
        yaw = math.radians(pose.yaw)
        walker.place(pose)
        walker.control = wire.WalkerControl((math.cos(yaw), math.sin(yaw), 0.0), speed)

    @void
    def show_vehicle_debug_telemetry(self, actor_id: int, enabled: bool = True) -> None:
        """There is no window to show it in."""
        self._get(actor_id, Vehicle)

    @void
    def set_vehicle_light_state(self, actor_id: int, state: Any) -> None:
        """A bit mask of `carla.VehicleLightState`."""
        mask = state[0] if isinstance(state, (list, tuple)) else state
        self._get(actor_id, Vehicle).lights = wire.whole(mask, 'lights')

    @value
    def get_vehicle_light_state(self, actor_id: int) -> list[int]:
        """[bit mask of `carla.VehicleLightState`]."""
        return [self._get(actor_id, Vehicle).lights]

    @value
    def get_vehicle_light_states(self) -> list[list[int]]:
        """[actor id, bit mask] of every vehicle."""
        actors = self._world.actors.values()
        return [[a.id, a.lights] for a in actors if isinstance(a, Vehicle)]

    @value
    def get_physics_control(self, actor_id: int) -> list[Any]:
        """`carla.VehiclePhysicsControl` as a struct: a client's, else from the catalogue."""
        vehicle = self._get(actor_id, Vehicle)
        return vehicle.physics or _physics(vehicle)

    @value
    def get_wheel_steer_angle(self, actor_id: int, wheel: int) -> float:
        """Degrees, of a front wheel (0, 1); the rear wheels (2, 3) do not turn."""
        vehicle = self._get(actor_id, Vehicle)
        return math.degrees(vehicle.steer_angle) if wheel < 2 else 0.0

    @void
    def apply_physics_control(self, actor_id: int, physics: Any) -> None:
        """Kept and reported back; the bicycle model has no engine or tyre to set."""
        self._get(actor_id, Vehicle).physics = wire.decode_physics(physics)

    @value
    def get_actor_component_names(self, actor_id: int) -> list[str]:
        """None: actors have no named parts."""
        self._get(actor_id)
        return []

    def _get(self, actor_id: int, kind: type[Actor] = Actor) -> Any:
        return self._world.get(actor_id, kind)


def _physics(vehicle: Vehicle) -> list[Any]:
    kind = vehicle.kind
    half_base, half_track = kind.wheelbase / 2.0, kind.extent[1] * 0.8
    wheels = []
    for front in (1.0, -1.0):
        for side in (-1.0, 1.0):
            at = vehicle.pose.compose(CarlaPose(front * half_base, side * half_track, 0.35))
            angle = MAX_STEER_DEG if front > 0 else 0.0
            # CARLA reports wheel positions in centimetres and radii as well.
            centre = [100.0 * c for c in at.location]
            brake = 4000.0 if front < 0 else 0.0
            wheels.append([3.5, 0.25, angle, 35.0, 1500.0, brake, 3.0, 20.0, 3000.0, centre])
    return [
        [[0.0, 400.0], [890.0, 500.0], [5728.0, 400.0]],
        6000.0,
        1.0,
        0.15,
        2.0,
        0.35,
        True,
        0.5,
        10.0,
        4.0,
        [list(gear) for gear in _GEARS],
        kind.mass,
        0.3,
        [0.0, 0.0, -0.4],
        [list(point) for point in STEERING_CURVE],
        wheels,
        False,
    ]
