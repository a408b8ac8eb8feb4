"""Exponential moving average of weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class Ema:
    """A shadow of a network whose floats follow it slowly.

    The decay grows from 0.1 towards `decay`, so that the random start is forgotten early. Buffers
    (the running statistics of batch normalisation) are averaged like weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Follow `model` by one step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        own, other = self.model.state_dict(), model.state_dict()
        floats = [k for k, v in own.items() if v.is_floating_point()]
        torch._foreach_lerp_([own[k] for k in floats], [other[k] for k in floats], 1 - decay)
        for key in own.keys() - set(floats):
            own[key].copy_(other[key])

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {'updates': self.updates}
