"""One part of a drive through the models: reading, network and counting side by side."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.bags.digest import mask_digest
from seg_node.errors import FrameError
from seg_node.metrics.counts import CountSpec, Flicker, confusion, lane_counts
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.pipeline import Segmenter
from seg_node.replay.handover import in_turn
from seg_node.replay.journal import (
    EVALUATED,
    MODEL_STAGES,
    REJECTED,
    FrameJournal,
    record_dtype,
)
from seg_node.replay.plan import ReplayModel, ReplayPlan
from seg_node.replay.reading import WARM_UP, DrivePart, Item, PartReader
from seg_node.timing import Stopwatch
from seg_node.tuning import tune_allocator

Array = npt.NDArray[np.uint8]
_MOST_STREAMS = 4


@dataclass(frozen=True)
class ShardJob:
    """A part of a plan for a set of models; `journal` keeps its records. Can be pickled.

    `streams`: frames that are in the network at a time; 0: as suits the cores.
    """

    plan: ReplayPlan
    part: DrivePart
    models: tuple[ReplayModel, ...]
    journal: Path
    resume: bool = False
    streams: int = 0


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


def run_shard(job: ShardJob, advance: Callable[[], None] = lambda: None) -> ShardOutcome:
    """Evaluate one shard into its journal.

    Raises `ModelError` or `ConfigError` for the models; what is wrong with the bag is in the
    outcome.
    """
    tune_allocator()
    dtype = record_dtype(job.plan.spec, len(job.models))
    journal = FrameJournal(job.journal, dtype, keep=job.resume)
    part = job.part
    if len(journal):
        part = _rest(job, dtype, len(journal))
    try:
        lanes = _load(job)
        counter = _Counter(job, lanes[0], journal, dtype)
        reader = PartReader(job.plan, part)
        started = time.perf_counter()
        with _one_opencv_thread():
            _run(reader, lanes, counter, advance)
        seconds = time.perf_counter() - started
    finally:
        journal.close()
    return ShardOutcome(list(reader.problems), reader.tail, counter.done, seconds)


def side_by_side(options: RunOptions, streams: int = 0) -> list[RunOptions]:
    """Options of models that share the threads of `options`, each with a frame of its own.

    A network on one thread is slower, but two of them do more frames than one on two threads:
    they wait neither for each other nor for a core that the reader has.
    """
    # One more than there are threads, for the moments in which one of them waits.
    count = streams or min(_MOST_STREAMS, options.thread_count + 1)
    if options.device != 'cpu' or count == 1:
        return [options]
    return [replace(options, threads=max(1, options.thread_count // count), pin=False)] * count


def _load(job: ShardJob) -> list[list[Segmenter]]:
    """For every lane a segmenter of each model."""
    columns = [
        [
            Segmenter(load_model(model.path, options).runner)
            for options in side_by_side(model.options, job.streams)
        ]
        for model in job.models
    ]
    return [list(lane) for lane in zip(*columns)]


@contextlib.contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """OpenCV's own threads would take the cores from the networks."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _rest(job: ShardJob, dtype: np.dtype[np.void], done: int) -> DrivePart:
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
    lanes: Sequence[Sequence[Segmenter]],
    counter: _Counter,
    advance: Callable[[], None],
) -> None:
    """Reading, networks and counting side by side; frame i goes through lane i % their number."""
    workers = [partial(_segment, segmenters=lane) for lane in lanes]
    for result in in_turn(reader, workers):
        if counter(result):
            advance()


def _segment(item: Item, segmenters: Sequence[Segmenter]) -> _Segmented:
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
        segmenters: Sequence[Segmenter],
        journal: FrameJournal,
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
