"""What is scored: evaluation classes, and how labels and a model's classes become them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seg_node.classes import LANE, UNLABELED, ClassSet
from seg_node.errors import ConfigError
from seg_node.replay.truth import PLAIN_MAPS, Coding

Array = npt.NDArray[np.uint8]
Score = Literal['auto', 'all', 'road', 'lanes']
SCORES: tuple[Score, ...] = ('auto', 'all', 'road', 'lanes')
_ROAD = frozenset({'road', 'ego_lane', 'other_lane', 'drivable', 'drivable_area'})
_MARKING = frozenset({'lane_marking', 'lane', 'road_line', 'roadline', 'marking'})


def is_marking(name: str) -> bool:
    """Whether a class of this name is paint on the road."""
    return name in _MARKING or name.endswith('_line')


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
        return tuple(i for i, name in enumerate(self.names) if is_marking(name))

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
        if name in self.names:
            return self.names.index(name)
        if is_marking(name) and 'lane_marking' in self.names:
            return self.names.index('lane_marking')
        if (name in _ROAD or is_marking(name)) and 'road' in self.names:
            return self.names.index('road')
        return 0


def choose_scoring(coding: Coding | None, wanted: Score) -> Scoring:
    """The evaluation classes for labels of this coding; without labels the lane model's."""
    target = LANE.names if coding is None else coding.class_map.target
    everything = Scoring(target, tuple(range(len(target))), 'every class of the labels')
    if target == PLAIN_MAPS['lane_types'].names:
        if wanted not in ('auto', 'all'):
            raise ConfigError(f'--score {wanted}: labels of lane types are scored as they are')
        return everything
    if wanted == 'auto':
        produced = frozenset(range(len(target))) if coding is None else coding.produced
        if target != LANE.names or LANE.id_of('lane_marking') in produced:
            wanted = 'all'
        else:
            wanted = 'road'
    if wanted == 'all':
        return everything
    if target != LANE.names:
        raise ConfigError(f'--score {wanted}: expected labels {", ".join(LANE.names)}')
    if wanted == 'road':
        return Scoring(
            ('background', 'road'), (0, 1, 1), 'road only: road or lane_marking counts as road'
        )
    return Scoring(
        ('background', 'lane_marking'), (0, 0, 1), 'lane markings only: road is background'
    )
