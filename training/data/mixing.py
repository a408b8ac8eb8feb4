"""A stream of augmented pairs from several sets, a pure function of (seed, position)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from seg_node.errors import ConfigError
from seg_node_training.data.augment import Augmentation, augment
from seg_node_training.data.cache import CachedSet
from seg_node_training.targets import Encode


class MixedPairs(Dataset[tuple[Tensor, Tensor]]):
    """Pair number `position` of an endless mixture.

    Each set is drawn in proportion to weight x size, a picture of it by chance, and everything
    random comes from a generator seeded by (seed, position): the same pair comes out in whichever
    process, after whichever interruption. `encode` turns a set's target into the loss's.
    """

    def __init__(
        self,
        sets: Sequence[CachedSet],
        weights: Sequence[float],
        augmentation: Augmentation,
        seed: int,
        encode: Encode | None = None,
    ) -> None:
        share = np.array([len(s) * w for s, w in zip(sets, weights)], float)
        if not len(share) or share.sum() <= 0:
            raise ConfigError('data: expected a training set with a weight above 0, got none')
        self.sets = list(sets)
        self.share = share / share.sum()
        self.augmentation = augmentation
        self.seed = seed
        self.encode = encode or (lambda target: target)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        """Picture uint8 (3, H, W) and target uint8 (K, H, W)."""
        rng = np.random.default_rng((self.seed, position))
        chosen = self.sets[int(rng.choice(len(self.sets), p=self.share))]
        index = int(rng.integers(len(chosen)))
        image, target = augment(
            np.asarray(chosen.images[index]),
            np.asarray(chosen.targets[index]),
            self.augmentation,
            rng,
        )
        target = np.ascontiguousarray(self.encode(target))
        return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(target)


class StepLoader:
    """Batches of steps `first` .. `last` - 1, in order, prepared ahead by threads.

    Threads, not processes: the work is OpenCV and numpy, which let go of the interpreter, and a
    forked worker deadlocks on the thread pools that OpenCV and OpenMP leave behind. `rank` of
    `world` takes its own slice of each step.
    """

    def __init__(
        self, pairs: MixedPairs, first: int, last: int, batch: int, workers: int, ahead: int = 4
    ) -> None:
        self.pairs, self.first, self.last = pairs, first, last
        self.batch, self.workers, self.ahead = batch, workers, ahead

    def make(self, step: int) -> tuple[Tensor, Tensor]:
        """Pictures uint8 (N, 3, H, W), channels last, and targets uint8 (N, K, H, W)."""
        made = [self.pairs[step * self.batch + i] for i in range(self.batch)]
        return torch.stack([m[0] for m in made]), torch.stack([m[1] for m in made])

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.workers == 0:
            yield from map(self.make, range(self.first, self.last))
            return
        cv2.setNumThreads(1)
        with ThreadPoolExecutor(self.workers, 'loader') as pool:
            waiting: deque[Future[tuple[Tensor, Tensor]]] = deque()
            try:
                for step in range(self.first, self.last):
                    waiting.append(pool.submit(self.make, step))
                    if len(waiting) > self.ahead:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


def as_array(image: Tensor) -> npt.NDArray[np.uint8]:
    """uint8 (H, W, 3) from a uint8 (3, H, W) tensor, for looking at."""
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())
