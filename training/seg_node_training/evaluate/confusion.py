"""Confusion matrix of class ids, and its picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg_node.files import write_atomic
from seg_node.metrics.counts import pair_counts
from seg_node.metrics.figures import ious, mean_iou, number

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]


class Confusion:
    """Counts of (truth, found) pairs: int64 (C, C), rows truth."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.counts: I64 = np.zeros((len(classes), len(classes)), np.int64)

    def add(self, truth: U8, predicted: U8) -> None:
        """Count one picture; both uint8 (H, W) of ids, truth 255 = unknown."""
        self.counts += pair_counts(truth, predicted, len(self.classes))

    def iou(self) -> dict[str, float | None]:
        """Intersection over union by class, None where the class never occurs."""
        return {n: number(value) for n, value in zip(self.classes, ious(self.counts))}

    def mean_iou(self) -> float | None:
        """Mean over the classes that occur, background included."""
        return number(mean_iou(self.counts))

    def plot(self, path: Path, title: str) -> None:
        """Draw the matrix, each row as shares of its truth, as PNG."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        share = self.counts / np.maximum(1, self.counts.sum(1, keepdims=True))
        figure = Figure((5.2, 4.6), dpi=110, layout='constrained')
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.imshow(share, cmap='Blues', vmin=0, vmax=1)
        ticks = range(len(self.classes))
        axes.set(title=title, xlabel='found', ylabel='truth', xticks=ticks, yticks=ticks)
        axes.set_xticklabels(self.classes, rotation=20)
        axes.set_yticklabels(self.classes)
        for (row, column), value in np.ndenumerate(share):
            colour = 'white' if value > 0.5 else 'black'
            text = f'{value:.3f}\n{self.counts[row, column]:,}'
            axes.text(column, row, text, ha='center', va='center', color=colour, fontsize=8)
        with write_atomic(path) as temporary:
            figure.savefig(temporary)
