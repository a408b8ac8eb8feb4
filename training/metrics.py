"""IoU by accumulated counts, at the size of the source picture."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field

import numpy as np
import numpy.typing as npt

from seg_node.classes import LANE, UNLABELED
from seg_node.replay.counts import CountSpec, lane_counts
from seg_node.replay.figures import lane_iou, lane_name, number

U8 = npt.NDArray[np.uint8]
TOLERANCE_PX = 3
"""Radius, in pixels of the source picture, within which a marking counts as found."""
THIN = frozenset({LANE.names[2], 'double_line', 'dashed_line', 'single_line'})
"""Classes that are a few pixels wide, whose plain IoU a shift of one pixel halves."""


@dataclass
class BinaryCount:
    """Counts of one class over a set, known pixels only."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0

    def add(self, found: npt.NDArray[np.bool_], truth: U8) -> None:
        """Count `found`, bool (H, W), against `truth`, uint8 (H, W): >127 yes, 255 unknown."""
        known = truth != 255
        yes = (truth > 127) & known
        hit = int(np.count_nonzero(found & yes))
        self.true_positive += hit
        self.false_positive += int(np.count_nonzero(found & known)) - hit
        self.false_negative += int(np.count_nonzero(yes)) - hit

    @property
    def iou(self) -> float | None:
        """Intersection over union, None where neither side has a pixel."""
        return _ratio(self.true_positive, self.false_positive + self.false_negative)

    @property
    def precision(self) -> float | None:
        """Share of what was found that is true."""
        return _ratio(self.true_positive, self.false_positive)

    @property
    def recall(self) -> float | None:
        """Share of what is true that was found."""
        return _ratio(self.true_positive, self.false_negative)


def _ratio(part: int, rest: int) -> float | None:
    return part / (part + rest) if part + rest else None


@dataclass
class SetScore:
    """Counts of each class over one data set, and the IoU of each picture."""

    counts: dict[str, BinaryCount] = field(default_factory=dict)
    near: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    pictures: list[tuple[str, dict[str, float | None]]] = field(default_factory=list)

    def add(
        self, picture: str, found: dict[str, npt.NDArray[np.bool_]], truths: dict[str, U8]
    ) -> None:
        """Count one picture; `found` and `truths` by class (see `BinaryCount.add`).

        A class of which the picture knows nothing is left out.
        """
        each: dict[str, float | None] = {}
        for name, truth in truths.items():
            if not np.any(truth != 255):
                continue
            one = BinaryCount()
            one.add(found[name], truth)
            total = self.counts.setdefault(name, BinaryCount())
            total.true_positive += one.true_positive
            total.false_positive += one.false_positive
            total.false_negative += one.false_negative
            each[name] = one.iou
            if name in THIN:
                counted = _near_counts(found[name], truth)
                self.near[name] = self.near.get(name, np.zeros(4, np.int64)) + counted
        self.pictures.append((picture, each))

    def summary(self) -> dict[str, dict[str, float | None]]:
        """IoU, precision and recall by class; of markings the tolerant IoU too, under its name."""
        table: dict[str, dict[str, float | None]] = {
            name: {'iou': count.iou, 'precision': count.precision, 'recall': count.recall}
            for name, count in self.counts.items()
        }
        for name, counted in self.near.items():
            table[name][lane_name(TOLERANCE_PX)] = number(lane_iou(counted)[()])
        return table


def _near_counts(found: npt.NDArray[np.bool_], truth: U8) -> npt.NDArray[np.int64]:
    """`LaneCounts` of one class as int64 (4,), by the code of the replay evaluation."""
    known = truth != UNLABELED
    ids = np.where(known, truth > 127, UNLABELED).astype(np.uint8)
    spec = CountSpec(classes=2, bands=0, markings=(1,), tolerance_px=TOLERANCE_PX)
    return np.array(astuple(lane_counts(ids, found.astype(np.uint8), spec)), np.int64)
