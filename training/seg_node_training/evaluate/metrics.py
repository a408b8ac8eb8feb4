"""IoU by accumulated counts, at the size of the source picture.

Not torchmetrics: the counts must be those of the replay evaluation (`seg_node.metrics.counts`),
unknown pixels and tolerant markings included, which it does not count.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field

import numpy as np
import numpy.typing as npt

from seg_node.classes import LANE, UNLABELED
from seg_node.metrics.counts import CountSpec, confusion, lane_counts
from seg_node.metrics.figures import ious, lane_iou, lane_name, number, ratio

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]
TOLERANCE_PX = 3
"""Radius, in pixels of the source picture, within which a marking counts as found."""
THIN = frozenset({LANE.names[2], 'double_line', 'dashed_line', 'single_line'})
"""Classes that are a few pixels wide, whose plain IoU a shift of one pixel halves."""


_ONE = CountSpec(classes=2, bands=0, markings=(1,), tolerance_px=TOLERANCE_PX)
"""One class against the rest."""


def binary_counts(predicted: npt.NDArray[np.bool_], truth: U8) -> I64:
    """int64 (2, 2) pixels by truth and found, known pixels only.

    found: bool (H, W). truth: uint8 (H, W): >127 yes, 255 unknown.
    """
    counts: I64 = confusion(_ids(truth), predicted.astype(np.uint8), None, _ONE)[-1]
    return counts


def _ids(truth: U8) -> U8:
    return np.where(truth == UNLABELED, UNLABELED, truth > 127).astype(np.uint8)


@dataclass
class SetScore:
    """Counts of each class over one data set, and the IoU of each picture."""

    counts: dict[str, I64] = field(default_factory=dict)
    near: dict[str, I64] = field(default_factory=dict)
    pictures: list[tuple[str, dict[str, float | None]]] = field(default_factory=list)

    def add(
        self, picture: str, predicted: dict[str, npt.NDArray[np.bool_]], truths: dict[str, U8]
    ) -> None:
        """Count one picture; `predicted` and `truths` by class (see `binary_counts`).

        A class of which the picture knows nothing is left out.
        """
        each: dict[str, float | None] = {}
        for name, truth in truths.items():
            if not np.any(truth != 255):
                continue
            counted = binary_counts(predicted[name], truth)
            self.counts[name] = self.counts.get(name, np.zeros((2, 2), np.int64)) + counted
            each[name] = share(ious(counted)[1])
            if name in THIN:
                self.near[name] = self.near.get(name, np.zeros(4, np.int64)) + _near_counts(
                    predicted[name], truth
                )
        self.pictures.append((picture, each))

    def summary(self) -> dict[str, dict[str, float | None]]:
        """IoU, precision and recall by class; of markings the tolerant IoU too, under its name."""
        table: dict[str, dict[str, float | None]] = {
            name: {
                'iou': share(ious(count)[1]),
                'precision': share(ratio(count[1, 1], count[:, 1].sum())),
                'recall': share(ratio(count[1, 1], count[1].sum())),
            }
            for name, count in self.counts.items()
        }
        for name, counted in self.near.items():
            table[name][lane_name(TOLERANCE_PX)] = number(lane_iou(counted)[()])
        return table


def share(value: npt.ArrayLike) -> float | None:
    """A plain number; None for NaN, where neither side has a pixel."""
    plain = float(np.asarray(value))
    return None if np.isnan(plain) else plain


def _near_counts(predicted: npt.NDArray[np.bool_], truth: U8) -> I64:
    """`LaneCounts` of one class as int64 (4,)."""
    return np.array(astuple(lane_counts(_ids(truth), predicted.astype(np.uint8), _ONE)), np.int64)
