"""Stage timers with percentiles over the last frames."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

STAGES = ('decode', 'preprocess', 'infer', 'postprocess', 'publish')
"""The stages of one frame, in order."""


def percentiles(milliseconds: Iterable[float]) -> dict[str, float]:
    """p50, p95 and p99 of durations in ms; zeros when there are none."""
    values = np.fromiter(milliseconds, np.float64)
    if not values.size:
        return {'p50': 0.0, 'p95': 0.0, 'p99': 0.0}
    values_at = np.percentile(values, (50, 95, 99))
    return {name: round(float(v), 4) for name, v in zip(('p50', 'p95', 'p99'), values_at)}


@dataclass
class Stopwatch:
    """Laps of one frame: `lap(stage)` books the time since the last lap under that stage, ms."""

    stages: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """Book the time since the last lap."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + (now - self._last) * 1e3
        self._last = now

    def total(self) -> float:
        """Sum of the laps in ms."""
        return sum(self.stages.values())


class Recorder:
    """Durations by name over the last `window` frames (None: all of them); thread-safe."""

    def __init__(self, window: int | None = 600) -> None:
        self._window = window
        self._lock = threading.Lock()
        self._values: dict[str, deque[float]] = {}

    def add(self, name: str, milliseconds: float) -> None:
        """Book one duration."""
        with self._lock:
            self._values.setdefault(name, deque(maxlen=self._window)).append(milliseconds)

    def add_stages(self, stopwatch: Stopwatch) -> None:
        """Book every lap of a frame, and their sum as `total`."""
        for stage, milliseconds in stopwatch.stages.items():
            self.add(stage, milliseconds)
        self.add('total', stopwatch.total())

    def summary(self) -> dict[str, dict[str, float]]:
        """Percentiles of every name, ms."""
        with self._lock:
            copied = {name: tuple(values) for name, values in self._values.items()}
        return {name: percentiles(values) for name, values in copied.items()}

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
