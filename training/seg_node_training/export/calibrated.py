"""A model file with temperatures and thresholds of its own, written without training anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from seg_node.errors import ModelError
from seg_node.files import write_atomic
from seg_node.model.spec import ModelSpec


def read_spec(path: Path) -> ModelSpec:
    """What the file says of itself. Raises `ModelError`."""
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's own kinds
        raise ModelError(f'{path}: not an ONNX file ({type(error).__name__})') from None
    return ModelSpec.from_metadata(str(path), {p.key: p.value for p in model.metadata_props})


def write_calibrated(
    source: Path, target: Path, spec: ModelSpec, temperatures: Sequence[float]
) -> None:
    """`source` with its logits divided by a temperature a foreground class, described by `spec`.

    Where the file gives logits (contract 2), the temperatures are part of its description. Else
    the division goes into weights and bias of the last convolution, and the thresholds into the
    graph's own decision; `ModelError` where that convolution is quantized: then the float file is
    to be calibrated, before it is quantized.
    """
    model = onnx.load(source)
    if spec.encoding == 'logits':
        earlier = spec.temperatures or (1.0,) * len(temperatures)
        product = tuple(round(float(a * b), 4) for a, b in zip(earlier, temperatures))
        spec = replace(spec, temperatures=product)
    else:
        _divide_head(source, model, np.asarray(temperatures, np.float32))
        _set_thresholds(model, spec.thresholds)
    del model.metadata_props[:]
    for key, value in spec.to_metadata().items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    with write_atomic(target) as temporary:
        onnx.save(model, temporary)


def _divide_head(
    source: Path,
    model: onnx.ModelProto,
    temperatures: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    if np.allclose(temperatures, 1):
        return
    tensors = {t.name: t for t in model.graph.initializer}
    head = [n for n in model.graph.node if n.op_type == 'Conv'][-1]
    if any(name not in tensors for name in head.input[1:]):
        raise ModelError(
            f'{source}: its last convolution is quantized; calibrate the float file, then quantize'
        )
    weights = numpy_helper.to_array(tensors[head.input[1]])
    # Sub-pixel heads have several outputs a class: by class in CRD order, in turns in DCR order.
    shuffles = [n for n in model.graph.node if n.op_type == 'DepthToSpace']
    modes = [a.s for n in shuffles for a in n.attribute if a.name == 'mode']
    each = len(weights) // len(temperatures)
    turns = bool(shuffles) and (not modes or modes[-1] == b'DCR')
    by_output = np.tile(temperatures, each) if turns else np.repeat(temperatures, each)
    for name in head.input[1:]:
        values = numpy_helper.to_array(tensors[name])
        shape = (-1, *[1] * (values.ndim - 1))
        divided = (values / by_output.reshape(shape)).astype(values.dtype)
        tensors[name].CopyFrom(numpy_helper.from_array(divided, name))


def _set_thresholds(model: onnx.ModelProto, thresholds: Sequence[int]) -> None:
    """Constants of the decision inside the graph, class by class; none where it has no mask."""
    makers = {output: node for node in model.graph.node for output in node.output}
    tensors = {t.name: t for t in model.graph.initializer}
    decisions = [n for n in model.graph.node if n.op_type == 'GreaterOrEqual']
    for node, threshold in zip(decisions, thresholds):
        name = node.input[1]
        tensor = tensors.get(name) or makers[name].attribute[0].t
        old = numpy_helper.to_array(tensor)
        tensor.CopyFrom(
            numpy_helper.from_array(np.full(old.shape, threshold, old.dtype), tensor.name)
        )
