"""Logits as bytes: what contract 2 puts out instead of scores, and how scores come of them.

A byte q stands for the logit `(q - zero) * scale`. The sigmoid, and a temperature a class
(Guo et al. 2017), are a table of 256 scores; a threshold on the score is a threshold on the byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.uint8]

SCALE, ZERO = 1 / 16, 128
"""Of the files that `training` writes: logits from -8 to 7.94, scores from 0.0003 to 0.9996."""


@dataclass(frozen=True)
class LogitCode:
    """How the bytes of K classes are to be read; `temperatures` holds one a class."""

    scale: float
    zero: int
    temperatures: tuple[float, ...]

    @cached_property
    def tables(self) -> tuple[Array, ...]:
        """K times uint8 (256,): score of each byte, probability x 255, never falling."""
        logits = (np.arange(256) - self.zero) * self.scale
        return tuple(
            np.round(255 / (1 + np.exp(-logits / t))).astype(np.uint8) for t in self.temperatures
        )

    def levels(self, thresholds: tuple[int, ...]) -> tuple[int, ...]:
        """The lowest byte whose score reaches each threshold; 256 where none does."""
        return tuple(int(np.searchsorted(t, s)) for t, s in zip(self.tables, thresholds))

    def scores(self, index: int, plane: Array, out: Array | None = None) -> Array:
        """Scores uint8 (H, W) of the bytes uint8 (H, W) of class `index` + 1; `out` may be
        `plane`."""
        return np.asarray(cv2.LUT(plane, self.tables[index], dst=out), np.uint8)


def unshuffled(patches: Array, out: Array) -> Array:
    """Planes uint8 (K, h * p, w * p), written into `out`, of patches uint8 (h, w, K * p * p).

    The pixel shuffle of Shi et al. 2016, outside the graph: the p pixels of a row of a patch are
    neighbours before and after, so whole words are moved. p is 1, 2, 4 or 8.
    """
    height, width, _ = patches.shape
    count, patch = len(out), out.shape[1] // height
    word = np.dtype(f'u{patch}')
    source = patches.view(word).reshape(height, width, count, patch)
    np.copyto(out.view(word).reshape(count, height, patch, width), source.transpose(2, 0, 3, 1))
    return out
