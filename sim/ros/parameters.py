"""The source node's parameters: declared with description and range, read into one object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seg_node.errors import ConfigError, problems_line
from seg_node.ros.parameters import Declared
from seg_node.share import share_dir
from seg_node_sim.client.drive import DriveRequest
from seg_node_sim.client.rig import load_rig
from seg_node_sim.client.weather import parse_weather

PARAMETERS = (
    Declared('host', '127.0.0.1', 'Host of the CARLA server.'),
    Declared('port', 2000, 'Control port of the CARLA server.', bounds=(1, 65535)),
    Declared('timeout', 10.0, 'Seconds that one call may take.', bounds=(0.5, 600.0)),
    Declared('town', '', "Town to load, e.g. Town10HD; empty: the server's present one."),
    Declared(
        'weather',
        'keep',
        'Preset such as HardRainNoon, random, NAME=VALUE,..., or keep.',
        live=True,
    ),
    Declared('rig', '', "Rig file in ros-bridge's objects.json form; empty: the shipped one."),
    Declared('role_name', 'ego_vehicle', 'Role name of the ego vehicle; part of every topic.'),
    Declared('seed', 0, 'Seed of spawn point, traffic and random weather.', bounds=(0, 2**31 - 1)),
    Declared('traffic', 0, 'Number of other vehicles.', bounds=(0, 500)),
    Declared(
        'traffic_port', 0, 'Port of the Traffic Manager; 0: any free one.', bounds=(0, 65535)
    ),
    Declared('fps', 20.0, 'Frames a simulated second.', bounds=(1.0, 200.0)),
    Declared(
        'pace',
        1.0,
        'Simulated seconds a real second at most; 0: as fast as it goes.',
        bounds=(0.0, 100.0),
    ),
    Declared('autopilot', True, 'Let the Traffic Manager drive the ego vehicle.'),
    Declared('reload', False, 'Load the town anew at the start, which empties it.'),
    Declared(
        'slower_percent',
        0.0,
        'Per cent below the speed limit; negative: above.',
        bounds=(-100.0, 100.0),
    ),
)


@dataclass(frozen=True)
class SourceSettings:
    """What to drive, and how fast."""

    request: DriveRequest
    pace: float


def read(node: Any) -> SourceSettings:
    """The parameters as they are now. Raises `ConfigError`."""
    value = {item.name: node.get_parameter(item.name).value for item in PARAMETERS}
    parse_weather(value['weather'])
    rig_file = Path(value['rig']) if value['rig'] else share_dir() / 'config' / 'rig.json'
    try:
        request = DriveRequest(
            host=value['host'],
            port=value['port'],
            timeout_s=value['timeout'],
            rig=load_rig(rig_file, value['role_name']),
            town=value['town'],
            weather=value['weather'],
            seed=value['seed'],
            traffic=value['traffic'],
            traffic_port=value['traffic_port'],
            fps=value['fps'],
            fresh=value['reload'],
            autopilot=value['autopilot'],
            slower_percent=value['slower_percent'],
        )
    except ValidationError as error:
        problems = [f'{".".join(map(str, e["loc"]))}: {e["msg"]}' for e in error.errors()]
        raise ConfigError(problems_line('parameters', problems)) from None
    return SourceSettings(request, value['pace'])
