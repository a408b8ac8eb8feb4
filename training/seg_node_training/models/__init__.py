"""Networks by name. Each takes float (N, 3, H, W) and gives logits (N, outputs, H, W)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from seg_node.errors import ConfigError, near_name
from seg_node_training.models.dropout_unet import DropoutUNet
from seg_node_training.models.enet import ENet
from seg_node_training.models.lane_net import LaneNet
from seg_node_training.models.library import (
    Library,
    deeplabv3plus,
    mobilenetv3_unet,
    segformer,
)
from seg_node_training.models.light_unet import LightUNet
from seg_node_training.models.phone_unets import ResidualUNet, SharedBiasUNet
from seg_node_training.models.team1_unet import Team1UNet

MODELS: dict[str, Callable[..., nn.Module]] = {
    'light_unet': LightUNet,
    'lane_net': LaneNet,
    'team1_unet': Team1UNet,
    'shared_bias_unet': SharedBiasUNet,
    'residual_unet': ResidualUNet,
    'dropout_unet': DropoutUNet,
    'mobilenetv3_unet': mobilenetv3_unet,
    'enet': ENet,
    'deeplabv3plus': deeplabv3plus,
    'segformer': segformer,
    'smp': Library,
}


def build_model(name: str, outputs: int, **options: Any) -> nn.Module:
    """The network `name` with `outputs` logit planes.

    Raises `ConfigError` for an unknown name or option, with the nearest valid one.
    """
    if name not in MODELS:
        raise ConfigError(f'model {name!r}: no such network, {near_name(name, MODELS)}')
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
