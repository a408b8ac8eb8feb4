"""Transport and allocator settings that camera frames need; see docs/transport.md.

Nothing here imports rclpy: it has to run before rclpy starts.
"""

from __future__ import annotations

import ctypes
import os
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from seg_node.errors import ConfigError
from seg_node.share import share_dir

PROFILE_VARIABLE = 'FASTDDS_DEFAULT_PROFILES_FILE'
_OLD_VARIABLE = 'FASTRTPS_DEFAULT_PROFILES_FILE'
_NEEDED_SEGMENT = 32 * 1024 * 1024
"""Bytes of shared memory below which frames of 1920x1080 get lost."""


@dataclass(frozen=True)
class Transport:
    """What is known of the transport: `fit` for camera frames, and one line that says why."""

    fit: bool
    message: str


def profile_path() -> Path:
    """The Fast DDS profile that ships with the package."""
    return share_dir() / 'config' / 'fastdds.xml'


def use_shipped_profile() -> None:
    """Let this process use the shipped profile unless the user has chosen one."""
    if PROFILE_VARIABLE not in os.environ and _OLD_VARIABLE not in os.environ:
        try:
            os.environ[PROFILE_VARIABLE] = str(profile_path())
        except ConfigError:
            return  # inspect() says that no profile is in effect


def tune_allocator() -> bool:
    """Keep big message buffers inside the process instead of mapping each anew (glibc mallopt).

    Halves the time of a 1280x720 frame. False where the C library has no mallopt.
    """
    m_trim_threshold, m_top_pad, m_mmap_threshold = -1, -2, -3
    mebibyte = 1024 * 1024
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((m_mmap_threshold, 32), (m_trim_threshold, 512), (m_top_pad, 64))
    return all(mallopt(what, size * mebibyte) == 1 for what, size in settings)


def inspect(environment: dict[str, str] | None = None) -> Transport:
    """Whether the environment's DDS settings let camera frames through."""
    env = dict(os.environ) if environment is None else environment
    rmw = env.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
    if rmw not in ('rmw_fastrtps_cpp', 'rmw_fastrtps_dynamic_cpp'):
        return Transport(True, f'{rmw}: the Fast DDS profile does not apply')
    given = env.get(PROFILE_VARIABLE) or env.get(_OLD_VARIABLE)
    advice = f'export {PROFILE_VARIABLE}=<share/seg_node>/config/fastdds.xml on both ends'
    if not given:
        return Transport(False, f'no Fast DDS profile, large frames will be lost: {advice}')
    try:
        segment = _segment_size(Path(given))
    except (OSError, ValueError, ET.ParseError) as error:
        return Transport(False, f'Fast DDS profile {given} cannot be read ({error}): {advice}')
    if segment < _NEEDED_SEGMENT:
        return Transport(
            False,
            f'Fast DDS profile {given}: expected a shared-memory segment of at least '
            f'{_NEEDED_SEGMENT} bytes, got {segment or "the default"}: {advice}',
        )
    return Transport(True, f'Fast DDS profile {given}, {segment >> 20} MiB of shared memory')


def _segment_size(path: Path) -> int:
    """Largest `segment_size` of the profile in bytes; 0 when it has none."""
    sizes = [
        int(element.text or 0)
        for element in ET.parse(path).iter()
        if element.tag.rpartition('}')[2] == 'segment_size'
    ]
    return max(sizes, default=0)
