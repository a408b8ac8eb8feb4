"""Several scorers over the same labelled sets in one pass: each picture is loaded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seg_node.camera.size import Size
from seg_node.decide import Decider
from seg_node.progress import track
from seg_node_training.config import Recipe, SetPart
from seg_node_training.data.open import open_set
from seg_node_training.data.targets import found_planes, truth_planes
from seg_node_training.evaluate.metrics import SetScore
from seg_node_training.evaluate.network import Scorer, bring_back, fit, spec_of
from seg_node_training.evaluate.sets import picture_name


def evaluate_together(
    scorers: Mapping[str, Scorer],
    recipe: Recipe,
    parts: Sequence[SetPart],
    thresholds: Sequence[int] | None = None,
) -> dict[str, dict[str, SetScore]]:
    """`evaluate_sets` for each of `scorers`: scores by name, then by set.

    Rendered and large sets are loaded once, whatever the number of scorers.
    """
    decide = Decider(spec_of(recipe, thresholds))
    names = recipe.class_set.names
    results: dict[str, dict[str, SetScore]] = {name: {} for name in scorers}
    for part in parts:
        data = open_set(part, recipe)
        scores = {name: SetScore() for name in scorers}
        for source in track(data.sources(), f'evaluate {part.name}'):
            image, target = data.load(source)
            small = fit(image, recipe)
            truths = truth_planes(target, recipe.classes, names)
            for name, scorer in scorers.items():
                ids = decide(bring_back(scorer(small), recipe, Size.of(image)))
                predicted = found_planes(ids, recipe.classes, names)
                scores[name].add(picture_name(source), predicted, truths)
        for name, score in scores.items():
            results[name][part.name] = score
    return results
