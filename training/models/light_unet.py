"""The shipped network: a small U-Net laid out so that int8 convolutions do nearly all the work."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_bn_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU; keeps the size at stride 1."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
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

    Input float (N, 3, H, W) in 0..1, H and W divisible by `2 ** (depth + 1)`; output logits
    (N, outputs, H, W).
    """

    def __init__(self, outputs: int = 2, base: int = 16, depth: int = 4, stem: int = 16) -> None:
        super().__init__()
        widths = [base * 2**level for level in range(depth + 1)]
        self.divisor = 2 ** (depth + 1)
        self.stem = conv_bn_relu(3, stem, kernel=5, stride=2)
        self.encoder = nn.ModuleList(
            double_conv(a, b) for a, b in zip([stem, *widths[:-1]], widths)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode='nearest')
        self.decoder = nn.ModuleList(
            double_conv(below + level, level)
            for below, level in zip(widths[:0:-1], widths[-2::-1])
        )
        self.head = nn.Conv2d(base, outputs * 4, 1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        skips = []
        for level in self.encoder[:-1]:
            x = level(x)
            skips.append(x)
            x = self.pool(x)
        x = self.encoder[-1](x)
        for level, skip in zip(self.decoder, reversed(skips)):
            x = level(torch.cat((self.up(x), skip), dim=1))
        return self.shuffle(self.head(x))
