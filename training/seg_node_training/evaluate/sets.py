"""Run a network over labelled sets exactly as the node does, and score it at source size.

Protocol: the picture is brought to the network's size, scores are rounded to uint8, enlarged
linearly to the source size and decided there, all by the code that the node runs; counts are
accumulated over all pixels of a set whose truth is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.camera.size import Size
from seg_node.decide import Decider
from seg_node.progress import track
from seg_node_training.config import Recipe, SetPart
from seg_node_training.data.open import open_set
from seg_node_training.data.targets import found_planes, truth_planes
from seg_node_training.evaluate.metrics import SetScore
from seg_node_training.evaluate.network import Scorer, bring_back, fit, spec_of

U8 = npt.NDArray[np.uint8]


def picture_name(source: Any) -> str:
    """A name for one source of any adapter: the picture's stem, or the frame's number."""
    return source.image.stem if hasattr(source, 'image') else f'{source:06d}'


@dataclass(frozen=True)
class Seen:
    """One evaluated picture: the adapter's source, image uint8 (H, W, 3) BGR, target uint8
    (K, H, W), and the answer, ids uint8 (H, W), all at source size."""

    source: Any
    image: U8
    target: U8
    ids: U8


def evaluate_sets(
    scorer: Scorer,
    recipe: Recipe,
    parts: Sequence[SetPart],
    thresholds: Sequence[int] | None = None,
    watch: Callable[[Seen], None] | None = None,
) -> dict[str, SetScore]:
    """Score `scorer` on each set; `watch` is called with each picture and its answer."""
    decide = Decider(spec_of(recipe, thresholds))
    results = {}
    names = recipe.class_set.names
    for part in parts:
        data = open_set(part, recipe)
        score = SetScore()
        for source in track(data.sources(), f'evaluate {part.name}'):
            image, target = data.load(source)
            planes = bring_back(scorer(fit(image, recipe)), recipe, Size.of(image))
            ids = decide(planes)
            truths = truth_planes(target, recipe.classes, names)
            score.add(picture_name(source), found_planes(ids, recipe.classes, names), truths)
            if watch is not None:
                watch(Seen(source, image, target, ids))
        results[part.name] = score
    return results


def figures(results: Mapping[str, SetScore]) -> dict[str, float]:
    """Flat `set/class` -> IoU, rounded to four places."""
    flat = {}
    for name, score in results.items():
        for label, values in score.summary().items():
            if values['iou'] is not None:
                flat[f'{name}/{label}'] = round(values['iou'], 4)
    return flat
