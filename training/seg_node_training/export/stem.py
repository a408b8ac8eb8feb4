"""The first convolution over the camera's bytes as they lie in memory.

A picture (1, H, W, 3) is (1, H, W / s, 3 s) without a copy. A k x k convolution of stride s on 3
channels is one of kernel (k, few), stride (s, 1) on those 3 s channels, with zeros where a column
of the new kernel reaches beyond the old one: the same sum over the same bytes. Runtimes run it in
int8 where they leave one of 3 channels in float.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _reach(kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """Blocks of `stride` columns that the kernel covers left and right of the one it starts in."""
    return -(-padding // stride), (kernel - 1 - padding) // stride


def foldable(conv: nn.Conv2d, width: int) -> bool:
    """Whether `conv` has a form over blocks of columns, for pictures `width` wide."""
    stride, kernel = conv.stride[0], conv.kernel_size[0]
    if isinstance(conv.padding, str) or conv.padding_mode != 'zeros' or conv.groups != 1:
        return False
    square = conv.stride == (stride, stride) and conv.kernel_size == (kernel, kernel)
    padding = conv.padding[0]
    left, right = _reach(kernel, stride, padding)
    even = conv.padding == (padding, padding) and conv.dilation == (1, 1) and left == right
    return conv.in_channels == 3 and stride > 1 and square and even and width % stride == 0


def folded(conv: nn.Conv2d) -> nn.Conv2d:
    """`conv` over (N, 3 s, H, W / s), channels column by column, three colours each."""
    stride, kernel = conv.stride[0], conv.kernel_size[0]
    padding = int(conv.padding[0])
    left, right = _reach(kernel, stride, padding)
    blocks = left + 1 + right
    folded = nn.Conv2d(
        3 * stride, conv.out_channels, (kernel, blocks), (stride, 1), (padding, left)
    )
    first = left * stride - padding
    wide = conv.weight.new_zeros(conv.out_channels, 3, kernel, blocks * stride)
    wide[..., first : first + kernel] = conv.weight.detach()
    # (out, colour, row, block, column) to (out, column, colour, row, block)
    wide = wide.reshape(conv.out_channels, 3, kernel, blocks, stride).permute(0, 4, 1, 2, 3)
    assert folded.bias is not None  # as it was asked for
    with torch.no_grad():
        folded.weight.copy_(wide.reshape(folded.weight.shape))
        folded.bias.copy_(conv.bias if conv.bias is not None else torch.zeros_like(folded.bias))
    return folded


def unfolded(weight: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Weights (out, 3, k, k) of `folded` ones (out, 3 s, k, blocks)."""
    outputs, _, rows, blocks = weight.shape
    wide = weight.reshape(outputs, stride, 3, rows, blocks).permute(0, 2, 3, 4, 1)
    wide = wide.reshape(outputs, 3, rows, blocks * stride)
    left, _ = _reach(kernel, stride, padding)
    first = left * stride - padding
    return wide[..., first : first + kernel].contiguous()
