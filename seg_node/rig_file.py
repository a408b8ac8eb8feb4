"""Rig files in the form of ros-bridge's `objects.json`: a vehicle, its sensors, where they stand.

What is here reads without pydantic, for launch files; `seg_node_sim.client.rig` checks each value.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seg_node.errors import ConfigError

AXES = ('x', 'y', 'z', 'roll', 'pitch', 'yaw')
"""Of a `spawn_point`: metres, and degrees in REP-103's sense."""


def read_rig(path: Path) -> Any:
    """The contents of a rig file, parsed. Raises `ConfigError`."""
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ConfigError(f'rig {path}: cannot be read: {error.strerror or error}') from None
    except RecursionError:
        raise ConfigError(f'rig {path}: not JSON: nested too deeply') from None
    except ValueError as error:
        raise ConfigError(f'rig {path}: not JSON: {error}') from None


def rig_objects(raw: Any, name: str) -> list[Any]:
    """The `objects` of a rig file's contents. Raises `ConfigError`."""
    objects = raw.get('objects') if isinstance(raw, dict) else None
    if not isinstance(objects, list):
        raise ConfigError(f'rig {name}: expected {{"objects": [...]}} as ros-bridge has it')
    return objects


def camera_mounts(path: Path) -> dict[str, dict[str, float]]:
    """By the id of a sensor, where its body stands on the vehicle: a number for each of `AXES`.

    Raises `ConfigError` for a file whose sensors cannot be read.
    """
    mounts = {}
    try:
        for thing in rig_objects(read_rig(path), str(path)):
            for sensor in thing.get('sensors', ()):
                written = sensor.get('spawn_point') or {}
                place = {axis: float(written.get(axis, 0.0)) for axis in AXES}
                if not all(map(math.isfinite, place.values())):
                    raise ValueError('not finite')
                mounts[str(sensor['id'])] = place
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        raise ConfigError(f'rig {path}: expected sensors with an id and finite places') from None
    return mounts


@dataclass(frozen=True)
class RgbCamera:
    """An RGB camera of a rig. vehicle: the vehicle's id, its role name. depth: the id of the depth
    camera that stands at the same place, '' where there is none.
    """

    name: str
    vehicle: str
    depth: str

    def topics(self, vehicle: str = '') -> dict[str, str]:
        """By our input's name, the topics that ros-bridge and our source give it.

        vehicle: the role name where that is another than the file's.
        """
        place = f'/carla/{vehicle or self.vehicle}'
        depth = f'{place}/{self.depth}' if self.depth else f'{place}/{self.name}/depth'
        return {
            'image': f'{place}/{self.name}/image',
            'camera_info': f'{place}/{self.name}/camera_info',
            'depth/image': f'{depth}/image',
            'depth/camera_info': f'{depth}/camera_info',
        }


def rgb_cameras(path: Path) -> tuple[RgbCamera, ...]:
    """The RGB cameras of the vehicles of a rig file, in its order. Raises `ConfigError`."""
    mounts = camera_mounts(path)
    cameras = []
    try:
        for thing in rig_objects(read_rig(path), str(path)):
            sensors = {str(s['id']): str(s.get('type', '')) for s in thing.get('sensors', ())}
            depths = [name for name, kind in sensors.items() if kind == 'sensor.camera.depth']
            for name, kind in sensors.items():
                if kind == 'sensor.camera.rgb':
                    same = (depth for depth in depths if mounts[depth] == mounts[name])
                    cameras.append(RgbCamera(name, str(thing['id']), next(same, '')))
    except (KeyError, TypeError):
        raise ConfigError(f'rig {path}: expected a vehicle with an id') from None
    return tuple(cameras)
