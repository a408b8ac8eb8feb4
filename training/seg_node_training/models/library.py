"""Networks of segmentation_models_pytorch and timm under our one signature."""

from __future__ import annotations

from typing import Any

import segmentation_models_pytorch as smp
from torch import Tensor, nn
from torch.nn import functional as F

from seg_node.errors import ConfigError, first_line


class Library(nn.Module):
    """Any SMP architecture x encoder; logits brought to the size of the picture.

    `weights`: the encoder's start, e.g. `imagenet`; None is a random start and needs no network.
    """

    def __init__(
        self,
        outputs: int,
        architecture: str = 'Unet',
        encoder: str = 'resnet18',
        weights: str | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        try:
            self.net = smp.create_model(
                architecture,
                encoder_name=encoder,
                encoder_weights=weights,
                classes=outputs,
                **(options or {}),
            )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            text = first_line(error, 160)
            raise ConfigError(f'model smp {architecture} x {encoder}: {text}') from None

    def forward(self, image: Tensor) -> Tensor:
        """Float (N, 3, H, W) to logits (N, outputs, H, W)."""
        logits: Tensor = self.net(image)
        if logits.shape[-2:] != image.shape[-2:]:
            size = image.shape[-2:]
            logits = F.interpolate(logits, size, mode='bilinear', align_corners=False)
        return logits


def mobilenetv3_unet(
    outputs: int, weights: str | None = None, decoder: tuple[int, ...] = (128, 64, 32, 24, 16)
) -> Library:
    """U-Net on MobileNetV3-small exactly as in its paper (source system 5)."""
    encoder = 'tu-mobilenetv3_small_100'
    return Library(outputs, 'Unet', encoder, weights, {'decoder_channels': list(decoder)})


def deeplabv3plus(outputs: int, encoder: str = 'resnet34', weights: str | None = None) -> Library:
    """DeepLabV3+, a peer of the predecessor's benchmark."""
    return Library(outputs, 'DeepLabV3Plus', encoder, weights)


def segformer(outputs: int, encoder: str = 'mit_b0', weights: str | None = None) -> Library:
    """SegFormer, a peer of the predecessor's benchmark."""
    return Library(outputs, 'Segformer', encoder, weights)
