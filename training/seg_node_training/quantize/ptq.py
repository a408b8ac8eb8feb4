"""Static post-training quantization to int8 QDQ by ONNX Runtime.

U8 activations, S8 weights with a scale a channel: the form that ONNX Runtime and OpenVINO both
run fast (`docs`: runtime benchmarks). The head stays float: it is one 1x1 convolution, and its
output is where thin lines are decided.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from seg_node.errors import ModelError
from seg_node.files import write_atomic
from seg_node.model.logits import SCALE, ZERO
from seg_node_training.export.graph import convolution_names
from seg_node_training.export.logit_graph import RAW

U8 = npt.NDArray[np.uint8]
Observer = Literal['minmax', 'percentile', 'entropy']
OBSERVERS: dict[Observer, CalibrationMethod] = {
    'minmax': CalibrationMethod.MinMax,
    'percentile': CalibrationMethod.Percentile,
    'entropy': CalibrationMethod.Entropy,
}
QUANTIZED = [
    *('Conv', 'ConvTranspose', 'Relu', 'Clip', 'MaxPool', 'AveragePool', 'Concat', 'Resize'),
    *('Add', 'Mul', 'GlobalAveragePool', 'HardSigmoid', 'Pad', 'Slice'),
]
"""Operators that may run in int8. ReLU is among them so that the quantizer folds it into the
convolution before it: the whole of the U8 range is then for positive values."""


class Pictures(CalibrationDataReader):
    """Feeds uint8 (H, W, 3) pictures to the quantizer."""

    def __init__(self, pictures: Sequence[U8]) -> None:
        self._rest = iter(pictures)

    def get_next(self) -> dict[str, U8] | None:
        """The next input, None at the end."""
        picture = next(self._rest, None)
        return None if picture is None else {'image': picture[None]}


def downstream(path: Path, starts: Sequence[str]) -> list[str]:
    """Names of the nodes `starts` and of every node that depends on one of them."""
    reached: set[str] = set()
    names = []
    for node in onnx.load(path).graph.node:  # ONNX keeps nodes in topological order
        if node.name in starts or reached.intersection(node.input):
            reached.update(node.output)
            names.append(node.name)
    return names


def picture_tensor(path: Path) -> str | None:
    """Name of the float tensor that holds the camera's bytes as they are, None where scaled."""
    graph = onnx.load(path).graph
    casts = [n for n in graph.node if n.op_type == 'Cast']
    uses = [n for n in graph.node if casts and casts[0].output[0] in n.input]
    return casts[0].output[0] if uses and uses[0].op_type == 'Conv' else None


def raw_outputs(path: Path) -> list[str]:
    """The graph outputs that are logits for contract 2, whose scale the contract fixes."""
    return [port.name for port in onnx.load(path).graph.output if port.name == RAW]


def quantize_int8(
    source: Path,
    target: Path,
    pictures: Sequence[U8],
    observer: Observer = 'minmax',
    keep_float: Sequence[str] | None = None,
    reduce_range: bool = False,
) -> list[str]:
    """Quantize the fp32 graph `source` into `target`; returns the convolutions meant for float.

    `pictures`: the calibration set, uint8 (H, W, 3) of the network's size. `keep_float`: names of
    convolutions to leave; default the last one, the head. Whether any other stayed in float is
    for the gate to say (`gate.judge`). `reduce_range`: weights of 7 bits, whose products with
    bytes add up in 16 bits without saturation on CPUs without VNNI.
    """
    if not pictures:
        raise ModelError(f'{source}: expected pictures to calibrate with, got none')
    kept = list(keep_float) if keep_float is not None else convolution_names(source)[-1:]
    options: dict[str, Any] = {
        'ActivationSymmetric': False,
        'WeightSymmetric': True,
        'CalibMaxIntermediateOutputs': 32,
    }
    fixed: dict[str | None, tuple[float, int]] = {picture_tensor(source): (1, 0)}
    fixed.update(dict.fromkeys(raw_outputs(source), (SCALE, ZERO)))
    options['TensorQuantOverrides'] = {
        tensor: [{'scale': np.array(scale, np.float32), 'zero_point': np.array(zero, np.uint8)}]
        for tensor, (scale, zero) in fixed.items()
        if tensor is not None
    }
    logging.getLogger().setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, write_atomic(target) as temporary:
        prepared = Path(folder) / 'prepared.onnx'
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(temporary),
            Pictures(pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTIZED,
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=downstream(prepared, kept),
            calibrate_method=OBSERVERS[observer],
            extra_options=options,
        )
        onnx.checker.check_model(str(temporary))
    return kept
