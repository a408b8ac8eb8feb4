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


def masked_focal(logits: Tensor, target: Tensor, known: Tensor, gamma: float = 2.0) -> Tensor:
    """Binary focal loss (Lin et al. 2017), balanced like `masked_bce`."""
    p = torch.sigmoid(logits)
    away = (target - p).abs().pow(gamma)
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
    per_class = (away * bce * known).sum((0, 2, 3)) / known.sum((0, 2, 3)).clamp(min=1)
    present = known.sum((0, 2, 3)) > 0
    return per_class.sum() / present.sum().clamp(min=1)


def masked_tversky(
    logits: Tensor, target: Tensor, known: Tensor, alpha: float = 0.3, beta: float = 0.7
) -> Tensor:
    """1 - Tversky index (Salehi et al. 2017): `alpha` weighs false, `beta` missed positives."""
    p, t = torch.sigmoid(logits) * known, target * known
    hit = (p * t).sum((0, 2, 3))
    false, missed = p.sum((0, 2, 3)) - hit, t.sum((0, 2, 3)) - hit
    per_class = 1 - (hit + 1) / (hit + alpha * false + beta * missed + 1)
    present = known.sum((0, 2, 3)) > 0
    return (per_class * present).sum() / present.sum().clamp(min=1)


def cross_entropy(logits: Tensor, ids: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Softmax cross entropy, mean over known pixels; zero where nothing is known.

    `logits` (N, C, H, W); `ids` uint8 (N, 1, H, W), 255 unknown.
    """
    wanted = ids[:, 0].long()
    if not bool((wanted != UNKNOWN).any()):
        return logits.sum() * 0
    return F.cross_entropy(logits, wanted, class_weights, ignore_index=UNKNOWN)


def softmax_dice(logits: Tensor, ids: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - Dice, mean over the foreground classes, known pixels only; `ids` as above."""
    count = logits.shape[1]
    known = ids != UNKNOWN
    wanted = F.one_hot(ids[:, 0].long().masked_fill(~known[:, 0], 0), count).movedim(-1, 1).float()
    p, t = torch.softmax(logits, 1) * known, wanted * known
    inter, total = (p * t).sum((0, 2, 3)), (p + t).sum((0, 2, 3))
    return (1 - (2 * inter + smooth) / (total + smooth))[1:].mean()
