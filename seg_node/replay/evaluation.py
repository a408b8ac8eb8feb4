"""The whole evaluation: models described, drives cut into shards, shards run, records kept."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from seg_node.bags.bag import Bag
from seg_node.errors import ConfigError
from seg_node.files import write_json
from seg_node.model.loader import load_model
from seg_node.model.runner import BACKENDS, BackendName, Runner
from seg_node.progress import progress_bar
from seg_node.replay.engines import EngineName, run_shards
from seg_node.replay.journal import Book, read_remarks, record_dtype
from seg_node.replay.plan import ReplayModel, ReplayPlan
from seg_node.replay.reading import WARM_UP, DrivePart
from seg_node.replay.shard import ShardJob, ShardOutcome
from seg_node.replay.versions import sha256

_ALONE_RUNS = 200


@dataclass(frozen=True)
class Execution:
    """How the work is done; none of it changes a figure but times.

    `shards`: parts that each drive is cut into. `address`: of a Dask or Ray cluster; None: one is
    started on this machine. `streams`: frames in the network at a time; 0: as suits the cores.
    """

    engine: EngineName = 'processes'
    workers: int = 1
    shards: int = 1
    address: str | None = None
    resume: bool = False
    streams: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.streams <= 64:
            raise ConfigError(f'--streams: expected 0 to 64, got {self.streams}')
        if self.workers < 1 or self.shards < 1:
            raise ConfigError('--workers, --shards: expected at least 1')


@dataclass(frozen=True)
class ModelFacts:
    """What the report says of a model; `alone_ms`: mean time of the network by itself."""

    choice: ReplayModel
    runner: Runner
    digest: str
    folded: str
    alone_ms: float | None

    def describe(self) -> dict[str, Any]:
        """For the report: everything that decides the masks."""
        spec = self.runner.spec
        return {
            'label': self.choice.label,
            'name': spec.name,
            'file': self.choice.path.name,
            'sha256': self.digest,
            'backend': self.runner.backend,
            'number_format': spec.precision,
            'run_as': self.runner.precision,
            'network_size': str(self.runner.network),
            'classes': list(spec.classes.names),
            'scored_as': self.folded or 'its classes are the evaluation classes',
        }


@dataclass
class Evaluation:
    """Records of all drives and what happened on the way. `wall_s`: of the shards together."""

    plan: ReplayPlan
    models: tuple[ModelFacts, ...]
    book: Book
    remarks: list[tuple[int, int, str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    tail: tuple[int, ...] = ()
    frames_run: int = 0
    wall_s: float = 0.0
    streams: int = 0


def describe_models(
    choices: Sequence[ReplayModel], plan: ReplayPlan, measure: bool = False
) -> tuple[ModelFacts, ...]:
    """Load every model once to see what it is and, with `measure`, how fast it is alone.

    The choices in the answer are settled: `auto` is replaced by what it came to. Raises
    `ModelError` and `ConfigError`.
    """
    descriptions = []
    for choice in choices:
        loaded = load_model(choice.path, choice.options)
        runner = loaded.runner
        settled = replace(
            choice,
            options=replace(
                choice.options,
                precision=runner.precision,
                backend=_backend_name(runner.backend),
            ),
        )
        descriptions.append(
            ModelFacts(
                settled,
                runner,
                sha256(choice.path),
                plan.scoring.model_lut(runner.spec.classes)[1],
                network_alone(runner) if measure else None,
            )
        )
    return tuple(descriptions)


def _backend_name(name: str) -> BackendName:
    backend: BackendName = next((known for known in BACKENDS if known == name), 'auto')
    return backend


def network_alone(runner: Runner) -> float:
    """Mean time (ms) of the network by itself, batch 1: the inverse of its own rate."""
    runner.run()
    started = time.perf_counter()
    for _ in range(_ALONE_RUNS):
        runner.run()
    return (time.perf_counter() - started) * 1e3 / _ALONE_RUNS


def evaluate(
    plan: ReplayPlan, models: tuple[ModelFacts, ...], work: Path, execution: Execution
) -> Evaluation:
    """Run every frame of every drive; records and remarks are kept in the folder `work`.

    Raises `ConfigError` when there is something to resume that was made otherwise.
    """
    choices = tuple(facts.choice for facts in models)
    resume = execution.resume and _same_as_before(plan, models, work, execution)
    write_json(work / 'plan.json', _fingerprint(plan, models, execution))
    parts = [
        part for index in range(len(plan.drives)) for part in cut(plan, index, execution.shards)
    ]
    jobs = [
        ShardJob(plan, part, choices, work / f'shard_{i:04d}.records', resume, execution.streams)
        for i, part in enumerate(parts)
    ]
    total = sum(min(drive.count, plan.limit or drive.count) for drive in plan.drives)
    started = time.perf_counter()
    with progress_bar() as progress:
        task = progress.add_task('replay', total=total or None)
        outcomes = run_shards(
            jobs,
            execution.engine,
            execution.workers,
            execution.address,
            lambda frames: progress.advance(task, frames),
        )
    wall = time.perf_counter() - started
    evaluation = _collected(plan, models, jobs, outcomes, wall if execution.workers > 1 else None)
    return replace(evaluation, streams=execution.streams)


def _collected(
    plan: ReplayPlan,
    models: tuple[ModelFacts, ...],
    jobs: list[ShardJob],
    outcomes: list[ShardOutcome],
    wall_s: float | None,
) -> Evaluation:
    book = Book([job.journal for job in jobs], record_dtype(plan.spec, len(models)))
    result = Evaluation(plan, models, book)
    for job, outcome in zip(jobs, outcomes):
        result.problems += [p for p in outcome.problems if p not in result.problems]
        result.tail += outcome.tail
        result.frames_run += outcome.frames
        result.wall_s += outcome.run_s
        drive = job.part.drive
        result.remarks += [(drive, *remark) for remark in read_remarks(job.journal)]
    result.remarks.sort()
    # Timed before and after, because the machine may have got busier or quieter in between.
    result.models = tuple(
        facts
        if facts.alone_ms is None
        else replace(facts, alone_ms=(facts.alone_ms + network_alone(facts.runner)) / 2)
        for facts in models
    )
    if wall_s is not None:
        result.wall_s = wall_s
    return result


def cut(plan: ReplayPlan, drive_index: int, shards: int) -> list[DrivePart]:
    """Cut a drive into `shards` parts of nearly the same number of frames."""
    if shards == 1:
        return [DrivePart(drive_index, stop=plan.limit)]
    logs = _log_times(plan, drive_index)
    bounds = [len(logs) * i // shards for i in range(shards + 1)]
    parts = []
    for first, stop in itertools.pairwise(bounds):
        if first == stop:
            continue
        log = int(logs[max(0, first - WARM_UP)])
        there = int(np.searchsorted(logs, log))
        last = stop == len(logs)
        parts.append(DrivePart(drive_index, first, plan.limit if last else stop, log, there))
    return parts or [DrivePart(drive_index, stop=plan.limit)]


def _log_times(plan: ReplayPlan, drive_index: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Log times (ns) of the selected frames, in order."""
    drive = plan.drives[drive_index]
    logs: list[int] = []
    with Bag(drive.bag) as bag:
        for message in bag.messages([drive.camera], drive.start_ns):
            if drive.end_ns is not None and message.log_ns >= drive.end_ns:
                break
            logs.append(message.log_ns)
            if len(logs) == plan.limit:
                break
    return np.array(logs, np.int64)


def _fingerprint(
    plan: ReplayPlan, models: tuple[ModelFacts, ...], execution: Execution
) -> dict[str, Any]:
    files = [
        (str(path), path.stat().st_size)
        for drive in plan.drives
        for path in (sorted(drive.bag.iterdir()) if drive.bag.is_dir() else [drive.bag])
    ]
    settled = repr((plan, files)).encode()
    return {
        'plan': hashlib.sha256(settled).hexdigest(),
        'models': [facts.describe() for facts in models],
        'shards': execution.shards,
    }


def _same_as_before(
    plan: ReplayPlan, models: tuple[ModelFacts, ...], work: Path, execution: Execution
) -> bool:
    """Whether `work` can be continued; False when there is nothing in it."""
    try:
        before = json.loads((work / 'plan.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return False
    now = json.loads(json.dumps(_fingerprint(plan, models, execution)))
    differing = [key for key in now if before.get(key) != now[key]]
    if differing:
        raise ConfigError(
            f'--resume: {work} was made with another {" and another ".join(differing)}; '
            'run without --resume to start again'
        )
    return True
