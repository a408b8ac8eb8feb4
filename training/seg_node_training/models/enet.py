"""ENet (Paszke et al. 2016, "ENet: A Deep Neural Network Architecture for Real-Time ...")."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _act(channels: int, decoder: bool) -> nn.Module:
    """PReLU in the encoder, ReLU in the decoder, as in the paper."""
    return nn.ReLU() if decoder else nn.PReLU(channels)


class Bottleneck(nn.Module):
    """1x1 projection, a main convolution, 1x1 expansion, spatial dropout, added to the input.

    `kind`: `regular`, `dilated` (rate `dilation`) or `asymmetric` (5x1 then 1x5).
    """

    def __init__(
        self, channels: int, kind: str, dilation: int, dropout: float, decoder: bool = False
    ) -> None:
        super().__init__()
        inner = channels // 4
        if kind == 'asymmetric':
            main: nn.Module = nn.Sequential(
                nn.Conv2d(inner, inner, (5, 1), padding=(2, 0), bias=False),
                nn.Conv2d(inner, inner, (1, 5), padding=(0, 2), bias=False),
            )
        else:
            main = nn.Conv2d(inner, inner, 3, padding=dilation, dilation=dilation, bias=False)
        self.branch = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            _act(inner, decoder),
            main,
            nn.BatchNorm2d(inner),
            _act(inner, decoder),
            nn.Conv2d(inner, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.Dropout2d(dropout),
        )
        self.out = _act(channels, decoder)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        out: Tensor = self.out(x + self.branch(x))
        return out


class DownBottleneck(nn.Module):
    """Downsampling bottleneck: 2x2 stride-2 projection beside a max pooling with its indices."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        inner = inputs // 4
        self.grown = outputs - inputs
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, inner, 2, 2, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.Dropout2d(dropout),
        )
        self.out = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, inputs, H, W) to (N, outputs, H / 2, W / 2), and the indices of the pooling."""
        pooled, indices = F.max_pool2d(x, 2, return_indices=True)
        pooled = F.pad(pooled, (0, 0, 0, 0, 0, self.grown))
        return self.out(pooled + self.branch(x)), indices


class UpBottleneck(nn.Module):
    """Upsampling bottleneck: transposed convolution beside an unpooling with kept indices."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        inner = inputs // 4
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.ConvTranspose2d(inner, inner, 3, 2, padding=1, output_padding=1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.Dropout2d(dropout),
        )

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        """(N, inputs, H, W) and the indices of its level to (N, outputs, 2 H, 2 W)."""
        return F.relu(F.max_unpool2d(self.main(x), indices, (2, 2)) + self.branch(x))


class ENet(nn.Module):
    """ENet. Input float (N, 3, H, W), H and W divisible by 8; logits (N, outputs, H, W)."""

    def __init__(self, outputs: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        self.initial = nn.Conv2d(3, 13, 3, 2, padding=1, bias=False)
        self.initial_norm = nn.Sequential(nn.BatchNorm2d(16), nn.PReLU(16))
        self.down1, self.down2 = DownBottleneck(16, 64, 0.01), DownBottleneck(64, 128, dropout)
        self.stage1 = nn.Sequential(*(Bottleneck(64, 'regular', 1, 0.01) for _ in range(4)))
        plan = [('regular', 1), ('dilated', 2), ('asymmetric', 1), ('dilated', 4)]
        plan += [('regular', 1), ('dilated', 8), ('asymmetric', 1), ('dilated', 16)]
        self.stage23 = nn.Sequential(*(Bottleneck(128, k, d, dropout) for k, d in plan * 2))
        self.up4, self.up5 = UpBottleneck(128, 64, dropout), UpBottleneck(64, 16, dropout)
        self.stage4 = nn.Sequential(
            *(Bottleneck(64, 'regular', 1, dropout, decoder=True) for _ in range(2))
        )
        self.stage5 = Bottleneck(16, 'regular', 1, dropout, decoder=True)
        self.head = nn.ConvTranspose2d(16, outputs, 3, 2, padding=1, output_padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Float (N, 3, H, W) to logits (N, outputs, H, W)."""
        x = torch.cat((self.initial(image), F.max_pool2d(image, 2)), dim=1)
        x, first = self.down1(self.initial_norm(x))
        x, second = self.down2(self.stage1(x))
        x = self.stage4(self.up4(self.stage23(x), second))
        logits: Tensor = self.head(self.stage5(self.up5(x, first)))
        return logits
