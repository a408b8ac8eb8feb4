"""`dropout_unet`: a U-Net with two dropout layers, for many classes (source system 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seg_node_training.models.light_unet import double_conv


class DropoutUNet(nn.Module):
    """U-Net with batch normalisation; dropout after the two deepest encoder levels.

    The source says "U-Net plus two dropout layers"; their places follow the original U-Net's
    implementation, at the end of the contracting path. Weights by Kaiming's normal rule.
    Input float (N, 3, H, W), H and W divisible by `2 ** depth`; output logits (N, outputs, H, W).
    """

    def __init__(
        self, outputs: int = 100, base: int = 64, depth: int = 4, dropout: float = 0.5
    ) -> None:
        super().__init__()
        widths = [base * 2**level for level in range(depth + 1)]
        self.encoder = nn.ModuleList(double_conv(a, b) for a, b in zip([3, *widths[:-1]], widths))
        self.drop = nn.ModuleList(
            nn.Dropout2d(dropout) if level >= depth - 1 else nn.Identity()
            for level in range(depth + 1)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, b // 2, 2, 2) for b in widths[:0:-1])
        self.decoder = nn.ModuleList(double_conv(b, b // 2) for b in widths[:0:-1])
        self.head = nn.Conv2d(base, outputs, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity='relu')

    def forward(self, image: Tensor) -> Tensor:
        """Float (N, 3, H, W) to logits (N, outputs, H, W)."""
        x, skips = image, []
        for level, (block, drop) in enumerate(zip(self.encoder, self.drop)):
            x = drop(block(self.pool(x) if level else x))
            skips.append(x)
        for up, block, skip in zip(self.up, self.decoder, skips[-2::-1]):
            x = block(torch.cat((up(x), skip), dim=1))
        logits: Tensor = self.head(x)
        return logits
