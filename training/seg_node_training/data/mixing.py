"""A stream of augmented pairs from several sets, a pure function of (seed, position)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from seg_node.errors import ConfigError
from seg_node_training.data.cache import CachedSet
from seg_node_training.data.targets import Encode
from seg_node_training.data.transforms import transformed


@dataclass(frozen=True)
class Turns:
    """Domains in turn: `length` pairs from the first domain's sets, then from the next one's."""

    domains: tuple[str, ...]
    """Domain of each set, in the order of the sets."""
    length: int

    def chosen(self, position: int) -> npt.NDArray[np.bool_]:
        """bool (sets,): which sets have their turn at `position`."""
        order = list(dict.fromkeys(self.domains))
        turn = order[position // self.length % len(order)]
        return np.array([domain == turn for domain in self.domains])


class MixedPairs(Dataset[tuple[Tensor, Tensor]]):
    """Pair number `position` of an endless mixture.

    Each set is drawn in proportion to weight x size, a picture of it by chance, and everything
    random comes from a generator seeded by (seed, position): the same pair comes out in whichever
    process, after whichever interruption. `encode` turns a set's target into the loss's. With
    `turns` only the sets of one domain at a time are drawn from.
    """

    def __init__(
        self,
        sets: Sequence[CachedSet],
        weights: Sequence[float],
        transform: v2.Transform,
        seed: int,
        encode: Encode | None = None,
        turns: Turns | None = None,
    ) -> None:
        share = np.array([len(s) * w for s, w in zip(sets, weights)], float)
        if not len(share) or share.sum() <= 0:
            raise ConfigError('data: expected a training set with a weight above 0, got none')
        self.sets = list(sets)
        self.share: npt.NDArray[np.float64] = share / share.sum()
        self.transform = transform
        self.seed = seed
        self.encode = encode or (lambda target: target)
        self.turns = turns

    def _share_at(self, position: int) -> npt.NDArray[np.float64]:
        if self.turns is None:
            return self.share
        chosen = np.where(self.turns.chosen(position), self.share, 0.0)
        share: npt.NDArray[np.float64] = chosen / chosen.sum()
        return share

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        """Picture uint8 (3, H, W) and target uint8 (K, H, W)."""
        rng = np.random.default_rng((self.seed, position))
        chosen = self.sets[int(rng.choice(len(self.sets), p=self._share_at(position)))]
        index = int(rng.integers(len(chosen)))
        picture, codes = np.asarray(chosen.images[index]), np.asarray(chosen.targets[index])
        image, target = transformed(self.transform, picture, codes, rng)
        encoded = np.ascontiguousarray(self.encode(target.numpy()))
        return image.as_subclass(Tensor), torch.from_numpy(encoded)


@dataclass(frozen=True)
class Slice:
    """The part of each step's pictures that process `rank` of `world` prepares."""

    rank: int = 0
    world: int = 1

    def positions(self, step: int, batch: int) -> range:
        """Positions of this process's pairs of a step of `batch` pairs over all processes."""
        own = batch // self.world
        begin = step * batch + self.rank * own
        return range(begin, begin + own)


class StepLoader:
    """Batches of steps `first` .. `last` - 1, in order, prepared ahead by threads.

    Threads, not processes: the work is OpenCV, torchvision and numpy, which let go of the
    interpreter, and a forked worker deadlocks on the thread pools that OpenCV and OpenMP leave
    behind. `batch` counts the pairs of all processes together; `part` is this process's own.
    """

    def __init__(
        self,
        pairs: MixedPairs,
        first: int,
        last: int,
        batch: int,
        workers: int,
        ahead: int = 4,
        part: Slice | None = None,
    ) -> None:
        part = part or Slice()
        if batch % part.world:
            raise ConfigError(
                f'loop.batch_size: expected a multiple of the {part.world} processes, got {batch}'
            )
        self.pairs, self.first, self.last = pairs, first, last
        self.batch, self.workers, self.ahead, self.part = batch, workers, ahead, part

    def make(self, step: int) -> tuple[Tensor, Tensor]:
        """Pictures uint8 (N, 3, H, W), channels last, and targets uint8 (N, K, H, W)."""
        pairs = [self.pairs[position] for position in self.part.positions(step, self.batch)]
        return torch.stack([m[0] for m in pairs]), torch.stack([m[1] for m in pairs])

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
