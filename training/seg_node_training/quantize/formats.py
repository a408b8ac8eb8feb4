"""The same graph in other number formats: dynamic int8, fp16, bf16, 4-bit weights, OpenVINO IR.

Static int8 stands in `ptq`, int8 by training in `qat`, LiteRT (TFLite) in `litert`. All of them
keep the contract: uint8 pictures in, uint8 mask and scores out.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx
import openvino as ov
from onnx import TensorProto, helper, numpy_helper, version_converter
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from seg_node.files import write_atomic
from seg_node_training.export.graph import convolution_names

F32 = npt.NDArray[np.float32]
INT4_OPSET = 21
"""ONNX has 4-bit types since opset 21 (IR version 10)."""
SMALL = 64
"""Constants of fewer values stay as they are: nothing is gained by packing them."""


def dynamic_int8(source: Path, target: Path) -> None:
    """Dynamic quantization: U8 weights, each activation's range measured anew in every run.

    Kept to show why not: the ranges cost a pass over every tensor, and ONNX Runtime's
    `ConvInteger` has no kernel that uses the dot-product instructions for U8 x U8.
    """
    logging.getLogger().setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, write_atomic(target) as temporary:
        prepared = Path(folder) / 'prepared.onnx'
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_dynamic(
            prepared, temporary, op_types_to_quantize=['Conv'], weight_type=QuantType.QUInt8
        )
        onnx.checker.check_model(str(temporary))


def to_fp16(source: Path, target: Path) -> None:
    """Weights and arithmetic in IEEE half precision; inputs and outputs stay uint8."""
    model = onnx.load(source)
    _constants_first(model)
    model = onnx.shape_inference.infer_shapes(model)
    half = convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=True)
    for node in half.graph.node:
        for attribute in node.attribute:
            if node.op_type == 'Cast' and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
    with write_atomic(target) as temporary:
        onnx.save(half, temporary)
        onnx.checker.check_model(str(temporary))


def to_bf16(source: Path, target: Path) -> None:
    """Weights stored as bfloat16, cast to float on load: half the file for any runtime.

    The arithmetic is the runtime's choice (OpenVINO: `INFERENCE_PRECISION_HINT` bf16), and with
    bf16 arithmetic the rounding here is the one that it would do itself.
    """
    model = onnx.load(source)

    def pack(name: str, values: F32) -> tuple[list[onnx.TensorProto], onnx.NodeProto]:
        stored = numpy_helper.from_array(values.astype(ml_dtypes.bfloat16), f'{name}/bf16')
        cast = helper.make_node('Cast', [stored.name], [name], f'{name}/cast', to=1)
        return [stored], cast

    _repack(model, pack)
    with write_atomic(target) as temporary:
        onnx.save(model, temporary)
        onnx.checker.check_model(str(temporary))


def to_int4_weights(source: Path, target: Path) -> None:
    """Convolution weights as 4-bit integers with a scale a channel; arithmetic stays float.

    Symmetric, -7..7; the head keeps its float weights. On a CPU a storage format: no runtime
    here computes convolutions in 4 bits.
    """
    model = onnx.load(source)
    if max(op.version for op in model.opset_import if op.domain == '') < INT4_OPSET:
        model = version_converter.convert_version(model, INT4_OPSET)
    model.ir_version = max(model.ir_version, 10)
    head = convolution_names(source)[-1]
    axes = {
        node.input[1]: 0 if node.op_type == 'Conv' else 1
        for node in model.graph.node
        if node.op_type in ('Conv', 'ConvTranspose') and node.name != head
    }

    def pack(name: str, values: F32) -> tuple[list[onnx.TensorProto], onnx.NodeProto] | None:
        if name not in axes:
            return None
        axis = axes[name]
        scale = channel_scale(values, axis, 7)
        shape = [1] * values.ndim
        shape[axis] = -1
        whole = np.clip(np.round(values / scale.reshape(shape)), -7, 7).astype(ml_dtypes.int4)
        stored = numpy_helper.from_array(whole, f'{name}/int4')
        scales = numpy_helper.from_array(scale, f'{name}/scale')
        node = helper.make_node(
            'DequantizeLinear', [stored.name, scales.name], [name], f'{name}/dq', axis=axis
        )
        return [stored, scales], node

    _repack(model, pack)
    with write_atomic(target) as temporary:
        onnx.save(model, temporary)
        onnx.checker.check_model(str(temporary))


def channel_scale(weight: F32, axis: int, top: int) -> F32:
    """float32 (C,): step of a symmetric grid -top..top for each channel of `weight`."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(axis=others)
    step: F32 = np.maximum(largest, 1e-8).astype(np.float32) / np.float32(top)
    return step


def _constants_first(model: onnx.ModelProto) -> None:
    """Make initializers of Constant nodes: the fp16 converter puts its casts before them."""
    nodes = list(model.graph.node)
    for node in nodes:
        if node.op_type == 'Constant' and node.attribute[0].name == 'value':
            tensor = node.attribute[0].t
            tensor.name = node.output[0]
            model.graph.initializer.append(tensor)
    del model.graph.node[:]
    model.graph.node.extend(n for n in nodes if n.op_type != 'Constant')


def _repack(
    model: onnx.ModelProto,
    pack: Callable[[str, F32], tuple[list[onnx.TensorProto], onnx.NodeProto] | None],
) -> None:
    """Replace float constants of the graph by what `pack` stores and the node that unpacks it."""
    graph = model.graph
    kept, nodes = [], []
    for tensor in graph.initializer:
        big = tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= SMALL
        packed = pack(tensor.name, numpy_helper.to_array(tensor)) if big else None
        if packed is None:
            kept.append(tensor)
            continue
        kept += packed[0]
        nodes.append(packed[1])
    rest = list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend([*nodes, *rest])


def to_openvino_ir(source: Path, target: Path, half: bool = False) -> None:
    """The graph as OpenVINO IR: `target` (.xml) and the .bin beside it.

    `half`: store float weights as fp16. int8 QDQ graphs keep their quantization.
    """
    model = ov.Core().read_model(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        file = Path(folder) / target.name
        ov.save_model(model, file, compress_to_fp16=half)
        file.with_suffix('.bin').replace(target.with_suffix('.bin'))
        file.replace(target)


FORMATS: dict[str, Callable[[Path, Path], None]] = {
    'dynamic': dynamic_int8,
    'fp16': to_fp16,
    'bf16': to_bf16,
    'int4': to_int4_weights,
}
"""Formats made from the fp32 graph alone, without pictures."""
