"""What is scored: evaluation classes, and how labels and a model's classes become them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seg_node.class_names import meaning, same_class
from seg_node.classes import LANE, UNLABELED, ClassSet
from seg_node.errors import ConfigError
from seg_node.replay.truth import PLAIN_MAPS, Coding

Array = npt.NDArray[np.uint8]
Score = Literal['auto', 'all', 'road', 'lanes']
SCORES: tuple[Score, ...] = ('auto', 'all', 'road', 'lanes')


@dataclass(frozen=True)
class Scoring:
    """Names of the evaluation classes and the tables from label ids and class names to them.

    `truth_table`: for every id of the label's class map; `markings`: evaluation ids that are
    paint; `statement`: the protocol in a sentence.
    """

    names: tuple[str, ...]
    truth_table: tuple[int, ...]
    statement: str

    @property
    def markings(self) -> tuple[int, ...]:
        """Evaluation ids of paint."""
        return tuple(i for i, name in enumerate(self.names) if meaning(name) == 'marking')

    def truth_lut(self) -> Array:
        """uint8 (256): evaluation id of every label id; 255 stays."""
        table = np.full(256, UNLABELED, np.uint8)
        table[: len(self.truth_table)] = self.truth_table
        return table

    def model_lut(self, classes: ClassSet) -> tuple[Array, str]:
        """uint8 (256): evaluation id of every class id of a model, and what was done in words."""
        table = np.zeros(256, np.uint8)
        folded = []
        for class_id, name in enumerate(classes.names):
            table[class_id] = self._of_model_class(name)
            if class_id and name != self.names[table[class_id]]:
                folded.append(f'{name} as {self.names[table[class_id]]}')
        return table, '; '.join(folded)

    def _of_model_class(self, name: str) -> int:
        for class_id, known in enumerate(self.names):
            if same_class(name, known):
                return class_id
        kind = meaning(name)
        if kind == 'marking' and 'lane_marking' in self.names:
            return self.names.index('lane_marking')
        if kind is not None and 'road' in self.names:
            return self.names.index('road')
        return 0


def choose_scoring(coding: Coding | None, score: Score) -> Scoring:
    """The evaluation classes for labels of this coding; without labels the lane model's."""
    target = LANE.names if coding is None else coding.class_map.target
    everything = Scoring(target, tuple(range(len(target))), 'every class of the labels')
    if target == PLAIN_MAPS['lane_types'].names:
        if score not in ('auto', 'all'):
            raise ConfigError(f'--score {score}: labels of lane types are scored as they are')
        return everything
    if score == 'auto':
        produced = frozenset(range(len(target))) if coding is None else coding.produced
        paint = target != LANE.names or LANE.id_of('lane_marking') in produced
        score = 'all' if paint else 'road'
    if score == 'all':
        return everything
    if target != LANE.names:
        raise ConfigError(f'--score {score}: expected labels {", ".join(LANE.names)}')
    if score == 'road':
        return Scoring(
            ('background', 'road'), (0, 1, 1), 'road only: road or lane_marking counts as road'
        )
    return Scoring(
        ('background', 'lane_marking'), (0, 0, 1), 'lane markings only: road is background'
    )
