"""Other vehicles, and the Traffic Manager that drives them and the ego vehicle.

The Traffic Manager is part of this process (see docs/carla.md): it is put into synchronous mode
before it drives anything, and shut down before actors vanish, towns change, or the world goes back
to asynchronous mode. Forgetting one of these ends the process.
"""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from seg_node.errors import ConfigError, first_line
from seg_node_sim.client.carla_api import require_carla
from seg_node_sim.client.errors import ServerError
from seg_node_sim.client.session import Session
from seg_node_sim.client.tick_watch import TickWatch

_NEAR_M = 140.0
_REST_S = 0.02


def free_port() -> int:
    """A TCP port that nobody listens on now; the Traffic Manager listens on all interfaces."""
    with socket.socket() as probe:
        probe.bind(('', 0))
        return int(probe.getsockname()[1])


def check_port(port: int) -> None:
    """Raise `ConfigError` when `port` is in use on this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('', port))
        except OSError as error:
            raise ConfigError(f'traffic manager port {port}: {error.strerror}') from None


@dataclass
class Traffic:
    """The Traffic Manager of one drive and what it has spawned."""

    session: Session
    seed: int
    port: int
    role_name: str
    vehicles: list[Any] = field(default_factory=list)
    _manager: Any = None

    @classmethod
    def start(
        cls,
        session: Session,
        seed: int,
        port: int,
        role_name: str,
        say: Callable[[str], None] = lambda _: None,
        hangs: Callable[[], None] = lambda: None,
    ) -> Traffic:
        """Start a Traffic Manager on `port` (0: any free one). The world must be synchronous.

        `hangs` is called, in another thread, when a tick hangs in it for good.
        """
        if port:
            check_port(port)
        port = port or free_port()
        try:
            manager = session.client.get_trafficmanager(port)
            manager.set_synchronous_mode(True)
            manager.set_random_device_seed(seed & 0x7FFFFFFF)
            manager.set_hybrid_physics_mode(False)
            manager.set_global_distance_to_leading_vehicle(3.0)
        except RuntimeError as error:
            raise ServerError(f'traffic manager on port {port}: {first_line(error)}') from None
        session.watch = TickWatch(port, say, hangs)
        return cls(session, seed, port, role_name, _manager=manager)

    def spawn(self, count: int, around: Any) -> None:
        """Spawn up to `count` vehicles on free spawn points, near `around` (carla.Location) first.

        Fewer come where the town has fewer free points.
        """
        if count <= 0:
            return
        draw = random.Random(f'traffic {self.seed}')
        points = [
            p
            for p in self.session.world.get_map().get_spawn_points()
            if p.location.distance(around) > 7.0
        ]
        draw.shuffle(points)
        points.sort(key=lambda p: p.location.distance(around) > _NEAR_M)
        carla = require_carla()
        commands = [
            carla.command.SpawnActor(self._blueprint(draw), point) for point in points[:count]
        ]
        answers = self.session.client.apply_batch_sync(commands, False)
        ids = [answer.actor_id for answer in answers if not answer.has_error()]
        # Actors are known to the client only after the next tick.
        self.session.tick(self.session.address.timeout_s)
        self.vehicles = list(self.session.world.get_actors(ids))
        for vehicle in sorted(self.vehicles, key=lambda v: v.id):
            self.drive(vehicle, slower_percent=draw.uniform(-5.0, 45.0))

    def drive(self, vehicle: Any, slower_percent: float = 0.0, lane_changes: bool = True) -> None:
        """Put a vehicle on autopilot, `slower_percent` below the speed limit."""
        vehicle.set_autopilot(True, self.port)
        manager = self._manager
        manager.vehicle_percentage_speed_difference(vehicle, slower_percent)
        manager.auto_lane_change(vehicle, lane_changes)
        with contextlib.suppress(RuntimeError, AttributeError):  # since 0.9.13
            manager.update_vehicle_lights(vehicle, True)

    def offset(self, vehicle: Any, metres: float) -> None:
        """Drive `metres` to the right of the lane's middle."""
        self._manager.vehicle_lane_offset(vehicle, metres)

    def shut_down(self) -> None:
        """Stop driving. Before anything that it knows of is destroyed."""
        manager, self._manager = self._manager, None
        if manager is None:
            return
        watch, self.session.watch = self.session.watch, None
        if watch is not None:
            watch.stop()
        # Its thread must have come to rest: the wake-up that ends it can be lost like any other.
        time.sleep(_REST_S)
        with contextlib.suppress(RuntimeError):
            manager.shut_down()

    def destroy(self) -> None:
        """Remove the vehicles; after `shut_down`."""
        carla = require_carla()
        vehicles, self.vehicles = self.vehicles, []
        if vehicles:
            commands = [carla.command.DestroyActor(v.id) for v in vehicles]
            with contextlib.suppress(RuntimeError):
                self.session.client.apply_batch_sync(commands, False)

    def _blueprint(self, draw: random.Random) -> Any:
        library = sorted(
            self.session.world.get_blueprint_library().filter('vehicle.*'), key=lambda b: b.id
        )
        four = [b for b in library if int(b.get_attribute('number_of_wheels')) == 4]
        # A motorcycle or bicycle now and then: they are a third of the catalogue, not of traffic.
        blueprint = draw.choice(library if draw.random() < 0.15 else four)
        if blueprint.has_attribute('color'):
            values = blueprint.get_attribute('color').recommended_values
            blueprint.set_attribute('color', draw.choice(values))
        blueprint.set_attribute('role_name', traffic_role(self.role_name))
        return blueprint


def traffic_role(role_name: str) -> str:
    """Role name of the vehicles around the ego vehicle `role_name`."""
    return f'{role_name}_traffic'
