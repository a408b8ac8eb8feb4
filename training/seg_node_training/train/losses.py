"""Losses that count only the pixels somebody knows something about.

All are ratios of sums over the batch, and the batch is that of all processes: with DDP the sums
are added over the processes first, so that two processes compute what one would, even where one
of them sees few known pixels. (Lovász is no such ratio: it is the mean over the processes.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn import functional as F

from seg_node_training.data.targets import UNKNOWN


class _AddedOverProcesses(torch.autograd.Function):
    """Sum over the processes; its gradient is the sum of theirs, which DDP then averages."""

    @staticmethod
    def forward(_: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


_ALONE: ContextVar[bool] = ContextVar('one process computes a loss alone', default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Losses inside are those of this process's pictures: it evaluates while the others wait."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def over_processes(value: Tensor) -> Tensor:
    """`value` added over all processes of a DDP run; itself in a run of one process."""
    if _ALONE.get() or not distributed.is_available() or not distributed.is_initialized():
        return value
    return _AddedOverProcesses.apply(value) if distributed.get_world_size() > 1 else value


def class_sums(planes: Tensor) -> Tensor:
    """Sums (K,) of float (N, K, H, W) over the batch of all processes."""
    return over_processes(planes.sum((0, 2, 3)))


def split_target(target: Tensor) -> tuple[Tensor, Tensor]:
    """Targets and weights, both float32 (N, K, H, W), from uint8 codes (N, K, H, W)."""
    known = target != UNKNOWN
    return (target.float() / 254.0).clamp_(max=1.0), known.float()


def masked_bce(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Binary cross entropy, mean over known pixels of each class, then over known classes.

    All arguments float (N, K, H, W). A class of which the batch knows nothing contributes
    nothing, neither to the sum nor to the mean over classes.
    """
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction='none') * known
    count = class_sums(known)
    per_class = class_sums(loss) / count.clamp(min=1)
    present = count > 0
    return per_class.sum() / present.sum().clamp(min=1)


def masked_dice(logits: Tensor, target: Tensor, known: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - Dice of each class over the whole batch, known pixels only; mean over known classes.

    Taken over the batch, not the image, so that an image without any lane line does not throw
    the gradient about. `smooth` as in Milletari et al. 2016 and the predecessor's loss.
    """
    p = torch.sigmoid(logits) * known
    t = target * known
    inter, total = class_sums(p * t), class_sums(p + t)
    per_class = 1 - (2 * inter + smooth) / (total + smooth)
    present = class_sums(known) > 0
    return (per_class * present).sum() / present.sum().clamp(min=1)


def masked_focal(logits: Tensor, target: Tensor, known: Tensor, gamma: float = 2.0) -> Tensor:
    """Binary focal loss (Lin et al. 2017), balanced like `masked_bce`."""
    p = torch.sigmoid(logits)
    away = (target - p).abs().pow(gamma)
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
    count = class_sums(known)
    per_class = class_sums(away * bce * known) / count.clamp(min=1)
    present = count > 0
    return per_class.sum() / present.sum().clamp(min=1)


def masked_tversky(
    logits: Tensor, target: Tensor, known: Tensor, alpha: float = 0.3, beta: float = 0.7
) -> Tensor:
    """1 - Tversky index (Salehi et al. 2017): `alpha` weighs false, `beta` missed positives."""
    p, t = torch.sigmoid(logits) * known, target * known
    hit = class_sums(p * t)
    false, missed = class_sums(p) - hit, class_sums(t) - hit
    per_class = 1 - (hit + 1) / (hit + alpha * false + beta * missed + 1)
    present = class_sums(known) > 0
    return (per_class * present).sum() / present.sum().clamp(min=1)


def cross_entropy(logits: Tensor, ids: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Softmax cross entropy, mean over known pixels; zero where nothing is known.

    `logits` (N, C, H, W); `ids` uint8 (N, 1, H, W), 255 unknown.
    """
    target = ids[:, 0].long()
    known = target != UNKNOWN
    total = F.cross_entropy(logits, target, class_weights, ignore_index=UNKNOWN, reduction='sum')
    # With class weights the mean is the weighted one, as in torch.
    share = known.float() if class_weights is None else class_weights[target * known] * known
    return over_processes(total) / over_processes(share.sum()).clamp(min=1e-6)


def softmax_dice(logits: Tensor, ids: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - Dice, mean over the foreground classes, known pixels only; `ids` as above."""
    count = logits.shape[1]
    known = ids != UNKNOWN
    target = F.one_hot(ids[:, 0].long().masked_fill(~known[:, 0], 0), count).movedim(-1, 1).float()
    p, t = torch.softmax(logits, 1) * known, target * known
    inter, total = class_sums(p * t), class_sums(p + t)
    return (1 - (2 * inter + smooth) / (total + smooth))[1:].mean()
