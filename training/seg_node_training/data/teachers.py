"""What to believe of the soft answers of teachers, and of a human's beside them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from seg_node_training.data.targets import UNKNOWN

U8 = npt.NDArray[np.uint8]

BONNET_ROWS = 0.65
"""Share of the height below which the own bonnet may be in the picture."""


@dataclass(frozen=True)
class SoftAnswers:
    """Probability x 255 of two teachers, all uint8 (H, W) or None where one is not there.

    `road` (markings included) and `mark`: the better one. `older_road`: the older one's drivable
    area. `paint`: the rule on the older one's lines (255 paint, 128 unsure, 0 none).
    """

    road: U8 | None
    mark: U8 | None
    older_road: U8 | None = None
    paint: U8 | None = None


def soft_target(answers: SoftAnswers, human: U8 | None) -> U8:
    """Planes road and marking, uint8 (2, H, W), 0..254 probability, 255 unknown.

    `human`: ids uint8 (H, W), 0 background, 1 road, 2 marking, 255 unknown, or None. A human's
    road is road whatever a teacher says. Without a human, where the two teachers contradict each
    other nothing is known: low in the picture the better teacher calls bonnets road, and the
    older one does not; the better one loses thin far dashes, which the rule on the older one's
    lines may see.
    """
    planes = [plane for plane in (answers.road, answers.mark, human) if plane is not None]
    target = np.full((2, *planes[0].shape), UNKNOWN, np.uint8)
    if answers.road is not None:
        target[0] = _soft(answers.road)
        if answers.older_road is not None:
            target[0][_perhaps_bonnet(answers.road, answers.older_road)] = UNKNOWN
    if human is not None:
        target[0][human == 0] = 0
        target[0][(human == 1) | (human == 2)] = 254
    if answers.mark is not None:
        target[1] = _soft(answers.mark)
        if answers.paint is not None:
            target[1][(answers.paint == 255) & (answers.mark < 102)] = UNKNOWN
        if human is not None:
            # Paint beside a hand-drawn outline: the outline is coarse, neither is sure.
            outside = (answers.mark > 127) & (human == 0)
            target[:, outside] = UNKNOWN
            target[1][(human == 0) & ~_near(human > 0)] = 0
    return target


def _soft(probability: U8) -> U8:
    return np.minimum(probability, 254)


def _near(chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels of `chosen` and those about a hundredth of the width from them."""
    reach = max(3, chosen.shape[1] // 50) | 1
    kernel = np.ones((reach, reach), np.uint8)
    wide: npt.NDArray[np.bool_] = cv2.dilate(chosen.astype(np.uint8), kernel).astype(bool)
    return wide


def _perhaps_bonnet(road: U8, older: U8) -> npt.NDArray[np.bool_]:
    """Where the better teacher says road low in the picture and the older one surely not."""
    doubt = (road > 100) & (older < 24)
    doubt[: int(BONNET_ROWS * len(doubt))] = False
    return doubt
