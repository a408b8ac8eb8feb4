"""Shared memory of Fast DDS after a process was killed: what it leaves, and its port number.

A segment (64 MiB with the shipped profile) and the files of a port stay behind, until /dev/shm is
full and a new process is left with UDP alone. And while other processes still send to the dead
one, until its lease ends, they create and remove the port of that number again and again. A
process that opens the same number just then can end up with a port that nobody else sees, and
gets no frames for good (eProsima/Fast-DDS, issues 2811 and 5469, pull request 4737; the files are
those of its `SharedMemGlobal.hpp` and `RobustExclusiveLock.hpp`). A node that is started again
would get the very number back, so each process takes another one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from seg_node.transport import (
    COPIED_VARIABLE,
    PROFILE_VARIABLE,
    SHARED_MEMORY,
    is_shipped_profile,
)

_LOCK = re.compile(r'(fast(?:dds|rtps)_(?:port\d+|[0-9a-f]{16}))_[es]l')
"""Lock file of a port or segment: locked while the process that reads there lives."""
_PORT = re.compile(r'fast(?:dds|rtps)_port(\d+)')
_YOUNG_S = 2.0
"""A lock file may be so old before its process has locked it."""
_BASE, _DOMAIN_GAIN, _META, _USER, _ID_GAIN = 7400, 250, 10, 11, 2
"""Port numbers of a domain (DDSI-RTPS 2.5, 9.6.2.3): base, domains, discovery, data, ids."""
_IDS = 120
"""Participants that a domain has numbers for."""


def clear_dead(folder: Path = SHARED_MEMORY) -> int:
    """Remove the ports and segments whose process has died; how many those were.

    As `fastdds shm clean` does: what a living process has locked stays, and so does what belongs
    to another user.
    """
    removed = 0
    with contextlib.suppress(OSError):
        for lock in sorted(folder.iterdir()):
            name = _LOCK.fullmatch(lock.name)
            if name is not None and _is_dead(lock):
                with contextlib.suppress(OSError):
                    lock.with_name(name[1]).unlink(missing_ok=True)
                    lock.with_name(f'sem.{name[1]}_mutex').unlink(missing_ok=True)
                    lock.unlink(missing_ok=True)
                    removed += 1
    return removed


def _is_dead(lock: Path) -> bool:
    try:
        if time.time() - lock.stat().st_mtime < _YOUNG_S:
            return False
        with lock.open('rb') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # locked, gone, or another user's
        return False
    return True


@contextlib.contextmanager
def own_port() -> Iterator[None]:
    """Within, the process's first ROS node gets a port number for data that no other had lately.

    By a copy of the shipped profile with another `offsetd3`. The number stays among those of the
    domain, which firewalls let through. A profile of the user's is left alone.
    """
    shipped = os.environ.get(PROFILE_VARIABLE, '')
    offset = _offset(os.environ.get('ROS_DOMAIN_ID') or '0')
    with contextlib.ExitStack() as stack:
        if offset is not None and is_shipped_profile(shipped):
            with contextlib.suppress(
                OSError
            ):  # without one's own port where nothing can be written
                copy = stack.enter_context(_copy(shipped, offset))
                stack.callback(os.environ.update, {PROFILE_VARIABLE: shipped})
                stack.callback(os.environ.pop, COPIED_VARIABLE)
                os.environ.update({PROFILE_VARIABLE: copy, COPIED_VARIABLE: shipped})
        yield


@contextlib.contextmanager
def _copy(shipped: str, offset: int) -> Iterator[str]:
    text = Path(shipped).read_text(encoding='utf-8')
    port = f'<rtps>\n        <port><offsetd3>{offset}</offsetd3></port>'
    with tempfile.NamedTemporaryFile('w', prefix='seg_node_', suffix='.xml') as copy:
        copy.write(text.replace('<rtps>', port, 1))
        copy.flush()
        yield copy.name


def _offset(domain: str) -> int | None:
    """`offsetd3` that leads to a port of which /dev/shm has no trace; None for no such domain."""
    if not domain.isdecimal() or int(domain) > 232:
        return None
    base = _BASE + _DOMAIN_GAIN * int(domain)
    names = (_PORT.search(path.name) for path in SHARED_MEMORY.glob('*fast*_port*'))
    used = {int(name[1]) for name in names if name}
    free = next((i for i in range(_IDS) if _is_free(base + _META + _ID_GAIN * i)), 0)
    offsets = range(_USER + _ID_GAIN, _USER + _ID_GAIN * (_IDS - free), _ID_GAIN)
    unused = [offset for offset in offsets if base + offset + _ID_GAIN * free not in used]
    return random.choice(unused or offsets)


def _is_free(port: int) -> bool:
    """Whether the UDP port can be had: the first for discovery settles a participant's id."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(('', port))
        except OSError:
            return False
    return True
