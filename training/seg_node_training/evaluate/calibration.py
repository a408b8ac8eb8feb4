"""Whether a score means what it says, what temperature mends it, and which thresholds are best.

All of it comes from histograms of the 256 score values, of pixels that belong to a class and of
pixels that do not, at the size of the source picture. Expected calibration error and temperature:
Guo et al. 2017, "On calibration of modern neural networks"; each class of a sigmoid head is a
problem of two classes of its own, with a temperature of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from seg_node.camera.size import Size
from seg_node.progress import track
from seg_node_training.config import Recipe, SetPart
from seg_node_training.data.open import open_set
from seg_node_training.data.targets import UNKNOWN, truth_planes
from seg_node_training.evaluate.network import Scorer, bring_back, fit

F64 = npt.NDArray[np.float64]
BINS = 15
"""Bins of equal width over the probability, as in Guo et al."""
RANGE = (0.2, 5.0)
"""Temperatures that are tried."""
LEVELS = np.arange(256)


@dataclass
class ScoreCounts:
    """How often each score value occurred: `yes` on pixels of the class, `no` on others.

    Both float64 (256,). A soft truth counts with its probability on either side.
    """

    yes: F64
    no: F64

    @staticmethod
    def empty() -> ScoreCounts:
        """Nothing counted yet."""
        return ScoreCounts(np.zeros(256), np.zeros(256))

    def add(self, scores: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8]) -> None:
        """Count a picture: `scores` uint8 (H, W); `truth` uint8 (H, W), 0..254, 255 unknown."""
        known = truth != UNKNOWN
        share = truth[known].astype(np.float64) / 254
        values = scores[known]
        self.yes += np.bincount(values, share, minlength=256)
        self.no += np.bincount(values, 1 - share, minlength=256)

    def scaled(self) -> ScoreCounts:
        """The same shares with a total of one, so that sets of any size weigh alike."""
        total = max(float(self.yes.sum() + self.no.sum()), 1.0)
        return ScoreCounts(self.yes / total, self.no / total)

    def __add__(self, other: ScoreCounts) -> ScoreCounts:
        return ScoreCounts(self.yes + other.yes, self.no + other.no)


def probabilities(temperature: float = 1.0) -> F64:
    """float64 (256,): probability of each score value, its logit divided by `temperature`."""
    p = np.clip(LEVELS / 255, 0.5 / 255, 1 - 0.5 / 255)
    return 1 / (1 + np.exp(-np.log(p / (1 - p)) / temperature))


def calibration_error(counts: ScoreCounts, temperature: float = 1.0) -> float | None:
    """Expected calibration error, 0..1; None where nothing was counted.

    Mean over the bins, weighted by their pixels, of |share of the class - mean probability|.
    """
    p = probabilities(temperature)
    total = counts.yes + counts.no
    if total.sum() == 0:
        return None
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    said = np.bincount(place, total * p, BINS)
    true = np.bincount(place, counts.yes, BINS)
    return float(np.abs(said - true).sum() / total.sum())


def best_temperature(counts: ScoreCounts) -> float:
    """The temperature of least cross entropy; 1 where nothing was counted."""
    if counts.yes.sum() + counts.no.sum() == 0:
        return 1.0

    def entropy(log_temperature: float) -> float:
        p = probabilities(float(np.exp(log_temperature)))
        return float(-(counts.yes * np.log(p) + counts.no * np.log(1 - p)).sum())

    low, high = np.log(RANGE)
    return float(np.exp(minimize_scalar(entropy, bounds=(low, high), method='bounded').x))


def iou_by_threshold(counts: ScoreCounts) -> F64 | None:
    """float64 (256,): IoU of "score >= threshold" for each threshold; None without the class."""
    if counts.yes.sum() == 0:
        return None
    hit = counts.yes[::-1].cumsum()[::-1]
    predicted = hit + counts.no[::-1].cumsum()[::-1]
    union = predicted + counts.yes.sum() - hit
    return np.asarray(hit / union)


def best_threshold(sets: Sequence[ScoreCounts]) -> int:
    """The threshold, 1..255, of the highest mean IoU over the sets that have the class."""
    curves = [c for c in map(iou_by_threshold, sets) if c is not None]
    return 128 if not curves else 1 + int(np.mean(curves, axis=0)[1:].argmax())


Counted = Mapping[str, Mapping[str, ScoreCounts]]
"""Counts by class, then by set."""


def count_scores(scorer: Scorer, recipe: Recipe, parts: Sequence[SetPart]) -> Counted:
    """Counts of every foreground class on every set."""
    names = recipe.class_set.names
    counted: dict[str, dict[str, ScoreCounts]] = {name: {} for name in names[1:]}
    for part in parts:
        data = open_set(part, recipe)
        for source in track(data.sources(), f'count {part.name}'):
            image, target = data.load(source)
            planes = bring_back(scorer(fit(image, recipe)), recipe, Size.of(image))
            truths = truth_planes(target, recipe.classes, names)
            for plane, (name, truth) in zip(planes, truths.items()):
                if np.any(truth != UNKNOWN):
                    own = counted[name].setdefault(part.name, ScoreCounts.empty())
                    own.add(plane, truth)
    return counted
