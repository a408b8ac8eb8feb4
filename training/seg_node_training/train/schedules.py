"""Optimizers and learning-rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from seg_node_training.config import LoopPart, OptimizerPart


def build_optimizer(model: nn.Module, part: OptimizerPart) -> torch.optim.Optimizer:
    """The recipe's optimizer; weight decay only on tensors with more than one axis."""
    groups = [
        {
            'params': [p for p in model.parameters() if p.ndim > 1],
            'weight_decay': part.weight_decay,
        },
        {'params': [p for p in model.parameters() if p.ndim <= 1], 'weight_decay': 0.0},
    ]
    if part.name == 'adamw':
        return torch.optim.AdamW(groups, lr=part.rate)
    if part.name == 'adam':
        return torch.optim.Adam(groups, lr=part.rate)
    if part.name == 'sgd':
        return torch.optim.SGD(groups, lr=part.rate, momentum=part.momentum)
    return torch.optim.RMSprop(groups, lr=part.rate, momentum=part.momentum)


def rate_factor(part: OptimizerPart, loop: LoopPart) -> Callable[[int], float]:
    """Learning rate over `part.rate` at a step: linear warm-up, then the schedule."""
    floor = part.final_rate / part.rate

    def factor(step: int) -> float:
        if step < part.warmup_steps:
            return (step + 1) / part.warmup_steps
        epoch = step // loop.steps_per_epoch
        if part.schedule == 'cosine':
            done = (step - part.warmup_steps) / max(1, loop.steps - part.warmup_steps)
            return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        if part.schedule == 'exponential':
            return part.decay ** (epoch // part.period)
        return 1.0

    return factor


class Schedule:
    """One schedule, stepped after every step and every epoch; `plateau` watches the loss."""

    def __init__(
        self, optimizer: torch.optim.Optimizer, part: OptimizerPart, loop: LoopPart
    ) -> None:
        self._optimizer = optimizer
        self._inner: LambdaLR | ReduceLROnPlateau = (
            ReduceLROnPlateau(optimizer, factor=part.decay, patience=part.patience)
            if part.schedule == 'plateau'
            else LambdaLR(optimizer, rate_factor(part, loop))
        )

    def after_step(self) -> None:
        """Advance by one optimizer step."""
        if isinstance(self._inner, LambdaLR):
            self._inner.step()

    def after_epoch(self, loss: float) -> None:
        """Advance by one epoch of mean loss `loss`."""
        if isinstance(self._inner, ReduceLROnPlateau):
            self._inner.step(loss)

    @property
    def rate(self) -> float:
        """The present learning rate."""
        return float(self._optimizer.param_groups[0]['lr'])

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return self._inner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self._inner.load_state_dict(state)
