"""Logits as the bytes of contract 2."""

from __future__ import annotations

import torch
from torch import Tensor

from seg_node.model.logits import SCALE, ZERO


def logit_bytes(logits: Tensor) -> Tensor:
    """uint8 of float logits, as QuantizeLinear rounds and saturates."""
    return (logits / SCALE).round_().add_(ZERO).clamp_(0, 255).to(torch.uint8)
