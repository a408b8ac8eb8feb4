"""`team1_unet`: the predecessor's U-Net, after Ronneberger et al. 2015 (source system 1)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Team1UNet(nn.Module):
    """Plain U-Net: two 3x3 convolutions and ReLU a level, no normalisation, transposed upsampling.

    `padding` `valid` is the paper's and the predecessor's: unpadded convolutions, skips cropped to
    their centre; the picture is mirrored outwards first (the paper's overlap-tile strategy), so
    that the answer covers all of it. `same` pads each convolution instead, at a third less work.
    Weights are drawn by Kaiming's uniform rule.

    Input float (N, 3, H, W); output logits (N, outputs, H, W). With `same`, H and W must be
    divisible by `2 ** depth`.
    """

    def __init__(
        self,
        outputs: int = 1,
        base: int = 64,
        depth: int = 4,
        padding: Literal['valid', 'same'] = 'valid',
    ) -> None:
        super().__init__()
        self.depth, self.padding = depth, padding
        widths = [base * 2**level for level in range(depth + 1)]
        pad = 1 if padding == 'same' else 0
        self.encoder = nn.ModuleList(
            _two_convs(a, b, pad) for a, b in zip([3, *widths[:-1]], widths)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(below, below // 2, 2, 2) for below in widths[:0:-1]
        )
        self.decoder = nn.ModuleList(_two_convs(below, below // 2, pad) for below in widths[:0:-1])
        self.head = nn.Conv2d(base, outputs, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity='relu')
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def _margins(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Mirror margins (left, right, top, bottom) after which the answer covers the picture."""
        margins = []
        for length in (height, width):
            # Walk up from the bottom: every level adds its convolutions' 4 pixels twice.
            bottom = length
            for _ in range(self.depth):
                bottom = math.ceil((bottom + 4) / 2)
            size = bottom + 4
            for _ in range(self.depth):
                size = 2 * size + 4
            margins.append(size - length)
        (high, wide) = margins
        return wide // 2, wide - wide // 2, high // 2, high - high // 2

    def forward(self, image: Tensor) -> Tensor:
        """Float (N, 3, H, W) to logits (N, outputs, H, W)."""
        height, width = image.shape[-2:]
        x = image
        if self.padding == 'valid':
            x = _mirror(x, self._margins(height, width))
        skips = []
        for level in self.encoder[:-1]:
            x = level(x)
            skips.append(x)
            x = self.pool(x)
        x = self.encoder[-1](x)
        for up, level, skip in zip(self.up, self.decoder, reversed(skips)):
            x = up(x)
            x = level(torch.cat((_centre(skip, x.shape[-2], x.shape[-1]), x), dim=1))
        return _centre(self.head(x), height, width)


def _two_convs(inputs: int, outputs: int, pad: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=pad),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=pad),
        nn.ReLU(inplace=True),
    )


def _mirror(x: Tensor, margins: tuple[int, int, int, int]) -> Tensor:
    """Mirror outwards; in several rounds where a margin exceeds what one reflection can give."""
    left, right, top, bottom = margins
    while left or right or top or bottom:
        height, width = x.shape[-2:]
        step = (
            min(left, width - 1),
            min(right, width - 1),
            min(top, height - 1),
            min(bottom, height - 1),
        )
        x = F.pad(x, step, mode='reflect')
        left, right = left - step[0], right - step[1]
        top, bottom = top - step[2], bottom - step[3]
    return x


def _centre(x: Tensor, height: int, width: int) -> Tensor:
    """The central `height` x `width` of (N, C, H, W)."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]
