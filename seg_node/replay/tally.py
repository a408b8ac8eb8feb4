"""One pass over the records: sums, blocks for the bootstrap, and what stands out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from seg_node.metrics.counts import CountSpec
from seg_node.metrics.figures import Counts, Values, ious, lane_iou, mean_iou, ratio
from seg_node.replay.journal import EVALUATED, UNUSABLE_TRUTH, WITH_TRUTH, Book, Records


@dataclass
class Tally:
    """Sums over frames. M models, K classes, B bands, N blocks.

    `confusion` (M, B + 1, K, K) and `lane` (M, 4) over frames with labels; `flicker` (M, 4) and
    `area` (M, K) over every evaluated frame; `blocks` (M, N, K, K) and `lane_blocks` (M, N, 4).
    """

    frames: int
    evaluated: int
    with_truth: int
    unusable_truth: int
    lost_labels: int
    confusion: Counts
    lane: Counts
    flicker: Counts
    area: Counts
    digests: list[int]
    blocks: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    lane_blocks: Counts = field(default_factory=lambda: np.zeros(0, np.int64))


def count_truth(book: Book) -> int:
    """Number of frames with labels."""
    return sum(int(np.count_nonzero(_labelled(chunk))) for chunk in book.chunks())


def tally(book: Book, spec: CountSpec, models: int, block_frames: int) -> Tally:
    """Sum all records; blocks hold `block_frames` consecutive frames with labels."""
    k = spec.classes
    labelled = count_truth(book)
    blocks = np.zeros((models, -(-labelled // block_frames), k, k), np.int64)
    lane_blocks = np.zeros((*blocks.shape[:2], 4), np.int64)
    total = Tally(
        len(book),
        0,
        labelled,
        0,
        0,
        np.zeros((models, spec.bands + 1, k, k), np.int64),
        np.zeros((models, 4), np.int64),
        np.zeros((models, 4), np.int64),
        np.zeros((models, k), np.int64),
        [0] * models,
        blocks,
        lane_blocks,
    )
    seen = 0
    for chunk in book.chunks():
        ok = chunk['status'] == EVALUATED
        total.evaluated += int(ok.sum())
        total.unusable_truth += int(np.count_nonzero(chunk['truth'] == UNUSABLE_TRUTH))
        total.lost_labels += int(chunk['lost'].sum(dtype=np.int64))
        rows = chunk['models']
        total.flicker += rows['flicker'].sum(0, dtype=np.int64)
        total.area += rows['area'].sum(0, dtype=np.int64)
        for model in range(models):
            # Order-dependent on purpose: the digest of the drive is over masks in their order.
            for value in rows['digest'][ok, model]:
                total.digests[model] = (total.digests[model] * 1099511628211 + int(value)) % 2**64
        truth = rows[_labelled(chunk)]
        total.confusion += truth['confusion'].sum(0, dtype=np.int64)
        total.lane += truth['lane'].sum(0, dtype=np.int64)
        index = (seen + np.arange(len(truth))) // block_frames
        for model in range(models):
            per_frame = truth['confusion'][:, model].sum(1, dtype=np.int64)
            np.add.at(blocks[model], index, per_frame)
            np.add.at(lane_blocks[model], index, truth['lane'][:, model].astype(np.int64))
        seen += len(truth)
    return total


def _labelled(chunk: Records) -> npt.NDArray[np.bool_]:
    labelled: npt.NDArray[np.bool_] = (chunk['status'] == EVALUATED) & (
        chunk['truth'] == WITH_TRUTH
    )
    return labelled


def frame_scores(book: Book, model: int) -> dict[str, Values]:
    """Figures of every frame of one model, NaN where there is none: `miou`, `lane`, `classes`
    (frames, K) and `changed`.
    """

    def take(chunk: Records) -> Values:
        rows = chunk['models'][:, model]
        confusion = rows['confusion'].sum(1, dtype=np.int64)
        confusion[~_labelled(chunk)] = 0
        lane = np.where(_labelled(chunk)[:, None], rows['lane'], 0).astype(np.int64)
        changed = ratio(rows['flicker'][:, 0], rows['flicker'][:, 1])
        columns = [mean_iou(confusion), lane_iou(lane), changed, *ious(confusion).T]
        return np.stack(columns, axis=1)

    table = book.column(take)
    if not table.size:
        return {'miou': np.empty(0), 'lane': np.empty(0), 'changed': np.empty(0)}
    return {
        'miou': table[:, 0],
        'lane': table[:, 1],
        'changed': table[:, 2],
        'classes': table[:, 3:],
    }


def spread_out(order: npt.NDArray[np.int64], count: int, gap: int) -> list[int]:
    """The first `count` of `order` that lie at least `gap` apart, so that they differ."""
    chosen: list[int] = []
    for index in order:
        if all(abs(int(index) - other) >= gap for other in chosen):
            chosen.append(int(index))
        if len(chosen) == count:
            break
    return chosen
