"""`shared_bias_unet` and `residual_unet`: lane networks for phones (source systems 2, 3)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SharedBiasNorm(nn.Module):
    """Batch normalisation without scale and offset, plus one scalar that all of them share."""

    def __init__(self, channels: int, bias: nn.Parameter) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.shared = bias

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        shifted: Tensor = self.norm(x) + self.shared
        return shifted


class _Down(nn.Module):
    """Two 3x3 convolutions with normalisation and ReLU, maybe with a shortcut around them."""

    def __init__(
        self, inputs: int, outputs: int, norm: Callable[[int], nn.Module], residual: bool
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.first_norm = norm(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.second_norm = norm(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return F.relu(y if self.shortcut is None else y + self.shortcut(x))


class _Up(nn.Module):
    """Nearest upsampling, a 3x3 convolution, the skip added, normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = norm(outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.conv(F.interpolate(x, scale_factor=2.0, mode='nearest'))
        return F.relu(self.norm(x + skip))


class AdditiveUNet(nn.Module):
    """The body of both: a stem of `channels`, `depth` levels of doubling width, added skips.

    Input float (N, 3, H, W), H and W divisible by `2 ** depth`; output logits (N, outputs, H, W).
    """

    def __init__(
        self,
        outputs: int,
        channels: int,
        depth: int,
        norm: Callable[[int], nn.Module],
        stem_norm: Callable[[int], nn.Module],
        residual: bool,
        pooling: Literal['average', 'stride'],
    ) -> None:
        super().__init__()
        widths = [channels * 2**level for level in range(depth + 1)]
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.stem_norm = stem_norm(channels)
        self.pools = nn.ModuleList(
            nn.AvgPool2d(2) if pooling == 'average' else nn.Conv2d(a, a, 3, 2, padding=1)
            for a in widths[:-1]
        )
        self.down = nn.ModuleList(
            _Down(a, b, norm, residual) for a, b in itertools.pairwise(widths)
        )
        self.up = nn.ModuleList(_Up(b, a, norm) for a, b in zip(widths[-2::-1], widths[:0:-1]))
        self.head = nn.Conv2d(channels, outputs, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Float (N, 3, H, W) to logits (N, outputs, H, W)."""
        x = F.relu(self.stem_norm(self.stem(image)))
        skips = []
        for pool, level in zip(self.pools, self.down):
            skips.append(x)
            x = level(pool(x))
        for level, skip in zip(self.up, reversed(skips)):
            x = level(x, skip)
        logits: Tensor = self.head(x)
        return logits


class SharedBiasUNet(AdditiveUNet):
    """`shared_bias_unet`: 13 channels, depth 7, 66,458,802 parameters with 6 outputs.

    Takes any size: the picture is brought to 256x256 inside and the logits back to its size.
    """

    def __init__(
        self, outputs: int = 6, channels: int = 13, depth: int = 7, size: int = 256
    ) -> None:
        bias = nn.Parameter(torch.zeros(()))
        super().__init__(
            outputs,
            channels,
            depth,
            lambda width: SharedBiasNorm(width, bias),
            nn.BatchNorm2d,
            residual=False,
            pooling='average',
        )
        self.size = size

    def forward(self, image: Tensor) -> Tensor:
        """Float (N, 3, H, W) to logits (N, outputs, H, W)."""
        shape = image.shape[-2:]
        if tuple(shape) == (self.size, self.size):
            return super().forward(image)
        x = F.interpolate(image, (self.size, self.size), mode='bilinear', align_corners=False)
        return F.interpolate(
            super().forward(x), tuple(shape), mode='bilinear', align_corners=False
        )


class ResidualUNet(AdditiveUNet):
    """`residual_unet`: depth 5, 5, 8 or 12 channels; the options are those of its ablation."""

    def __init__(
        self,
        outputs: int = 6,
        channels: int = 12,
        depth: int = 5,
        residual: bool = True,
        pooling: Literal['average', 'stride'] = 'average',
        batch_norm: bool = True,
    ) -> None:
        norm = nn.BatchNorm2d if batch_norm else lambda width: nn.Identity()
        super().__init__(outputs, channels, depth, norm, norm, residual, pooling)
