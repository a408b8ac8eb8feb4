"""What this process asks of the allocator, and what the machine under it can do.

One place for glibc's numbers and for `/proc/cpuinfo`; every process of ours takes them from here.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

_MEBIBYTE = 1024 * 1024
# glibc's <malloc.h>: name of the tunable, number of mallopt's parameter, bytes.
_MALLOC = (
    ('MALLOC_MMAP_THRESHOLD_', -3, 32 * _MEBIBYTE),
    ('MALLOC_TRIM_THRESHOLD_', -1, 512 * _MEBIBYTE),
    ('MALLOC_TOP_PAD_', -2, 64 * _MEBIBYTE),
)
_CPUINFO = Path('/proc/cpuinfo')

ALLOCATOR = {name: str(size) for name, _, size in _MALLOC}
"""glibc's variables for what `tune_allocator` sets by mallopt: for processes that are not ours."""


def tune_allocator() -> bool:
    """Keep big message buffers inside the process instead of mapping each anew (glibc mallopt).

    Halves the time of a 1280x720 frame. False where the C library has no mallopt.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(parameter, size) == 1 for _, parameter, size in _MALLOC)


def give_back_memory() -> None:
    """Return to the system what this process has freed (glibc keeps it otherwise)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def available_cores() -> int:
    """Cores that this process may run on, at least 1."""
    with contextlib.suppress(AttributeError, OSError):  # no affinity outside Linux
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def cpu_info(path: Path = _CPUINFO) -> dict[str, str]:
    """The first processor's fields of `/proc/cpuinfo`, e.g. `model name`; empty where it lacks."""
    fields: dict[str, str] = {}
    try:
        text = path.read_text(encoding='utf-8', errors='replace')
    except OSError:
        return fields
    for line in text.splitlines():
        key, _, value = line.partition(':')
        if key.strip():
            fields.setdefault(key.strip(), value.strip())
    return fields


def cpu_flags(path: Path = _CPUINFO) -> frozenset[str]:
    """Instruction sets of the processor: `flags` on x86, `Features` on ARM."""
    fields = cpu_info(path)
    return frozenset((fields.get('flags') or fields.get('Features') or '').split())
