"""Exponential moving average of weights, by timm."""

from __future__ import annotations

from timm.utils.model_ema import ModelEmaV3
from torch import nn


class Ema(ModelEmaV3):
    """A shadow of a network, `module`, whose floats follow it slowly.

    The decay of update n is min(decay, (1 + n) / (10 + n)), so that the random start is forgotten
    early: timm's warm-up of gamma 9 and power 1. Buffers (the running statistics of batch
    normalisation) are averaged like weights. `updates`: how many there were.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, decay=decay, use_warmup=True, warmup_gamma=9.0, warmup_power=1.0)
        self.module.requires_grad_(False)
        self.updates = 0

    def follow(self, model: nn.Module) -> None:
        """Come nearer to `model` by one step."""
        self.updates += 1
        self.update(model, self.updates + 2)  # timm's warm-up begins with its second step
