"""Stream type ids of the sensors; they move with CARLA's version.

Read from the symbol tables of the clients: the ids are the positions in one compile-time list,
in which 0.9.16 put a camera before the world snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass

from seg_node.errors import ConfigError


@dataclass(frozen=True)
class SensorIds:
    """Type ids written into the header of every streamed message.

    north: sign of y in the latitude of GNSS, which moved with the version too.
    """

    collision: int = 0
    depth: int = 1
    gnss: int = 4
    imu: int = 5
    obstacle: int = 7
    radar: int = 9
    semantic_lidar: int = 10
    lidar: int = 11
    rgb: int = 13
    semantic: int = 14
    instance: int = 15
    world: int = 17
    north: float = 1.0


def sensor_ids(version: str) -> SensorIds:
    """Ids for an announced version such as '0.9.16', '0.9.15' or '0.10.0'.

    Raises ConfigError when the text is not a version or lies before 0.9.13, whose snapshot and
    image layouts are others.
    """
    try:
        parts = tuple(int(p) for p in version.split('-')[0].split('.'))
    except ValueError:
        parts = ()
    if len(parts) < 2:
        raise ConfigError(f'announce: expected a CARLA version like 0.9.16, got {version!r}')
    if parts < (0, 9, 13):
        raise ConfigError(f'announce: expected CARLA 0.9.13 or later, got {version}')
    is_0_9_16 = (0, 9, 16) <= parts < (0, 10)
    return SensorIds() if is_0_9_16 else SensorIds(world=16, north=-1.0)
