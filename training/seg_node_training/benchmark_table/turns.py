"""Measures cases in turns, each in a process of its own, and remembers what is done.

A round runs every case once; the default is run again between every few cases, and each case is
compared with the default that ran nearest to it, so that a busy stretch of a shared machine falls
on both. What has been measured is kept in a journal: an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seg_node.child_answers import ask
from seg_node.errors import SegNodeError
from seg_node.files import write_json
from seg_node.progress import track
from seg_node_training.benchmark_table.cases import DEFAULT, Case

EVERY = 6
"""Cases between two runs of the default."""


def schedule(cases: Sequence[Case], rounds: int) -> list[tuple[str, Case]]:
    """(key in the journal, case) in the order of running, the default among them."""
    default = next(case for case in cases if case.name == DEFAULT)
    others = [case for case in cases if case.name != DEFAULT]
    turns = []
    for number in range(rounds):
        for index, case in enumerate(others):
            if index % EVERY == 0:
                turns.append((f'{number}/{index}/{DEFAULT}', default))
            turns.append((f'{number}/{index}/{case.name}', case))
        turns.append((f'{number}/{len(others)}/{DEFAULT}', default))
    return turns


class Journal:
    """What the workers answered, by key, kept in a JSON file."""

    def __init__(self, path: Path, plan: str) -> None:
        self.path, self.plan = path, plan
        self.answers: dict[str, dict[str, Any]] = {}
        if path.is_file():
            stored = json.loads(path.read_text())
            if stored['plan'] == plan:
                self.answers = stored['answers']

    def add(self, key: str, answer: dict[str, Any]) -> None:
        """Keep an answer, on disk at once."""
        self.answers[key] = answer
        write_json(self.path, {'plan': self.plan, 'answers': self.answers})


def run_turns(
    cases: Sequence[Case], journal: Journal, rounds: int, seconds: float, threads: int
) -> None:
    """Run whatever of the schedule is not in the journal yet."""
    todo = [(k, c) for k, c in schedule(cases, rounds) if k not in journal.answers]
    for key, case in track(todo, 'bench'):
        journal.add(key, _run(case, seconds, threads))


def _run(case: Case, seconds: float, threads: int) -> dict[str, Any]:
    question = case.as_json() | {'seconds': seconds, 'threads': threads}
    try:
        return ask('seg_node_training.benchmark_table.worker', question, timeout_s=600.0)
    except SegNodeError as error:
        return {'error': str(error)}


def gathered(cases: Sequence[Case], journal: Journal, rounds: int) -> dict[str, dict[str, Any]]:
    """Figures by case: percentiles (ms), cold start (s), memory (MB), times the default's time."""
    order = schedule(cases, rounds)
    by_case: dict[str, dict[str, Any]] = {}
    for case in cases:
        answers = [
            (i, journal.answers[key])
            for i, (key, other) in enumerate(order)
            if other.name == case.name and key in journal.answers
        ]
        good = [(i, a) for i, a in answers if 'laps' in a]
        if not good:
            error = answers[-1][1].get('error', 'not measured') if answers else 'not measured'
            by_case[case.name] = {'error': error}
            continue
        laps = [lap for _, a in good for lap in a['laps']]
        ratios = [float(np.median(a['laps'])) / _default_near(order, journal, i) for i, a in good]
        by_case[case.name] = {
            **{f'p{q}': round(float(np.percentile(laps, q)), 3) for q in (50, 95, 99)},
            'best': round(min(laps), 3),
            'frames': len(laps),
            'times_default': round(float(np.median(ratios)), 3),
            'cold_start_s': round(float(np.median([a['cold_start_s'] for _, a in good])), 2),
            'rss_mb': round(float(np.median([a['rss_mb'] for _, a in good]))),
        }
    return by_case


def _default_near(order: list[tuple[str, Case]], journal: Journal, index: int) -> float:
    """Median lap of the defaults before and after place `index` of the schedule."""
    medians = {
        i: float(np.median(journal.answers[key]['laps']))
        for i, (key, case) in enumerate(order)
        if case.name == DEFAULT and 'laps' in journal.answers.get(key, {})
    }
    before = [i for i in medians if i <= index]
    after = [i for i in medians if i >= index]
    near = {max(before, default=None), min(after, default=None)} - {None}
    return float(np.mean([medians[i] for i in near]))  # type: ignore[index]
