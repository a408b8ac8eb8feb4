"""A network under evaluation: its scores, the time they took, and the loss on each picture."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seg_node_training.config import Recipe
from seg_node_training.data.targets import encoder
from seg_node_training.data.transforms.geometry import resize_pair
from seg_node_training.evaluate.network import network_size, scores_of, torch_logits
from seg_node_training.evaluate.sets import Seen
from seg_node_training.train.losses import alone
from seg_node_training.train.objective import build_loss

U8 = npt.NDArray[np.uint8]


class TimedNetwork:
    """Scores pictures (`score` is a `Scorer`) and keeps what the last answer took and cost."""

    def __init__(self, model: nn.Module, recipe: Recipe, bf16: bool = False) -> None:
        self.recipe = recipe
        self.spent: list[float] = []
        self.losses: list[float] = []
        self._logits = torch_logits(model, recipe, bf16)
        self._loss = build_loss(recipe, model)
        self._encode = encoder(recipe.classes, recipe.head)
        self._last: Tensor | None = None

    def score(self, image: U8) -> U8:
        """Scores uint8 (K, h, w) of a picture of the network's size."""
        begin = time.perf_counter()
        self._last = self._logits(image)
        scores = scores_of(self._last, self.recipe)
        self.spent.append(time.perf_counter() - begin)
        return scores

    @torch.inference_mode()
    def compare(self, seen: Seen) -> None:
        """Keep the loss of the last answer, on the picture that it belongs to."""
        if self._last is None:
            return
        size, policy = network_size(self.recipe), self.recipe.input.resize
        _, planes = resize_pair(seen.image, seen.target, size, policy)
        codes = torch.from_numpy(np.ascontiguousarray(self._encode(planes)))[None]
        with alone():
            self.losses.append(float(self._loss(self._last, codes.to(self._last.device))))

    @property
    def loss(self) -> float:
        """Mean loss over the pictures."""
        return float(np.mean(self.losses))
