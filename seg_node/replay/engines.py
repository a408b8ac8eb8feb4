"""Where shards run: in this process, in others of this machine, or on a Dask or Ray cluster.

Every engine runs the same `run_shard`; only sums of integers come of it, so the figures do not
depend on the engine or on the number of workers. Dask and Ray are imported when asked for.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from seg_node.errors import ConfigError, SegNodeError
from seg_node.replay.journal import record_dtype
from seg_node.replay.shard import ShardJob, ShardOutcome, run_shard

EngineName = Literal['processes', 'dask', 'ray']
ENGINES: tuple[EngineName, ...] = ('processes', 'dask', 'ray')
Advance = Callable[[int], None]


def run_shards(
    jobs: Sequence[ShardJob],
    engine: EngineName,
    workers: int,
    address: str | None,
    advance: Advance,
) -> list[ShardOutcome]:
    """Run all jobs; outcomes in the order of the jobs. `advance(n)`: n more frames are done."""
    if engine == 'processes':
        if workers == 1:
            return [run_shard(job, lambda: advance(1)) for job in jobs]
        return _in_processes(jobs, workers, advance)
    return _on_cluster(jobs, engine, workers, address, advance)


def _in_processes(jobs: Sequence[ShardJob], workers: int, advance: Advance) -> list[ShardOutcome]:
    # Not fork: the runtimes have threads of their own already.
    context = multiprocessing.get_context('spawn')
    outcomes: list[ShardOutcome | None] = [None] * len(jobs)
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = {pool.submit(_guarded, job): i for i, job in enumerate(jobs)}
        for future in as_completed(futures):
            outcomes[futures[future]] = _unwrapped(future.result())
            advance(future.result()[0].frames)
    return [outcome for outcome in outcomes if outcome is not None]


def _on_cluster(
    jobs: Sequence[ShardJob],
    engine: EngineName,
    workers: int,
    address: str | None,
    advance: Advance,
) -> list[ShardOutcome]:
    """Workers may be other machines: they send their records back instead of leaving a file."""
    outcomes = []
    opened = _dask(workers, address) if engine == 'dask' else _ray(workers, address)
    with opened as submit:
        pending = [submit(_remote, job) for job in jobs]
        for job, result in zip(jobs, pending):
            answer, records, remarks = result()
            outcomes.append(_unwrapped(answer))
            job.journal.parent.mkdir(parents=True, exist_ok=True)
            job.journal.write_bytes(records)
            job.journal.with_suffix('.remarks').write_bytes(remarks)
            dtype = record_dtype(job.plan.spec, len(job.models))
            advance(len(records) // dtype.itemsize)
    return outcomes


_Answer = tuple[ShardOutcome, str]


def _guarded(job: ShardJob) -> _Answer:
    """The outcome, or the error as text: some exceptions do not survive pickling."""
    try:
        return run_shard(job), ''
    except SegNodeError as error:
        return ShardOutcome(), str(error)


def _remote(job: ShardJob) -> tuple[_Answer, bytes, bytes]:
    with tempfile.TemporaryDirectory(prefix='seg_node_replay_') as folder:
        journal = Path(folder) / job.journal.name
        answer = _guarded(replace(job, journal=journal, resume=False))
        remarks = journal.with_suffix('.remarks')
        return (
            answer,
            journal.read_bytes() if journal.exists() else b'',
            remarks.read_bytes() if remarks.exists() else b'',
        )


def _unwrapped(answer: _Answer) -> ShardOutcome:
    outcome, problem = answer
    if problem:
        raise SegNodeError(problem)
    return outcome


_Submit = Callable[[Callable[[ShardJob], Any], ShardJob], Callable[[], Any]]


@contextlib.contextmanager
def _dask(workers: int, address: str | None) -> Iterator[_Submit]:
    try:
        distributed: Any = importlib.import_module('distributed')
    except ImportError:
        raise ConfigError(
            '--engine dask: not installed; pip install "dask[distributed]"'
        ) from None
    with contextlib.ExitStack() as stack:
        if address is None:
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    dashboard_address=None,
                    host='127.0.0.1',
                )
            )
            client = stack.enter_context(distributed.Client(cluster))
        else:
            client = stack.enter_context(distributed.Client(address))
        yield lambda work, job: client.submit(work, job, pure=False).result


@contextlib.contextmanager
def _ray(workers: int, address: str | None) -> Iterator[_Submit]:
    try:
        ray: Any = importlib.import_module('ray')
    except ImportError:
        raise ConfigError('--engine ray: not installed; pip install ray') from None
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    local = {} if address else {'num_cpus': workers, 'include_dashboard': False}
    ray.init(address=address, log_to_driver=False, **local)
    try:

        def submit(work: Callable[[ShardJob], Any], job: ShardJob) -> Callable[[], Any]:
            reference = ray.remote(work).options(num_cpus=1).remote(job)
            return lambda: ray.get(reference)

        yield submit
    finally:
        ray.shutdown()
