"""Networks that others offer, with random weights: latency and size, no statement on accuracy.

All of them see 512x288 and give two planes of logits, like our default.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from seg_node.errors import ConfigError
from seg_node_training.benchmark_table.nets import Net
from seg_node_training.config import parse_recipe
from seg_node_training.models import build_model

OUTPUTS = 2


class LogitsOnly(nn.Module):
    """A torchvision segmentation network as one that gives logits alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Float (N, 3, H, W) to logits (N, OUTPUTS, H, W)."""
        logits: Tensor = self.network(image)['out']
        return logits


def _torchvision(name: str) -> nn.Module:
    from torchvision.models import segmentation

    build = getattr(segmentation, name)
    return LogitsOnly(build(weights=None, weights_backbone=None, num_classes=OUTPUTS))


class YoloMasks(nn.Module):
    """A YOLO segmentation network; its mask prototypes stand for the answer.

    Boxes, their suppression and the product with the coefficients come on top of what is timed.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Float (N, 3, H, W) to planes (N, OUTPUTS, H, W)."""
        boxes, prototypes = self.network(image)[:2]
        planes = prototypes[:, :OUTPUTS] + boxes.mean()
        return nn.functional.interpolate(planes, image.shape[-2:])


def _yolo() -> nn.Module:
    try:
        from ultralytics.nn.tasks import SegmentationModel
    except ImportError:
        raise ConfigError('yolo11n-seg: needs ultralytics, it is not installed') from None
    network = SegmentationModel('yolo11n-seg.yaml', nc=OUTPUTS, verbose=False)
    network.model[-1].export = True
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, 288, 512))  # it keeps anchors of the size seen first
    return YoloMasks(network)


PEERS: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    'Unet resnet18': ('SMP', lambda: build_model('smp', OUTPUTS, encoder='resnet18')),
    'Unet mobilenet_v2': ('SMP', lambda: build_model('smp', OUTPUTS, encoder='mobilenet_v2')),
    'DeepLabV3+ resnet34': ('SMP', lambda: build_model('deeplabv3plus', OUTPUTS)),
    'SegFormer mit_b0': ('SMP', lambda: build_model('segformer', OUTPUTS)),
    'LR-ASPP MobileNetV3-large': (
        'torchvision',
        lambda: _torchvision('lraspp_mobilenet_v3_large'),
    ),
    'DeepLabV3 MobileNetV3-large': (
        'torchvision',
        lambda: _torchvision('deeplabv3_mobilenet_v3_large'),
    ),
    'yolo11n-seg': ('ultralytics', _yolo),
}
"""Peers by the name in the table: where the network comes from, and how it is built."""


def peer_net(name: str, root: Path) -> Net:
    """The peer `name`, random weights of seed 0."""
    torch.manual_seed(0)
    origin, build = PEERS[name]
    network = build().eval()
    recipe = parse_recipe({'name': name, 'input': {'colour_order': 'rgb'}}, name)
    stem = name.lower().replace(' ', '_').replace('+', 'plus')
    return Net(name, network, recipe, root / 'files' / f'peer-{stem}', {}, False, origin)
