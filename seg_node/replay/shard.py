"""One part of a drive through the models: reading, network and counting side by side."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.errors import FrameError
from seg_node.model.loader import load_model
from seg_node.model.runner import Runner
from seg_node.pipeline import Segmenter
from seg_node.replay.counts import CountSpec, Flicker, confusion, lane_counts
from seg_node.replay.digest import mask_digest
from seg_node.replay.journal import (
    EVALUATED,
    MODEL_STAGES,
    REJECTED,
    Journal,
    record_dtype,
)
from seg_node.replay.plan import ModelChoice, Plan
from seg_node.replay.reading import WARM_UP, Item, Part, PartReader
from seg_node.ros.dds import tune_allocator
from seg_node.timing import Stopwatch

Array = npt.NDArray[np.uint8]
T = TypeVar('T')
_QUEUE = 3


@dataclass(frozen=True)
class ShardJob:
    """A part of a plan for a set of models; `journal` keeps its records. Can be pickled."""

    plan: Plan
    part: Part
    models: tuple[ModelChoice, ...]
    journal: Path
    resume: bool = False


@dataclass
class ShardOutcome:
    """How a shard ended: problems in words, stamps of labels after the last frame, wall time.

    `frames`: run in this call (without those found in the journal); `run_s`: seconds they took,
    without loading the models.
    """

    problems: list[str] = field(default_factory=list)
    tail: tuple[int, ...] = ()
    frames: int = 0
    run_s: float = 0.0


def run_shard(
    job: ShardJob, advance: Callable[[], None] = lambda: None, runners: Sequence[Runner] = ()
) -> ShardOutcome:
    """Evaluate one shard into its journal; `runners` where the models are loaded already.

    Raises `ModelError` or `ConfigError` for the models; what is wrong with the bag is in the
    outcome.
    """
    tune_allocator()
    dtype = record_dtype(job.plan.spec, len(job.models))
    journal = Journal(job.journal, dtype, keep=job.resume)
    part = job.part
    if len(journal):
        part = _rest(job, dtype, len(journal))
    try:
        loaded = runners or [load_model(m.path, m.options).runner for m in job.models]
        segmenters = [Segmenter(runner) for runner in loaded]
        counter = _Counter(job, segmenters, journal, dtype)
        reader = PartReader(job.plan, part)
        started = time.perf_counter()
        _run(reader, segmenters, counter, advance)
        seconds = time.perf_counter() - started
    finally:
        journal.close()
    return ShardOutcome(list(reader.problems), reader.tail, counter.done, seconds)


def _rest(job: ShardJob, dtype: np.dtype[np.void], done: int) -> Part:
    """What is left of a part whose journal has `done` records."""
    records = np.memmap(job.journal, dtype, mode='r', shape=(done,))
    at = max(0, done - WARM_UP)
    log = int(records['log'][at])
    same = int(np.flatnonzero(records['log'] == log)[0])
    first = job.part.first + done
    if done < WARM_UP:  # too few to look back on: read from where the part itself begins
        return replace(job.part, first=first)
    return replace(
        job.part, first=first, read_from_ns=log, number_there=int(records['number'][same])
    )


@dataclass(frozen=True)
class _Segmented:
    """A frame with what each model made of it: masks of its own, times in ms by stage."""

    item: Item
    masks: tuple[Array, ...] = ()
    milliseconds: tuple[tuple[float, ...], ...] = ()
    rejected: str = ''


def _run(
    reader: PartReader,
    segmenters: list[Segmenter],
    counter: _Counter,
    advance: Callable[[], None],
) -> None:
    frames: _Lane[Item] = _Lane()
    results: _Lane[_Segmented] = _Lane()
    reading = threading.Thread(target=frames.feed, args=(iter(reader),), daemon=True)

    def count_all() -> None:
        for result in results:
            if counter(result):
                advance()

    counting = _Checked(count_all, results.stop)
    reading.start()
    counting.start()
    try:
        for item in frames:
            if not results.put(_segment(item, segmenters)):
                break
        results.end()
    except BaseException:
        results.stop()
        raise
    finally:
        frames.stop()
        reading.join()
        counting.join()
    counting.check()


def _segment(item: Item, segmenters: list[Segmenter]) -> _Segmented:
    if item.frame is None:
        return _Segmented(item)
    masks, times = [], []
    for segmenter in segmenters:
        watch = Stopwatch()
        try:
            masks.append(segmenter(item.frame, watch).mask.copy())
        except FrameError as error:
            return _Segmented(item, rejected=f'rejected: {error.cause}|{error}')
        times.append(tuple(watch.stages.get(stage, 0.0) for stage in MODEL_STAGES))
    return _Segmented(item, tuple(masks), tuple(times))


class _Counter:
    """Turns segmented frames into records, in order; keeps the neighbours for flicker."""

    def __init__(
        self,
        job: ShardJob,
        segmenters: list[Segmenter],
        journal: Journal,
        dtype: np.dtype[np.void],
    ) -> None:
        self._spec: CountSpec = job.plan.spec
        self._has_truth = job.plan.has_truth
        self._drive = job.part.drive
        scoring = job.plan.scoring
        self._tables = [
            None
            if s.runner.spec.classes.names == scoring.names
            else scoring.model_lut(s.runner.spec.classes)[0]
            for s in segmenters
        ]
        self._flickers = [Flicker(job.plan.has_truth) for _ in segmenters]
        self._journal = journal
        self._dtype = dtype
        self.done = 0

    def __call__(self, result: _Segmented) -> bool:
        """Count a frame; whether it went into the journal."""
        started = time.perf_counter()
        item = result.item
        record = np.zeros((), self._dtype)
        record['drive'], record['number'] = self._drive, item.number
        record['stamp'], record['log'] = item.stamp, item.log
        record['lost'] = len(item.lost)
        if not result.masks:
            record['status'] = REJECTED
            for flicker in self._flickers:
                flicker.reset()
        else:
            record['status'], record['truth'] = EVALUATED, item.truth_state
            for index, mask in enumerate(result.masks):
                self._count(record['models'][index], index, mask, result)
        if item.warm:
            return False
        compare_ms = (time.perf_counter() - started) * 1e3
        record['ms'] = item.milliseconds, compare_ms
        self._remark(result)
        self._journal.append(record)
        self.done += 1
        return True

    def _count(
        self, row: npt.NDArray[np.void], index: int, mask: Array, result: _Segmented
    ) -> None:
        item = result.item
        row['digest'] = mask_digest(mask)
        row['ms'] = result.milliseconds[index]
        table = self._tables[index]
        if table is not None:
            mask = np.asarray(cv2.LUT(mask, table), np.uint8)
        row['flicker'] = self._flickers[index].add(mask, item.truth)
        if not self._has_truth:
            k = self._spec.classes
            row['area'] = cv2.calcHist([mask], [0], None, [k], [0, k]).ravel()
        if item.truth is None:
            return
        row['confusion'] = confusion(item.truth, mask, item.band, self._spec)
        if self._spec.markings:
            lane = lane_counts(item.truth, mask, self._spec)
            row['lane'] = lane.true, lane.true_near, lane.found, lane.found_near

    def _remark(self, result: _Segmented) -> None:
        item = result.item
        for kind, text in item.remarks:
            self._journal.remark(item.number, kind, text)
        if result.rejected:
            kind, _, text = result.rejected.partition('|')
            self._journal.remark(item.number, kind, text)
        for stamp in item.lost:
            self._journal.remark(item.number, 'label without a frame', str(stamp))


class _Lane(Generic[T]):
    """A short queue between two threads that ends, fails or stops without anybody left waiting."""

    def __init__(self) -> None:
        self._items: queue.Queue[T | BaseException | None] = queue.Queue(_QUEUE)
        self._stopped = threading.Event()

    def put(self, item: T | BaseException | None) -> bool:
        """Wait for room; False once stopped."""
        while not self._stopped.is_set():
            try:
                self._items.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def feed(self, items: Iterator[T]) -> None:
        """Put all `items`; an error among them is raised at the other end."""
        try:
            for item in items:
                if not self.put(item):
                    return
            self.put(None)
        except BaseException as error:
            self.put(error)

    def end(self) -> None:
        """Nothing more comes."""
        self.put(None)

    def stop(self) -> None:
        """Wake and release both ends."""
        self._stopped.set()

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                item = self._items.get(timeout=0.2)
            except queue.Empty:
                if self._stopped.is_set():
                    return
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item


class _Checked(threading.Thread):
    """A thread whose error is raised again by `check`, and which calls `failed` at once."""

    def __init__(self, work: Callable[[], None], failed: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._failed = failed
        self._error: BaseException | None = None

    def run(self) -> None:
        """The work."""
        try:
            self._work()
        except BaseException as error:
            self._error = error
            self._failed()

    def check(self) -> None:
        """Raise what the work raised."""
        if self._error is not None:
            raise self._error
