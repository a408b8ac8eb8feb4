"""Somebody else's segmentation ONNX, wrapped once into the model contract.

Normalisation, layout, activation and decision are added to the graph, so that every runtime gets
them and the pipeline knows one kind of model only. The result is kept in the cache directory.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from seg_node.errors import ModelError, problems_line
from seg_node.files import write_atomic
from seg_node.model.sidecar import Sidecar, read_sidecar

_MAX_SCORE_CLASSES = 8
"""Foreground classes up to which scores are worth their memory; above, the mask alone."""
_PREFIX = 'net/'


def wrapped(model_path: Path, sidecar_path: Path, cache_dir: Path | None) -> Path:
    """Path of the contract form of `model_path`; made on first use.

    Raises `ModelError` that lists what in the file and the sidecar do not agree.
    """
    digest = hashlib.sha256(model_path.read_bytes())
    digest.update(sidecar_path.read_bytes())
    folder = cache_dir or Path(tempfile.gettempdir()) / 'seg_node'
    target = folder / f'{model_path.stem}-{digest.hexdigest()[:16]}.onnx'
    if not target.is_file():
        contract = wrap(model_path, read_sidecar(sidecar_path))
        with write_atomic(target) as temporary:
            onnx.save(contract, temporary)
    return target


def wrap(model_path: Path, sidecar: Sidecar) -> onnx.ModelProto:
    """Add everything between camera picture and class ids to the graph of `model_path`."""
    try:
        net = onnx.load(model_path)
        onnx.checker.check_model(net)
    except Exception as error:  # protobuf's and the checker's exceptions share no base
        lines = str(error).splitlines() or [type(error).__name__]
        raise ModelError(f'{model_path}: not a readable ONNX file: {lines[0][:200]}') from None
    image, answer, (width, height) = _ports(model_path, net, sidecar)
    opset = max(op.version for op in net.opset_import if op.domain in ('', 'ai.onnx'))
    kind = image.type.tensor_type.elem_type
    if opset < 13:
        net = _modern(model_path, net)
        opset = 17
    _fix_input(image, sidecar, width, height)
    net = compose.add_prefix(net, _PREFIX)
    parts = _Parts(opset)
    _before(parts, _PREFIX + image.name, sidecar, kind)
    split = len(parts.nodes)
    _after(parts, _PREFIX + answer.name, sidecar)
    count = len(sidecar.classes) - 1
    shapes: dict[str, list[str | int | None]] = {
        'mask': [1, 'h', 'w'],
        'scores': [1, count, 'h', 'w'],
    }
    graph = helper.make_graph(
        [*parts.nodes[:split], *net.graph.node, *parts.nodes[split:]],
        sidecar.name,
        [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, height, width, 3])],
        [helper.make_tensor_value_info(n, TensorProto.UINT8, shapes[n]) for n in parts.outputs],
        [*net.graph.initializer, *parts.constants],
    )
    opsets = [helper.make_opsetid('', opset)]
    opsets += [op for op in net.opset_import if op.domain not in ('', 'ai.onnx')]
    contract = helper.make_model(graph, opset_imports=opsets, ir_version=min(net.ir_version, 10))
    contract.functions.extend(net.functions)
    helper.set_model_props(contract, sidecar.spec().to_metadata())
    onnx.checker.check_model(contract)
    return contract


def _modern(path: Path, net: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.version_converter.convert_version(net, 17)
    except Exception as error:  # the converter's exceptions share no base
        lines = str(error).splitlines() or [type(error).__name__]
        raise ModelError(
            f'{path}: cannot be brought from its old opset to 17, export it with 13 or newer: '
            f'{lines[0][:200]}'
        ) from None


def _ports(
    path: Path, net: onnx.ModelProto, sidecar: Sidecar
) -> tuple[onnx.ValueInfoProto, onnx.ValueInfoProto, tuple[int, int]]:
    problems: list[str] = []
    constants = {tensor.name for tensor in net.graph.initializer}
    inputs = [port for port in net.graph.input if port.name not in constants]
    if len(inputs) != 1:
        problems.append(f'inputs: expected one, got {[p.name for p in inputs]}')
    if not inputs:
        raise ModelError(problems_line(f'{path} with its sidecar', problems))
    shape = _shape(inputs[0])
    if len(shape) != 4:
        problems.append(f'input {inputs[0].name}: expected 4 dimensions, got {shape}')
        shape = [1, 3, 0, 0]
    order = 'nchw' if sidecar.layout == 'nchw' else 'nhwc'
    found = dict(zip(order, shape))
    if found['c'] not in (3, 0):
        problems.append(f'layout {sidecar.layout}: expected 3 channels, got {found["c"]}')
    width, height = sidecar.input_size or (found['w'], found['h'])
    if width < 1 or height < 1:
        problems.append('input_size: the file leaves it open, give [width, height]')
    elif found['w'] not in (0, width) or found['h'] not in (0, height):
        problems.append(
            f'input_size: expected {found["w"]}x{found["h"]} as in the file, got {width}x{height}'
        )
    kind = inputs[0].type.tensor_type.elem_type
    if kind not in (TensorProto.FLOAT, TensorProto.FLOAT16):
        problems.append(
            f'input {inputs[0].name}: expected float, got {TensorProto.DataType.Name(kind)}'
        )
    names = [port.name for port in net.graph.output]
    wanted = sidecar.output or (names[0] if len(names) == 1 else None)
    if wanted not in names:
        problems.append(f'output: expected one of {", ".join(names)}, got {wanted}')
    answer = net.graph.output[names.index(wanted) if wanted in names else 0]
    problems += _class_problems(answer, sidecar)
    if problems:
        raise ModelError(problems_line(f'{path} with its sidecar', problems))
    return inputs[0], answer, (width, height)


def _class_problems(answer: onnx.ValueInfoProto, sidecar: Sidecar) -> list[str]:
    shape = _shape(answer)
    if sidecar.head == 'class_ids' or len(shape) != 4:
        return []
    channels = shape[1 if sidecar.layout == 'nchw' else 3]
    expected = len(sidecar.classes) - (sidecar.head == 'sigmoid')
    if channels in (0, expected):
        return []
    return [
        f'classes: output {answer.name} has {channels} channels, head {sidecar.head} with '
        f'{len(sidecar.classes)} classes needs {expected}'
    ]


def _shape(port: onnx.ValueInfoProto) -> list[int]:
    """Dimensions of a port; 0 for one left open."""
    return [d.dim_value for d in port.type.tensor_type.shape.dim]


def _fix_input(image: onnx.ValueInfoProto, sidecar: Sidecar, width: int, height: int) -> None:
    sizes = {'n': 1, 'c': 3, 'h': height, 'w': width}
    for axis, dim in zip(sidecar.layout, image.type.tensor_type.shape.dim):
        dim.dim_value = sizes[axis]


class _Parts:
    """Nodes and constants that are added around the network."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.outputs: list[str] = []

    def add(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node with one output called `name`; return that name."""
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def constant(self, name: str, value: Any, dtype: Any = np.int64) -> str:
        """Add a constant; return its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def largest(self, source: str, name: str) -> str:
        """Maximum over axis 1, dropping it; opset 18 made the axes an input."""
        if self.opset < 18:
            return self.add('ReduceMax', [source], name, axes=[1], keepdims=0)
        axes = self.constant(f'{name}/axes', [1])
        return self.add('ReduceMax', [source, axes], name, keepdims=0)

    def uint8(self, source: str, name: str) -> str:
        """Cast to uint8 as the graph output `name`."""
        self.outputs.append(name)
        return self.add('Cast', [source], name, to=TensorProto.UINT8)


def _before(parts: _Parts, target: str, sidecar: Sidecar, kind: int) -> None:
    """uint8 NHWC `image` to the network's normalised input of the ONNX type `kind`."""
    std = np.asarray(sidecar.std, np.float32)
    factor = parts.constant('pre/factor', 1.0 / (sidecar.scale * std), np.float32)
    offset = parts.constant('pre/offset', -np.asarray(sidecar.mean) / std, np.float32)
    pixels = parts.add('Cast', ['image'], 'pre/float', to=TensorProto.FLOAT)
    scaled = parts.add('Mul', [pixels, factor], 'pre/scaled')
    shifted = parts.add('Add', [scaled, offset], 'pre/shifted')
    if sidecar.layout == 'nchw':
        shifted = parts.add('Transpose', [shifted], 'pre/nchw', perm=[0, 3, 1, 2])
    parts.add('Cast', [shifted], target, to=kind)


def _after(parts: _Parts, source: str, sidecar: Sidecar) -> None:
    """The network's answer to `mask` and, for few classes, `scores`."""
    if sidecar.head == 'class_ids':
        _class_ids(parts, source)
        return
    logits = source
    if sidecar.layout == 'nhwc':
        logits = parts.add('Transpose', [source], 'post/nchw', perm=[0, 3, 1, 2])
    logits = parts.add('Cast', [logits], 'post/logits', to=TensorProto.FLOAT)
    if sidecar.head == 'sigmoid':
        scores = _scores(parts, parts.add('Sigmoid', [logits], 'post/p'))
        _paint(parts, scores, sidecar)
        return
    p = logits
    if sidecar.head == 'softmax':
        p = parts.add('Softmax', [logits], 'post/p', axis=1)
    parts.uint8(parts.add('ArgMax', [p], 'post/ids', axis=1, keepdims=0), 'mask')
    count = len(sidecar.classes) - 1
    if count <= _MAX_SCORE_CLASSES:
        bounds = [parts.constant('post/from', [1]), parts.constant('post/to', [count + 1])]
        axis = parts.constant('post/axis', [1])
        _scores(parts, parts.add('Slice', [p, *bounds, axis], 'post/foreground'))


def _class_ids(parts: _Parts, source: str) -> None:
    """Integers (1, H, W) or (1, 1, H, W) to `mask`."""
    shape = parts.add('Shape', [source], 'post/shape')
    start = parts.constant('post/start', [-2])
    end = parts.constant('post/end', [np.iinfo(np.int64).max])
    size = parts.add('Slice', [shape, start, end], 'post/size')
    full = parts.add('Concat', [parts.constant('post/one', [1]), size], 'post/full', axis=0)
    parts.uint8(parts.add('Reshape', [source, full], 'post/ids'), 'mask')


def _scores(parts: _Parts, probabilities: str) -> str:
    """Probabilities to the graph output `scores`."""
    scale = parts.constant('post/255', 255, np.float32)
    scaled = parts.add('Mul', [probabilities, scale], 'post/scaled')
    return parts.uint8(parts.add('Round', [scaled], 'post/rounded'), 'scores')


def _paint(parts: _Parts, scores: str, sidecar: Sidecar) -> None:
    """`mask` of sigmoid scores: the largest class id whose score reaches its threshold."""
    column = (1, -1, 1, 1)
    thresholds = np.reshape(sidecar.spec().thresholds, column)
    value = parts.add('Cast', [scores], 'post/score', to=TensorProto.FLOAT)
    level = parts.constant('post/thresholds', thresholds, np.float32)
    reached = parts.add('GreaterOrEqual', [value, level], 'post/reached')
    flag = parts.add('Cast', [reached], 'post/flag', to=TensorProto.FLOAT)
    ids = np.reshape(np.arange(1, thresholds.size + 1), column)
    painted = parts.add('Mul', [flag, parts.constant('post/class', ids, np.float32)], 'post/paint')
    parts.uint8(parts.largest(painted, 'post/top'), 'mask')
