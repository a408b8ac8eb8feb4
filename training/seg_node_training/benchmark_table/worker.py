"""One case in a process of its own: `python -m seg_node_training.benchmark_table.worker '<json>'`.

Prints one JSON line: cold start (s, from the process's creation to the first answer), memory (MB,
resident at the end) and laps (ms).
"""

from __future__ import annotations

import sys
import time
from typing import Any

import psutil

from seg_node.child_answers import answer
from seg_node_training.benchmark_table.engines import open_engine

WARM_UP = 3
FEWEST = 5


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Laps of about `case['seconds']`, at least `FEWEST` of them."""
    run = open_engine(case, case['threads'])
    run()
    process = psutil.Process()
    cold_start_s = time.time() - process.create_time()
    begin = time.perf_counter()
    for _ in range(WARM_UP):
        run()
        if time.perf_counter() - begin > case['seconds']:
            break
    laps: list[float] = []
    begin = time.perf_counter()
    while len(laps) < FEWEST or time.perf_counter() - begin < case['seconds']:
        started = time.perf_counter()
        run()
        laps.append(round((time.perf_counter() - started) * 1e3, 4))
    return {
        'cold_start_s': round(cold_start_s, 3),
        'rss_mb': round(process.memory_info().rss / 1e6, 1),
        'laps': laps,
    }


if __name__ == '__main__':
    sys.exit(answer(measure))
