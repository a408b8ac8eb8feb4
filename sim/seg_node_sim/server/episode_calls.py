"""Calls about the server, the episode, the map, the weather and the Traffic Manager's register."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from seg_node.errors import InputError
from seg_node_sim.maps import town_names
from seg_node_sim.server import wire
from seg_node_sim.server.dispatch import raw, value, void
from seg_node_sim.server.net import Connection
from seg_node_sim.server.streams import StreamHub
from seg_node_sim.server.world import World

_LONGEST_STEP_S = 0.1
# Shortest tick while a Traffic Manager runs.  The client (0.9.16) loses a wake-up, and hangs for
# ever, when the next tick ends before its Traffic Manager's thread has gone back to waiting:
# `seg_node_sim.client.tick_watch` says how.  Ticks of a real server are never as short.
_BREATH_S = 0.003
_GROUND = 25  # semantic tag
MAX_OPENDRIVE = 16 << 20  # characters


class Pacer:
    """Time steps: fixed where the settings say so, else the real time since the last one."""

    def __init__(self, fps: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.fps = fps
        self._clock = clock
        self._last = self._due = clock()

    def due_in(self) -> float:
        """Seconds until the next tick of an asynchronous world."""
        return max(0.0, self._due - self._clock())

    def step(self, settings: wire.EpisodeSettings) -> float:
        """Simulated seconds of the tick that begins now."""
        now = self._clock()
        real, fixed = now - self._last, settings.fixed_delta_seconds
        self._last = now
        # A late tick makes the next one early, but lost time is not made up for by a rush; ticks
        # of a client that runs ahead of real time do not delay the next one of ours.
        period = fixed or 1.0 / self.fps
        self._due = min(max(self._due + period, now), now + period)
        return fixed or min(max(real, 1e-3), _LONGEST_STEP_S)


class EpisodeCalls:
    """Everything that is not about one actor."""

    def __init__(
        self,
        world: World,
        hub: StreamHub,
        pacer: Pacer,
        version: str,
        managers: TrafficManagerRegister,
    ) -> None:
        self._managers = managers
        self._world = world
        self._hub = hub
        self._pacer = pacer
        self._version = version

    @value
    def version(self) -> str:
        """The version of CARLA that the server says it is."""
        return self._version

    @value
    def get_episode_info(self) -> list[Any]:
        """[episode number, [token of the world's stream]]."""
        return [self._world.episode, [self._world.stream.token]]

    @value
    def get_sensor_token(self, stream_id: int) -> list[Any]:
        """[token] of a sensor's stream; InputError when the sensor is gone."""
        token = self._hub.token(stream_id)
        if token is None:
            raise InputError(f'stream {stream_id} not found: its sensor was destroyed')
        return [token]

    @value
    def get_episode_settings(self) -> list[Any]:
        """The struct of `carla.WorldSettings`."""
        return wire.encode_settings(self._world.settings)

    @value
    def set_episode_settings(self, settings: Any) -> int:
        """Takes effect with the next tick; the present frame."""
        self._world.settings = wire.decode_settings(settings)
        return self._world.frame

    @value
    def tick_cue(self) -> int:
        """One step of the world in synchronous mode; the new frame."""
        begun = time.monotonic()
        frame = self._world.tick(self._pacer.step(self._world.settings))
        if self._managers.running:
            time.sleep(max(0.0, begun + _BREATH_S - time.monotonic()))
        return frame

    @value
    def get_map_info(self) -> list[Any]:
        """[name of the map, recommended spawn points]."""
        points = [wire.encode_transform(p) for p in self._world.town.spawn_points]
        return [self._world.map_name, points]

    @value
    def get_map_data(self) -> str:
        """The map's OpenDRIVE text."""
        return self._world.town.xodr

    @value
    def get_required_files(self, folder: str = '') -> list[str]:
        """None: clients need no navigation mesh of this server."""
        return []

    @value
    def get_available_maps(self) -> list[str]:
        """The towns' names, as paths of CARLA's assets."""
        return [f'/Game/Carla/Maps/{name}' for name in town_names()]

    @void
    def load_new_episode(self, name: str, reset_settings: bool = True, layers: int = 0) -> None:
        """A town by its name, with default settings if wanted. InputError: no such town."""
        self._world.load(name)
        if reset_settings:
            self._world.settings = wire.EpisodeSettings()

    @void
    def copy_opendrive_to_file(self, xodr: Any, parameters: Any = None) -> None:
        """Keeps an OpenDRIVE text for a load of 'OpenDriveMap'. InputError: not usable."""
        self._world.read_opendrive(wire.text(xodr, 'OpenDRIVE', MAX_OPENDRIVE))

    @void
    def load_map_layer(self, layers: int) -> None:
        """Towns have one layer, always there."""

    @void
    def unload_map_layer(self, layers: int) -> None:
        """As `load_map_layer`."""

    @value
    def get_actor_definitions(self) -> list[Any]:
        """The blueprint library."""
        return self._world.library.encode()

    @value
    def get_weather_parameters(self) -> list[float]:
        """The 14 numbers of `carla.WeatherParameters`."""
        return list(self._world.weather.values())

    @void
    def set_weather_parameters(self, values: Any) -> None:
        """The weather from the next tick on."""
        self._world.weather = wire.decode_weather(values)

    @value
    def query_lights_state(self, client: str = '') -> list[Any]:
        """None: street lamps follow the sun and are no objects."""
        return []

    @value
    def get_environment_objects(self, tag: int = 0) -> list[Any]:
        """None: scenery is no object here."""
        return []

    @value
    def get_all_level_BBs(self, tag: int = 0) -> list[Any]:
        """None, as `get_environment_objects`."""
        return []

    @value
    def get_names_of_all_objects(self) -> list[Any]:
        """None, as `get_environment_objects`."""
        return []

    @value
    def get_light_boxes(self, light_id: int = 0) -> list[Any]:
        """None: there are no traffic lights that change."""
        return []

    @value
    def get_group_traffic_lights(self, light_id: int = 0) -> list[Any]:
        """None, as `get_light_boxes`."""
        return []

    @void
    def reset_all_traffic_lights(self) -> None:
        """Towns have no traffic lights that change."""

    @void
    def freeze_all_traffic_lights(self, frozen: bool = True) -> None:
        """As `reset_all_traffic_lights`."""

    @value
    def project_point(self, start: Any, direction: Any, reach: float) -> list[Any]:
        """[hit, [location, tag]]: where a ray meets the ground, which is flat; nothing else."""
        x, y, z = wire.decode_location(start)
        dx, dy, dz = wire.decode_vector(direction, 'direction')
        below = z - self._world.roads.ground_z(x, y)
        if dz >= 0.0 or below < 0.0 or below / -dz * math.hypot(dx, dy, dz) > reach:
            return [False, [[0.0, 0.0, 0.0], 0]]
        along = below / -dz
        return [True, [[x + along * dx, y + along * dy, z + along * dz], _GROUND]]

    @value
    def start_recorder(self, name: str, additional: bool = False) -> str:
        """Path of the log; additional data (bones, lights) are not part of this world."""
        return self._world.recorder.start(name, self._world.town.name)

    @void
    def stop_recorder(self) -> None:
        """Ends a running recording."""
        self._world.recorder.stop()

    @void
    def draw_debug_shape(self, shape: Any) -> None:
        """Debug shapes would spoil the exact images: accepted, not drawn."""

    @void
    def clear_debug_shape(self) -> None:
        """Nothing was drawn."""

    @void
    def enable_sensor_for_ros(self, stream_id: int) -> None:
        """Native ROS 2 is not served; clients of it use the source node."""

    @void
    def disable_sensor_for_ros(self, stream_id: int) -> None:
        """As `enable_sensor_for_ros`."""

    @value
    def is_sensor_enabled_for_ros(self, stream_id: int) -> bool:
        """Never, see `enable_sensor_for_ros`."""
        return False


class TrafficManagerRegister:
    """Which client processes run a Traffic Manager, by port; forgotten when they vanish."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[str, Connection | None]] = {}
        self.caller: Connection | None = None

    @property
    def running(self) -> bool:
        """Whether any client drives traffic."""
        return bool(self._running)

    def forget(self, connection: Connection) -> None:
        """A client is gone, and with it the Traffic Manager inside it."""
        self._running = {p: r for p, r in self._running.items() if r[1] is not connection}

    @value
    def is_traffic_manager_running(self, port: int) -> bool:
        """Whether a client has one at this port."""
        return port in self._running

    @value
    def get_traffic_manager_running(self, port: int) -> list[Any]:
        """[host, port], or ['', 0] where none runs there."""
        return [self._running[port][0], port] if port in self._running else ['', 0]

    @value
    def add_traffic_manager_running(self, address: Any) -> bool:
        """Registers the caller's; False when the port is taken."""
        host, port = wire.items(address, 2, 'address')[:2]
        port = wire.whole(port, 'port', 1, 65535)
        if port in self._running:
            return False
        self._running[port] = (wire.text(host, 'host', 255), self.caller)
        return True

    @void
    def destroy_traffic_manager(self, port: int) -> None:
        """Forgets the one at this port."""
        self._running.pop(port, None)


class TickCalls:
    """The batch call's wish for a tick after its commands."""

    def __init__(self, episode: EpisodeCalls, apply: Any) -> None:
        self._episode = episode
        self._apply = apply

    @raw
    def apply_batch(self, commands: list[Any], do_tick: bool = False) -> list[Any]:
        """An answer for each command, [error, actor id]; then a tick if wanted."""
        answers: list[Any] = self._apply(commands)
        if do_tick:
            self._episode.tick_cue()
        return answers
