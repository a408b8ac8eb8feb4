"""The networks of the lane family: an encoder and decoder shaped for int8 on CPUs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from seg_node.errors import ConfigError
from seg_node_training.models.light_unet import conv_bn_relu, patch_stem

PATCH = 4
"""Side, in pixels, of the square that the stem makes one position of, and the head brings back."""


def dilated(width: int, dilation: int) -> nn.Sequential:
    """3x3 convolution with holes, batch normalisation, ReLU; keeps size and width."""
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


class Rise(nn.Module):
    """One step of the decoder: 1x1 to the skip's width, doubled in size, the skip added.

    Added, not concatenated (LinkNet, Chaurasia and Culurciello 2017): in int8 an addition is
    part of the convolution before it, a concatenation is a copy with two scales to be matched.
    """

    def __init__(self, below: int, width: int, convolutions: int) -> None:
        super().__init__()
        self.narrow = nn.Sequential(nn.Conv2d(below, width, 1, bias=False), nn.BatchNorm2d(width))
        self.up = nn.Upsample(scale_factor=2, mode='nearest')
        self.relu = nn.ReLU(inplace=True)
        self.mix = nn.Sequential(*(conv_bn_relu(width, width) for _ in range(convolutions)))

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """(N, below, h, w) and (N, width, 2h, 2w) to (N, width, 2h, 2w)."""
        mixed: Tensor = self.mix(self.relu(self.up(self.narrow(deep)) + skip))
        return mixed


class LaneNet(nn.Module):
    """Encoder and decoder with added skips between a 4x4-pixel stem and a sub-pixel head.

    The stem is one 8x8 convolution of stride 4; `seg_node_training.export.stem` writes it as a
    convolution of kernel (8, 3) over 12 channels, which is the same sum over the same bytes.
    Levels at 1/4, 1/8, 1/16, ... of the picture are `widths` wide; the deepest one sees far
    (`context`: dilations of its convolutions, Yu and Koltun 2016). The head is a 1x1 convolution
    to 16 logits a class and position, and a pixel shuffle (Shi et al. 2016).

    Input float (N, 3, H, W) in 0..1, H and W divisible by `divisor`; output logits
    (N, outputs, H, W).
    """

    def __init__(
        self,
        outputs: int = 2,
        widths: Sequence[int] = (32, 64, 128, 256),
        context: Sequence[int] = (2,),
        encoder: int = 2,
        decoder: int = 2,
    ) -> None:
        super().__init__()
        if len(widths) < 2 or encoder < 1 or min(widths) < 1:
            raise ConfigError(
                f'model lane_net: expected two widths or more and one convolution a level or '
                f'more, got widths {list(widths)}, encoder {encoder}'
            )
        self.patch = PATCH
        self.divisor = PATCH * 2 ** (len(widths) - 1)
        self.stem = patch_stem(widths[0])
        self.first = nn.Sequential(
            *(conv_bn_relu(widths[0], widths[0]) for _ in range(encoder - 1))
        )
        self.encoder = nn.ModuleList(
            nn.Sequential(
                conv_bn_relu(above, width, stride=2),
                *(conv_bn_relu(width, width) for _ in range(encoder - 1 if not deepest else 0)),
                *(dilated(width, d) for d in (context if deepest else ())),
            )
            for (above, width), deepest in zip(
                pairwise(widths), [False] * (len(widths) - 2) + [True]
            )
        )
        self.decoder = nn.ModuleList(
            Rise(below, width, decoder) for width, below in reversed(list(pairwise(widths)))
        )
        self.head = nn.Conv2d(widths[0], outputs * PATCH**2, 1)
        self.shuffle = nn.PixelShuffle(PATCH)

    def forward(self, image: Tensor) -> Tensor:
        """Float (N, 3, H, W) to logits (N, outputs, H, W)."""
        logits: Tensor = self.shuffle(self.patches(image))
        return logits

    def patches(self, image: Tensor) -> Tensor:
        """Logits before the shuffle, (N, outputs * 16, H / 4, W / 4)."""
        x = self.first(self.stem(image))
        skips = [x]
        for level in self.encoder:
            x = level(x)
            skips.append(x)
        for level, skip in zip(self.decoder, reversed(skips[:-1])):
            x = level(x, skip)
        logits: Tensor = self.head(x)
        return logits
