"""Whether the values of a set of label pictures are what they are taken for.

Label files of other projects look alike: 8-bit, one channel. Masks of 0 and 255 read as class ids
are "background and unlabelled", CARLA's tags are all "more than 0", and nothing fails: a network
learns nothing, or the wrong thing. So the values of the whole set are judged once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seg_node.class_map import ClassMap, load_class_map
from seg_node.classes import UNLABELED

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]

HIGHEST_CODE = {'carla_0_9_13': 22, 'carla_0_9_14': 28, 'cityscapes': 33, 'bdd100k': 18}
"""Highest code of each shipped numbering of ids (CARLA's tags, Cityscapes' labelIds, trainIds)."""
LEAST_ROAD = 0.05
"""Share of the lower half of a drive's pictures that road covers at least."""
MOST_NAMED = 12


@dataclass(frozen=True)
class LabelValues:
    """How often each value occurs in a set's label pictures; both int64 (256,).

    `lower` counts the lower halves alone, where a camera on a car sees the road.
    """

    all: I64
    lower: I64

    @staticmethod
    def of(planes: Sequence[U8]) -> LabelValues:
        """Counts over `planes`, each uint8 (H, W)."""
        full = np.zeros(256, np.int64)
        lower = np.zeros(256, np.int64)
        for plane in planes:
            full += np.bincount(plane.ravel(), minlength=256)
            lower += np.bincount(plane[plane.shape[0] // 2 :].ravel(), minlength=256)
        return LabelValues(full, lower)

    @property
    def present(self) -> tuple[int, ...]:
        """The values that occur, ascending."""
        return tuple(int(i) for i in np.flatnonzero(self.all))


def fitting_class_map(values: LabelValues) -> str | None:
    """The shipped numbering of ids that these labels look like; None where none fits.

    A numbering fits when no code is beyond its highest and what it calls road covers a part of the
    lower half of the pictures; of several the one with the most road, then the smallest, is taken.
    """
    codes = [code for code in values.present if code != UNLABELED]
    area = max(int(values.lower.sum()), 1)
    ranked = []
    for name, highest in HIGHEST_CODE.items():
        if not codes or codes[-1] > highest:
            continue
        road = [code for code, mapped in load_class_map(name).ids.items() if mapped in (1, 2)]
        share = float(values.lower[road].sum()) / area
        if share > LEAST_ROAD:
            # Background is 0 nearly everywhere; that it is BDD100K's road is the last guess.
            ranked.append((0 not in road, round(share, 3), -highest, name))
    return max(ranked)[-1] if ranked else None


def label_problem(
    values: LabelValues,
    known: Sequence[str],
    positive: Collection[int],
    class_map: ClassMap | None = None,
) -> str | None:
    """What is wrong with a set's label values, as one phrase; None where they fit.

    `known`: names of the ids 0, 1, ... that labels may hold (255 is unlabelled). `positive`: the
    ids that the set is there to show; labels that hold other ones, and never these, teach nothing.
    `class_map`: what the raw values are translated by first.
    """
    present = values.present
    if class_map is not None:
        table = class_map.apply_ids(np.arange(256, dtype=np.uint8))
        present = tuple(sorted({int(table[code]) for code in present}))
    foreign = [code for code in present if code >= len(known) and code != UNLABELED]
    names = ', '.join(f'{i} {name}' for i, name in enumerate(known))
    if foreign:
        return (
            f'labels hold ids {_listed(foreign)}, expected {names} or 255 unlabelled'
            + _proposal(fitting_class_map(values))
        )
    if set(present) & set(positive) or set(values.present) == {0}:
        return None
    positives = ', '.join(f'{i} {known[i]}' for i in sorted(positive))
    raw = ', '.join(map(str, values.present))
    if class_map is not None:
        return f'labels hold {raw}, none of which {class_map.name} makes {positives}'
    if set(present) <= {0, UNLABELED}:
        return (
            f"labels hold only {raw}, and 255 is 'unlabelled' here, so nothing is {positives}; "
            'for binary masks use class_map: binary_marking or binary_road'
        )
    return (
        f'labels hold {raw} but never {positives}, all that is asked of them; for binary masks '
        'use class_map: binary_marking or binary_road'
    )


def _proposal(name: str | None) -> str:
    return f'; they look like {name}: use class_map: {name}' if name else ''


def _listed(codes: Sequence[int]) -> str:
    more = len(codes) - MOST_NAMED
    shown = ', '.join(map(str, codes[:MOST_NAMED]))
    return f'{shown} and {more} more' if more > 0 else shown
