"""Transport settings that camera frames need; see docs/transport.md.

Nothing here imports rclpy: it has to run before rclpy starts.
"""

from __future__ import annotations

import os
import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from seg_node.errors import ConfigError
from seg_node.share import share_dir

PROFILE_VARIABLE = 'FASTDDS_DEFAULT_PROFILES_FILE'
COPIED_VARIABLE = 'SEG_NODE_COPIED_PROFILE'
"""Names the profile while a process's own copy of it is in effect: see shared_memory.py."""
_OLD_VARIABLE = 'FASTRTPS_DEFAULT_PROFILES_FILE'
_MEBIBYTE = 1024 * 1024
_NEEDED_SEGMENT = 12 * _MEBIBYTE
"""Bytes of shared memory below which frames of 1280x720 get lost."""
_WANTED_SEGMENT = 32 * _MEBIBYTE
"""Bytes of shared memory below which frames of 1920x1080 get lost."""
ROOMY = 512 * _MEBIBYTE
"""Free bytes in /dev/shm for eight processes with the large profile."""
SHARED_MEMORY = Path('/dev/shm')


@dataclass(frozen=True)
class Transport:
    """What is known of the transport: `fit` for camera frames, and one line that says why."""

    fit: bool
    message: str


def profile_path(free: int | None = None) -> Path:
    """The Fast DDS profile that ships with the package and fits this machine.

    `free` is the room in /dev/shm in bytes. Fast DDS takes a process's segment whole when it
    starts; where that fails the process is left with UDP, which loses most camera frames. A
    container has 64 MiB unless told otherwise, so little room means `fastdds_small.xml`.
    """
    room = free_shared_memory() if free is None else free
    name = 'fastdds.xml' if room >= ROOMY else 'fastdds_small.xml'
    return share_dir() / 'config' / name


def free_shared_memory() -> int:
    """Bytes free in /dev/shm; 0 where there is none."""
    try:
        return shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return 0


def use_shipped_profile() -> None:
    """Let this process use the shipped profile unless the user has chosen one."""
    if PROFILE_VARIABLE not in os.environ and _OLD_VARIABLE not in os.environ:
        try:
            os.environ[PROFILE_VARIABLE] = str(profile_path())
        except ConfigError:
            return  # inspect() says that no profile is in effect


def is_shipped_profile(path: str) -> bool:
    """Whether `path` is one of the profiles that ship with the package."""
    try:
        folder = share_dir() / 'config'
        # The folder's, not the file's: colcon's --symlink-install links each file elsewhere.
        return bool(path) and Path(path).parent.resolve() == folder.resolve()
    except (ConfigError, OSError):
        return False


def inspect(environment: dict[str, str] | None = None, free: int | None = None) -> Transport:
    """Whether the DDS settings of the environment and /dev/shm let camera frames through.

    `free` is the room in /dev/shm in bytes; it counts unless this process has its segment.
    """
    env = dict(os.environ) if environment is None else environment
    rmw = env.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
    if rmw not in ('rmw_fastrtps_cpp', 'rmw_fastrtps_dynamic_cpp'):
        return Transport(True, f'{rmw}: the Fast DDS profile does not apply')
    profile = env.get(COPIED_VARIABLE) or env.get(PROFILE_VARIABLE) or env.get(_OLD_VARIABLE)
    advice = f'export {PROFILE_VARIABLE}=<share/seg_node>/config/fastdds.xml on both ends'
    if not profile:
        return Transport(False, f'no Fast DDS profile, large frames will be lost: {advice}')
    try:
        segment = _segment_size(Path(profile))
    except (OSError, ValueError, ET.ParseError) as error:
        return Transport(False, f'Fast DDS profile {profile} cannot be read ({error}): {advice}')
    if segment < _NEEDED_SEGMENT:
        return Transport(
            False,
            f'Fast DDS profile {profile}: expected a shared-memory segment of at least '
            f'{_NEEDED_SEGMENT} bytes, got {segment or "the default"}: {advice}',
        )
    room = free_shared_memory() if free is None else free
    if room < segment and _largest_mapped() < segment:
        return Transport(
            False,
            f'Fast DDS profile {profile} wants {segment >> 20} MiB of shared memory, /dev/shm has '
            f'{room >> 20} MiB: frames go over UDP and get lost; in Docker: --shm-size=1g',
        )
    small = '' if segment >= _WANTED_SEGMENT else ', enough for 1280x720; in Docker: --shm-size=1g'
    return Transport(
        True, f'Fast DDS profile {profile}, {segment >> 20} MiB of shared memory{small}'
    )


def _largest_mapped() -> int:
    """Bytes of the largest Fast DDS segment that this process has mapped."""
    try:
        lines = Path('/proc/self/maps').read_text(encoding='utf-8').splitlines()
    except OSError:
        return 0
    ranges = [line.split()[0].split('-') for line in lines if f'{SHARED_MEMORY}/fastdds_' in line]
    return max((int(end, 16) - int(start, 16) for start, end in ranges), default=0)


def _segment_size(path: Path) -> int:
    """Largest `segment_size` of the profile in bytes; 0 when it has none."""
    sizes = [
        int(element.text or 0)
        for element in ET.parse(path).iter()
        if element.tag.rpartition('}')[2] == 'segment_size'
    ]
    return max(sizes, default=0)
