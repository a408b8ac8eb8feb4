"""On which CPUs a process runs, and how urgently (sched(7))."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from seg_node.errors import ConfigError

_ONLINE = Path('/sys/devices/system/cpu/online')


@dataclass(frozen=True)
class Scheduling:
    """CPUs (none: all that it has), niceness (0: as started), SCHED_FIFO priority (0: none)."""

    cpus: tuple[int, ...] = ()
    nice: int = 0
    realtime_priority: int = 0

    def apply(self) -> None:
        """Let every thread of this process run so, and those that it will start.

        Raises `ConfigError` where a CPU does not exist or the system does not permit it. What was
        set before that stays set.
        """
        if self.cpus:
            self._bind()
        if self.nice:
            with _refusal(f'nice: {self.nice}', 'CAP_SYS_NICE or a lower RLIMIT_NICE (ulimit -e)'):
                _each(lambda thread: os.setpriority(os.PRIO_PROCESS, thread, self.nice))
        if self.realtime_priority:
            allowed = 'CAP_SYS_NICE or a higher RLIMIT_RTPRIO (ulimit -r)'
            with _refusal(f'realtime_priority: {self.realtime_priority}', allowed):
                priority = os.sched_param(self.realtime_priority)
                _each(lambda thread: os.sched_setscheduler(thread, os.SCHED_FIFO, priority))

    def _bind(self) -> None:
        online = _online()
        if missing := sorted(set(self.cpus) - online):
            raise ConfigError(
                f'cpu_affinity: expected CPUs of {_ONLINE.read_text().strip()}, got {missing[0]}'
            )
        with _refusal(f'cpu_affinity: {list(self.cpus)}', 'these CPUs in its cpuset'):
            _each(lambda thread: os.sched_setaffinity(thread, self.cpus))
        if os.sched_getaffinity(0) != set(self.cpus):
            raise ConfigError(
                f'cpu_affinity: {list(self.cpus)} is not permitted here: this process may run on '
                f'{sorted(os.sched_getaffinity(0))} of them'
            )


def _each(change: Callable[[int], None]) -> None:
    """`change` of every thread of this process; one that has ended meanwhile is left out."""
    for folder in Path('/proc/self/task').iterdir():
        with contextlib.suppress(ProcessLookupError):
            change(int(folder.name))


def _online() -> set[int]:
    """Numbers of the CPUs that are on; sysfs writes `0-3,6`."""
    numbers: set[int] = set()
    for part in _ONLINE.read_text().strip().split(','):
        first, _, last = part.partition('-')
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


@contextlib.contextmanager
def _refusal(what: str, needed: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # EPERM, EACCES; EINVAL for CPUs outside the cpuset
        raise ConfigError(f'{what} is not permitted: {error.strerror}; needs {needed}') from None
