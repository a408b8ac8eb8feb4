"""Child processes that run this project's own modules."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path

_PACKAGES = ('seg_node', 'seg_node_sim', 'seg_node_training')


def child_environment(**changes: str) -> dict[str, str]:
    """The environment with which `python -m` finds the packages that this process has.

    Wherever the parent was started and however the packages were installed. `changes` are set on
    top.
    """
    specs = (importlib.util.find_spec(name) for name in _PACKAGES)
    roots = [str(Path(s.origin).absolute().parents[1]) for s in specs if s and s.origin]
    paths = dict.fromkeys([*roots, *os.environ.get('PYTHONPATH', '').split(os.pathsep)])
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(p for p in paths if p), **changes}


class Patience:
    """How long a child may take: `limit_s` of its own processor time, or of hardly using any.

    A busy machine makes a child slow; that alone does not make it stuck.
    """

    def __init__(self, pid: int, limit_s: float) -> None:
        self._pid = pid
        self._limit_s = limit_s
        self._used = 0.0
        self._since = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for; to be asked now and then."""
        used, now = processor_s(self._pid), time.monotonic()
        if used - self._used >= _WORKS * self._limit_s:
            self._used, self._since = used, now
        return used > self._limit_s or now - self._since > self._limit_s


_WORKS = 0.05
"""Share of a core from which on a child works rather than looks around now and then."""


def processor_s(pid: int) -> float:
    """Processor time that a process has used, in seconds; 0 where /proc does not say."""
    try:
        fields = Path(f'/proc/{pid}/stat').read_text(encoding='utf-8').rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
    except (OSError, ValueError, IndexError):
        return 0.0
