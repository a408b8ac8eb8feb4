"""Multiply-accumulates of a graph, and source system 5's ranking."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import openvino as ov

SPATIAL = ('Convolution', 'GroupConvolution')
TRANSPOSED = ('ConvolutionBackpropData', 'GroupConvolutionBackpropData')


def multiply_accumulates(path: Path) -> int:
    """MACs of one run of a graph with fixed sizes: convolutions and matrix products."""
    total = 0
    for node in ov.Core().read_model(path).get_ordered_ops():
        kind = node.get_type_name()
        if kind not in (*SPATIAL, *TRANSPOSED, 'MatMul'):
            continue
        first, second = (list(node.input_value(i).get_shape()) for i in (0, 1))
        values = int(np.prod(node.output(0).get_shape()))
        if kind == 'Convolution':  # weights (O, I, kh, kw)
            total += values * int(np.prod(second[1:]))
        elif kind == 'GroupConvolution':  # weights (G, O / G, I / G, kh, kw)
            total += values * int(np.prod(second[2:]))
        elif kind == 'ConvolutionBackpropData':  # weights (I, O, kh, kw)
            total += int(np.prod(first)) * int(np.prod(second[1:]))
        elif kind == 'GroupConvolutionBackpropData':
            total += int(np.prod(first)) * int(np.prod(second[2:]))
        else:
            inner = first[-2] if node.get_attributes().get('transpose_a') else first[-1]
            total += values * inner
    return total


def ranking(parameters: int, macs: int, iou: float | None) -> float | None:
    """Source system 5's figure: parameters x FLOPs x e^error; smaller is better.

    Parameters in millions, FLOPs (2 x MACs) in billions, error = 1 - mean IoU.
    """
    if iou is None:
        return None
    return parameters / 1e6 * 2 * macs / 1e9 * math.exp(1 - iou)
