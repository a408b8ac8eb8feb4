"""Networks by name. Each takes float (N, 3, H, W) and gives logits (N, outputs, H, W)."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from seg_node.errors import ConfigError
from seg_node_training.models.light_unet import LightUNet

MODELS: dict[str, Callable[..., nn.Module]] = {
    'light_unet': LightUNet,
}


def build_model(name: str, outputs: int, **options: Any) -> nn.Module:
    """The network `name` with `outputs` logit planes.

    Raises `ConfigError` for an unknown name or option, with the nearest valid one.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, 1)
        hint = f' (did you mean {near[0]}?)' if near else ''
        raise ConfigError(f'model {name!r}: expected one of {", ".join(MODELS)}{hint}')
    allowed = set(inspect.signature(MODELS[name]).parameters) - {'outputs'}
    unknown = sorted(set(options) - allowed)
    if unknown:
        raise ConfigError(
            f'model {name}: unknown option {", ".join(unknown)}; expected '
            f'{", ".join(sorted(allowed))}'
        )
    return MODELS[name](outputs=outputs, **options)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
