"""Calls about the server, the episode, the map, the weather and the Traffic Manager's register."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from seg_node.errors import InputError
from seg_node_sim.maps import town_names
from seg_node_sim.scene import Weather
from seg_node_sim.server import wire
from seg_node_sim.server.dispatch import raw, value, void
from seg_node_sim.server.net import Connection
from seg_node_sim.server.streams import StreamHub
from seg_node_sim.server.world import World

_LONGEST_STEP_S = 0.1


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

    def __init__(self, world: World, hub: StreamHub, pacer: Pacer, version: str) -> None:
        self._world = world
        self._hub = hub
        self._pacer = pacer
        self._version = version

    @value
    def version(self) -> str:
        return self._version

    @value
    def get_episode_info(self) -> list[Any]:
        return [self._world.episode, [self._world.stream.token]]

    @value
    def get_sensor_token(self, stream_id: int) -> list[Any]:
        token = self._hub.token(stream_id)
        if token is None:
            raise InputError(f'stream {stream_id} not found: its sensor was destroyed')
        return [token]

    @value
    def get_episode_settings(self) -> list[Any]:
        return wire.encode_settings(self._world.settings)

    @value
    def set_episode_settings(self, settings: Any) -> int:
        self._world.settings = wire.decode_settings(settings)
        return self._world.frame

    @value
    def tick_cue(self) -> int:
        return self._world.tick(self._pacer.step(self._world.settings))

    @value
    def get_map_info(self) -> list[Any]:
        points = [wire.encode_transform(p) for p in self._world.town.spawn_points]
        return [self._world.map_name, points]

    @value
    def get_map_data(self) -> str:
        return self._world.town.xodr

    @value
    def get_required_files(self, folder: str = '') -> list[str]:
        return []

    @value
    def get_available_maps(self) -> list[str]:
        return [f'/Game/Carla/Maps/{name}' for name in town_names()]

    @void
    def load_new_episode(self, name: str, reset_settings: bool = True, layers: int = 0) -> None:
        self._world.load(name)
        if reset_settings:
            self._world.settings = wire.EpisodeSettings()

    @void
    def copy_opendrive_to_file(self, xodr: str, parameters: Any = None) -> None:
        self._world.read_opendrive(xodr)

    @void
    def load_map_layer(self, layers: int) -> None:
        """Towns have one layer, always there."""

    @void
    def unload_map_layer(self, layers: int) -> None:
        """As `load_map_layer`."""

    @value
    def get_actor_definitions(self) -> list[Any]:
        return self._world.library.encode()

    @value
    def get_weather_parameters(self) -> list[float]:
        return list(self._world.weather.values())

    @void
    def set_weather_parameters(self, values: Any) -> None:
        try:
            self._world.weather = Weather.from_values(values)
        except ValueError as error:
            raise InputError(str(error)) from error

    @value
    def query_lights_state(self, client: str = '') -> list[Any]:
        return []

    @value
    def get_environment_objects(self, tag: int = 0) -> list[Any]:
        return []

    @value
    def get_all_level_BBs(self, tag: int = 0) -> list[Any]:
        return []

    @value
    def get_names_of_all_objects(self) -> list[Any]:
        return []

    @value
    def get_light_boxes(self, light_id: int = 0) -> list[Any]:
        return []

    @value
    def get_group_traffic_lights(self, light_id: int = 0) -> list[Any]:
        return []

    @void
    def reset_all_traffic_lights(self) -> None:
        """Towns have no traffic lights that change."""

    @void
    def freeze_all_traffic_lights(self, frozen: bool = True) -> None:
        """As `reset_all_traffic_lights`."""

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
        return False


class TrafficManagerRegister:
    """Which client processes run a Traffic Manager, by port; forgotten when they vanish."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[str, Connection | None]] = {}
        self.caller: Connection | None = None

    def forget(self, connection: Connection) -> None:
        """A client is gone, and with it the Traffic Manager inside it."""
        self._running = {p: r for p, r in self._running.items() if r[1] is not connection}

    @value
    def is_traffic_manager_running(self, port: int) -> bool:
        return port in self._running

    @value
    def get_traffic_manager_running(self, port: int) -> list[Any]:
        return [self._running[port][0], port] if port in self._running else ['', 0]

    @value
    def add_traffic_manager_running(self, address: Any) -> bool:
        host, port = address
        if port in self._running:
            return False
        self._running[int(port)] = (str(host), self.caller)
        return True

    @void
    def destroy_traffic_manager(self, port: int) -> None:
        self._running.pop(port, None)


class TickCalls:
    """The batch call's wish for a tick after its commands."""

    def __init__(self, episode: EpisodeCalls, apply: Any) -> None:
        self._episode = episode
        self._apply = apply

    @raw
    def apply_batch(self, commands: list[Any], do_tick: bool = False) -> list[Any]:
        answers = self._apply(commands)
        if do_tick:
            self._episode.tick_cue()
        return answers
