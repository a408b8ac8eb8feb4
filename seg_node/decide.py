"""From scores to class ids, in uint8 and without copies: the runtime's one decision rule.

The same rule stands inside the graph for the network-sized mask; here it is applied again after
the scores were enlarged to the camera's size, because a hard mask enlarged by nearest neighbour
loses thin lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.model.spec import Head, ModelSpec

Array = npt.NDArray[np.uint8]


class Decider:
    """The decision rule of one model, with its scratch memory. Not thread-safe."""

    def __init__(self, spec: ModelSpec) -> None:
        self.head: Head = spec.head
        self.code = spec.logit_code
        self.thresholds = spec.thresholds
        self._scratch: Array = np.empty((0, 0), np.uint8)

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Scores (probability x 255) from which on a pixel has each foreground class."""
        return self._thresholds

    @thresholds.setter
    def thresholds(self, values: tuple[int, ...]) -> None:
        self._thresholds = values
        self.levels = self.levels_of(values)
        """The same on the planes as the network gives them: scores or logits."""

    def levels_of(self, scores: tuple[int, ...]) -> tuple[int, ...]:
        """Scores, one a foreground class, as values of the planes that the network gives."""
        return scores if self.code is None else self.code.levels(scores)

    def __call__(self, planes: Sequence[Array], out: Array | None = None) -> Array:
        """Class ids, uint8 (H, W), of K planes, uint8 (H, W), of the classes 1..K, as the network
        gives them."""
        mask = out if out is not None else np.empty(planes[0].shape, np.uint8)
        if self.head == 'softmax':
            return _by_argmax(planes, mask)
        if self._scratch.shape != mask.shape:
            self._scratch = np.empty(mask.shape, np.uint8)
        # Later classes are painted over earlier ones: the id is the largest that is present.
        cv2.threshold(planes[0], self.levels[0] - 1, 1, cv2.THRESH_BINARY, dst=mask)
        for class_id, (plane, threshold) in enumerate(zip(planes[1:], self.levels[1:]), 2):
            cv2.threshold(plane, threshold - 1, class_id, cv2.THRESH_BINARY, dst=self._scratch)
            cv2.max(mask, self._scratch, dst=mask)
        return mask


def _by_argmax(planes: Sequence[Array], mask: Array) -> Array:
    best = background_score(planes, 'softmax')
    mask[...] = 0
    for class_id, plane in enumerate(planes, 1):
        wins = cv2.compare(plane, best, cv2.CMP_GT)
        mask[wins != 0] = class_id
        cv2.max(best, plane, dst=best)
    return mask


def background_score(planes: Sequence[Array], head: Head) -> Array:
    """uint8 (H, W): what the foreground scores leave to the background."""
    if head == 'sigmoid':
        top = planes[0]
        for plane in planes[1:]:
            top = np.asarray(cv2.max(top, plane), np.uint8)
        return np.asarray(cv2.bitwise_not(top), np.uint8)
    left = np.asarray(cv2.bitwise_not(planes[0]), np.uint8)
    for plane in planes[1:]:
        cv2.subtract(left, plane, dst=left)
    return left


def confidence(mask: Array, planes: Sequence[Array], head: Head) -> Array:
    """uint8 (H, W): score of the class that `mask` gives each pixel."""
    background = background_score(planes, head)
    for class_id, plane in enumerate(planes, 1):
        cv2.copyTo(plane, np.asarray(cv2.compare(mask, class_id, cv2.CMP_EQ)), background)
    return background
