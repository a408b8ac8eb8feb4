"""The source node's parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from seg_node.errors import ConfigError, problems_line, validation_problems
from seg_node.ros.declared import parameter
from seg_node.share import share_dir
from seg_node_sim.client.drive import DriveRequest
from seg_node_sim.client.frames_ros import SKY_DEPTHS, SkyDepth
from seg_node_sim.client.rig import load_rig
from seg_node_sim.client.weather import parse_weather


@dataclass(frozen=True)
class SourceSettings:
    """Parameters of the node `carla_source`."""

    host: str = parameter('127.0.0.1', 'Host of the CARLA server.')
    port: int = parameter(2000, 'Control port of the CARLA server.', bounds=(1, 65535))
    timeout: float = parameter(10.0, 'Seconds that one call may take.', bounds=(0.5, 600.0))
    town: str = parameter('', "Town to load, e.g. Town10HD; empty: the server's present one.")
    weather: str = parameter(
        'keep', 'Preset such as HardRainNoon, random, NAME=VALUE,..., or keep.', live=True
    )
    rig: str = parameter('', "Rig file in ros-bridge's objects.json form; empty: the shipped one.")
    role_name: str = parameter('ego_vehicle', 'Role name of the ego vehicle; part of every topic.')
    seed: int = parameter(
        0, 'Seed of spawn point, traffic and random weather.', bounds=(0, 2**31 - 1)
    )
    traffic: int = parameter(0, 'Number of other vehicles.', bounds=(0, 500))
    traffic_port: int = parameter(
        0, 'Port of the Traffic Manager; 0: any free one.', bounds=(0, 65535)
    )
    fps: float = parameter(20.0, 'Frames a simulated second.', bounds=(1.0, 200.0))
    pace: float = parameter(
        1.0,
        'Simulated seconds a real second at most; 0: as fast as it goes.',
        bounds=(0.0, 100.0),
    )
    sky_depth: SkyDepth = parameter(
        'unknown',
        'The sky in depth images: unknown (0), or far (1000 m, as ros-bridge has it).',
        choices=SKY_DEPTHS,
    )
    autopilot: bool = parameter(True, 'Let the Traffic Manager drive the ego vehicle.')
    reload: bool = parameter(False, 'Load the town anew at the start, which empties it.')
    slower_percent: float = parameter(
        0.0, 'Per cent below the speed limit; negative: above.', bounds=(-100.0, 100.0)
    )

    def __post_init__(self) -> None:
        parse_weather(self.weather)

    @cached_property
    def request(self) -> DriveRequest:
        """What to drive. Raises `ConfigError`, also for a rig that cannot be read."""
        rig_file = Path(self.rig) if self.rig else share_dir() / 'config' / 'rig.json'
        try:
            return DriveRequest(
                host=self.host,
                port=self.port,
                timeout_s=self.timeout,
                rig=load_rig(rig_file, self.role_name),
                town=self.town,
                weather=self.weather,
                seed=self.seed,
                traffic=self.traffic,
                traffic_port=self.traffic_port,
                fps=self.fps,
                fresh=self.reload,
                autopilot=self.autopilot,
                slower_percent=self.slower_percent,
            )
        except ValidationError as error:
            raise ConfigError(problems_line('parameters', validation_problems(error))) from None
