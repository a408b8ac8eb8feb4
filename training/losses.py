"""Losses that count only the pixels somebody knows something about."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

UNKNOWN = 255
"""Code of an unknown pixel in the uint8 targets; 0..254 is a probability times 254."""


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
    count = known.sum((0, 2, 3))
    per_class = loss.sum((0, 2, 3)) / count.clamp(min=1)
    present = count > 0
    return per_class.sum() / present.sum().clamp(min=1)


def masked_dice(logits: Tensor, target: Tensor, known: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - Dice of each class over the whole batch, known pixels only; mean over known classes.

    Taken over the batch, not the image, so that an image without any lane line does not throw
    the gradient about. `smooth` as in Milletari et al. 2016 and the predecessor's loss.
    """
    p = torch.sigmoid(logits) * known
    t = target * known
    inter = (p * t).sum((0, 2, 3))
    total = p.sum((0, 2, 3)) + t.sum((0, 2, 3))
    per_class = 1 - (2 * inter + smooth) / (total + smooth)
    present = known.sum((0, 2, 3)) > 0
    return (per_class * present).sum() / present.sum().clamp(min=1)
