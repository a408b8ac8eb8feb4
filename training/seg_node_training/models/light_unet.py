"""The shipped network: a small U-Net laid out so that int8 convolutions do nearly all the work."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn


def conv_bn_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU; keeps the size at stride 1."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def patch_stem(outputs: int) -> nn.Sequential:
    """4x4 pixels to one position: 8x8 convolution of stride 4, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(3, outputs, 8, 4, padding=2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def double_conv(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch normalisation and ReLU."""
    return nn.Sequential(conv_bn_relu(inputs, outputs), conv_bn_relu(outputs, outputs))


class LightUNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) behind a stride-2 stem, with a sub-pixel head.

    The stem halves the size before the first level and the head (1x1 convolution + pixel shuffle,
    Shi et al. 2016) brings the scores back to the full size, so the expensive full-resolution
    level of a plain U-Net is not there. Only ReLU, max pooling and nearest upsampling stand
    between the convolutions: each of them is exact in int8.

    `patch`: side of the square of pixels that one position of the first level stands for. 2: a
    5x5 stem of stride 2. 4: an 8x8 stem of stride 4, which is the (8, 3) convolution over 12
    channels of the same bytes (`seg_node_training.export.stem`).

    Input float (N, 3, H, W) in 0..1, H and W divisible by `patch * 2 ** depth`; output logits
    (N, outputs, H, W).
    """

    def __init__(
        self,
        outputs: int = 2,
        base: int = 16,
        depth: int = 4,
        stem: int = 16,
        patch: Literal[2, 4] = 2,
    ) -> None:
        super().__init__()
        widths = [base * 2**level for level in range(depth + 1)]
        self.divisor, self.patch = patch * 2**depth, patch
        self.stem = conv_bn_relu(3, stem, 5, 2) if patch == 2 else patch_stem(stem)
        self.encoder = nn.ModuleList(
            double_conv(a, b) for a, b in zip([stem, *widths[:-1]], widths)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode='nearest')
        self.decoder = nn.ModuleList(
            double_conv(below + level, level)
            for below, level in zip(widths[:0:-1], widths[-2::-1])
        )
        self.head = nn.Conv2d(base, outputs * patch**2, 1)
        self.shuffle = nn.PixelShuffle(patch)

    def forward(self, image: Tensor) -> Tensor:
        """Float (N, 3, H, W) to logits (N, outputs, H, W)."""
        logits: Tensor = self.shuffle(self.patches(image))
        return logits

    def patches(self, image: Tensor) -> Tensor:
        """Logits before the shuffle, (N, outputs * patch ** 2, H / patch, W / patch)."""
        x = self.stem(image)
        skips = []
        for level in self.encoder[:-1]:
            x = level(x)
            skips.append(x)
            x = self.pool(x)
        x = self.encoder[-1](x)
        for level, skip in zip(self.decoder, reversed(skips)):
            x = level(torch.cat((self.up(x), skip), dim=1))
        logits: Tensor = self.head(x)
        return logits
