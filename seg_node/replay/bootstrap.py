"""Confidence intervals by a paired block bootstrap over the frames of a drive.

Neighbouring frames show nearly the same picture, so whole blocks of them are drawn instead of
single ones (Künsch 1989, https://doi.org/10.1214/aos/1176347265), the same blocks for every model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.metrics.figures import Counts, Values, number

_MOST_BLOCKS = 1500
_FEWEST_BLOCKS = 20


@dataclass(frozen=True)
class Bootstrap:
    """`draws` resamples of blocks of `block_frames` frames, seeded; 95 % percentile intervals."""

    block_frames: int
    draws: int = 1000
    seed: int = 0
    level: float = 0.95

    @classmethod
    def for_frames(cls, frames: int, rate_hz: float | None) -> Bootstrap:
        """Blocks of about a second, but at least 20 and at most 1,500 of them."""
        second = round(rate_hz) if rate_hz else 10
        longest = max(1, frames // _FEWEST_BLOCKS)
        shortest = -(-frames // _MOST_BLOCKS)
        return cls(max(1, shortest, min(second, longest)))

    def describe(self) -> dict[str, Any]:
        """The protocol, for the report."""
        return {
            'method': 'paired block bootstrap, percentile interval',
            'block_frames': self.block_frames,
            'draws': self.draws,
            'seed': self.seed,
            'level': self.level,
        }

    def weights(self, blocks: int) -> npt.NDArray[np.int64]:
        """int64 (draws, blocks): how often each block is drawn; the same for the same seed."""
        rng = np.random.default_rng(self.seed)
        return rng.multinomial(blocks, np.full(blocks, 1 / blocks), self.draws)

    def samples(self, blocks: Counts, statistic: Callable[[Counts], Values]) -> Values:
        """(draws, models) `statistic` of resampled (models, blocks, ...) counts.

        `statistic` takes (..., *count shape) and gives (...).
        """
        models, count = blocks.shape[:2]
        weights = self.weights(count).astype(np.float64)
        # Sums stay below 2^53, so the product in float64 is exact and BLAS may do it.
        flat = blocks.reshape(models, count, -1).astype(np.float64)
        drawn = np.stack([weights @ part for part in flat], axis=1)
        return statistic(np.rint(drawn).astype(np.int64).reshape(-1, models, *blocks.shape[2:]))

    def interval(self, values: Values) -> list[float | None]:
        """[low, high] of the draws; None where the statistic does not exist."""
        known = values[~np.isnan(values)]
        if not known.size:
            return [None, None]
        tail = (1 - self.level) / 2
        low, high = np.quantile(known, (tail, 1 - tail))
        return [number(low), number(high)]
