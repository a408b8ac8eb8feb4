"""What processes hold: memory, descriptors, threads; and whether it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

MOST_GROWTH_MB = 5.0
"""Growth of a part's memory after its warm-up that is no leak."""
JUDGED_AFTER_S = 60.0
"""Memory is judged over at least so long: before that allocators and caches still fill."""


@dataclass(frozen=True)
class ProcessUse:
    """What one process holds `at_s` seconds after the start."""

    at_s: float
    memory_mb: float
    descriptors: int
    threads: int

    @classmethod
    def by(cls, pid: int, at_s: float, meant_mb: float = 0.0) -> ProcessUse:
        """As it is now (proc(5)), without `meant_mb` of memory that it is there to hold.

        Raises `OSError` for a process that is gone.
        """
        folder = Path(f'/proc/{pid}')
        lines = (folder / 'status').read_text(encoding='utf-8').splitlines()
        fields = dict(line.partition(':')[::2] for line in lines)
        if 'VmRSS' not in fields:
            raise ProcessLookupError(f'process {pid} has ended')
        # What senders keep in shared memory is theirs: a reader maps it as it reads.
        own = int(fields['VmRSS'].split()[0]) - int(fields['RssShmem'].split()[0])
        memory = own / 1024 - meant_mb
        descriptors = len(list((folder / 'fd').iterdir()))
        return cls(round(at_s, 1), round(memory, 1), descriptors, int(fields['Threads']))


def growth(samples: Sequence[ProcessUse]) -> dict[str, Any]:
    """Growth from the first sample to the last, memory by a straight line through all of them.

    Empty for less than three samples.
    """
    if len(samples) < 3:
        return {}
    seconds = np.array([s.at_s for s in samples])
    slope = float(np.polyfit(seconds, [s.memory_mb for s in samples], 1)[0])
    first, last = samples[0], samples[-1]
    return {
        'samples': len(samples),
        'first': asdict(first),
        'last': asdict(last),
        'memory_grew_mb': round(slope * float(seconds[-1] - seconds[0]), 2),
        'memory_slope_mb_per_h': round(slope * 3600.0, 2),
        'descriptors_grew': last.descriptors - first.descriptors,
        'threads_grew': last.threads - first.threads,
    }


def leaks(name: str, held: dict[str, Any], samples: list[ProcessUse]) -> list[str]:
    """What a part holds more and more of, by its `growth`: one line each."""
    if not held or held['last']['at_s'] - held['first']['at_s'] < JUDGED_AFTER_S:
        return []
    violations = []
    if held['memory_grew_mb'] > MOST_GROWTH_MB:
        violations.append(f'{name} has grown by {held["memory_grew_mb"]:g} MB')
    for what in ('descriptors', 'threads'):
        if held[f'{what}_grew'] > _spread(samples, what):
            violations.append(f'{what} of {name}: {held[f"{what}_grew"]} more than at first')
    return violations


def _spread(samples: list[ProcessUse], name: str) -> int:
    """How far a count goes up and down by itself, in the first half: readers come and go."""
    values = [getattr(sample, name) for sample in samples[: max(2, len(samples) // 2)]]
    return int(max(values) - min(values))
