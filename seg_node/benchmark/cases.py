"""Cases of the benchmark, each in a process of its own, in rounds in turns with the others."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from seg_node.child_answers import ask
from seg_node.progress import track
from seg_node.timing import STAGES, percentiles


def measure_cases(cases: Sequence[dict[str, Any]], rounds: int) -> list[dict[str, Any]]:
    """One record a case (see `benchmark.case.measure` for what a case has).

    The rounds of all cases go in turns, so that the noise of a shared machine falls on all alike.
    Raises `SegNodeError` with what a case's process said last.
    """
    answers: list[list[dict[str, Any]]] = [[] for _ in cases]
    turns = [i for _ in range(rounds) for i in range(len(cases))]
    for i in track(turns, 'bench'):
        answers[i].append(ask('seg_node.benchmark.case', cases[i]))
    return [_record(case, rounds_of_case) for case, rounds_of_case in zip(cases, answers)]


def _record(case: dict[str, Any], rounds: list[dict[str, Any]]) -> dict[str, Any]:
    laps = [lap for answer in rounds for lap in answer['laps']]
    stages = {s: percentiles(lap[s] for lap in laps) for s in STAGES if s in laps[0]}
    first = rounds[0]
    outside = [sum(lap.values()) - lap['infer'] for lap in laps]
    return {
        **{key: first[key] for key in ('model', 'backend', 'precision', 'threads')},
        'source_size': f'{case["width"]}x{case["height"]}',
        'network_size': first['network_size'],
        'total_ms': percentiles(sum(lap.values()) for lap in laps),
        'stages_ms': stages,
        'not_network_ms': percentiles(outside),
        'cold_start_s': round(statistics.median(r['cold_start_s'] for r in rounds), 3),
        'rss_mb': round(statistics.median(r['rss_mb'] for r in rounds), 1),
        'frames': len(laps),
    }
