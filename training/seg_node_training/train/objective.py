"""The recipe's loss: a weighted sum of named terms."""

from __future__ import annotations

from collections.abc import Callable

import torch
from segmentation_models_pytorch.losses import LovaszLoss
from torch import Tensor, nn

from seg_node.errors import ConfigError
from seg_node_training.config import Recipe
from seg_node_training.data.targets import UNKNOWN
from seg_node_training.train.losses import (
    cross_entropy,
    masked_bce,
    masked_dice,
    masked_focal,
    masked_tversky,
    softmax_dice,
    split_target,
)

Term = Callable[[Tensor, Tensor], Tensor]


def _planes(loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Term:
    """A term on planes (N, K, H, W) from a loss on targets and weights."""
    return lambda logits, codes: loss(logits, *split_target(codes))


def _lovasz_planes(logits: Tensor, codes: Tensor) -> Tensor:
    """Binary Lovász hinge (Berman et al. 2018) of each plane, mean; soft targets cut at 0.5."""
    hard = torch.where(codes == UNKNOWN, UNKNOWN, (codes > 127).long())
    loss = LovaszLoss('binary', per_image=False, ignore_index=UNKNOWN)
    each = [
        loss(logits[:, k : k + 1], hard[:, k : k + 1])
        for k in range(codes.shape[1])
        if bool((codes[:, k] != UNKNOWN).any())
    ]
    return torch.stack(each).mean() if each else logits.sum() * 0


def _lovasz_ids(logits: Tensor, ids: Tensor) -> Tensor:
    loss = LovaszLoss('multiclass', per_image=False, ignore_index=UNKNOWN)
    value: Tensor = loss(logits, ids[:, 0].long())
    return value


SIGMOID_TERMS: dict[str, Term] = {
    'bce': _planes(masked_bce),
    'dice': _planes(masked_dice),
    'focal': _planes(masked_focal),
    'tversky': _planes(masked_tversky),
    'lovasz': _lovasz_planes,
}
SOFTMAX_TERMS: dict[str, Term] = {
    'ce': cross_entropy,
    'dice': softmax_dice,
    'lovasz': _lovasz_ids,
}


def build_loss(recipe: Recipe, model: nn.Module) -> Term:
    """Loss of logits and uint8 codes: planes (N, K, H, W) for sigmoid, ids (N, 1, H, W) for
    softmax heads. Raises `ConfigError` for a term that the head does not have.
    """
    known = SIGMOID_TERMS if recipe.head == 'sigmoid' else SOFTMAX_TERMS
    weight_of = {n: w for n, w in recipe.loss.terms().items() if w > 0}
    wrong = sorted(set(weight_of) - set(known))
    if wrong or not weight_of:
        raise ConfigError(
            f'recipe {recipe.name}: loss: a {recipe.head} head takes {", ".join(known)}, '
            f'got {", ".join(wrong) or "no term above 0"}'
        )
    weights = None
    if recipe.head == 'softmax' and recipe.loss.class_weights:
        weights = torch.tensor(recipe.loss.class_weights)

    def loss(logits: Tensor, codes: Tensor) -> Tensor:
        logits = logits.float()
        total = logits.sum() * 0
        for name, weight in weight_of.items():
            if name == 'ce' and weights is not None:
                class_weights = weights.to(logits.device)
                total = total + weight * cross_entropy(logits, codes, class_weights)
            else:
                total = total + weight * known[name](logits, codes)
        if recipe.loss.l2:
            total = total + recipe.loss.l2 * sum(p.square().sum() for p in model.parameters())
        return total

    return loss
