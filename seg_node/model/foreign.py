"""Somebody else's segmentation ONNX, wrapped once into the model contract.

Normalisation, layout, activation and decision are added to the graph, so that every runtime gets
them and the pipeline knows one kind of model only. The result is kept in the cache directory.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from seg_node.errors import InputError, ModelError, first_line, problems_line
from seg_node.files import private_folder, write_atomic
from seg_node.model.foreign_answers import check_answers
from seg_node.model.sidecar import HeadPart, Sidecar, SidecarHead, read_sidecar
from seg_node.model.structure import check_structure

_LOG = logging.getLogger(__name__)
_MAX_SCORE_CLASSES = 8
"""Foreground classes up to which scores are worth their memory; above, the mask alone."""
_PREFIX = 'net/'
_FOREGROUND_ONLY = ('sigmoid', 'sigmoid_probabilities')
"""Heads without a channel for the background."""
_PASSING = ('Identity', 'Cast', 'Transpose', 'Resize', 'Squeeze')
"""Operations behind which an activation still counts as applied."""


@contextlib.contextmanager
def wrapped(model_path: Path, sidecar_path: Path, cache_dir: Path | None) -> Iterator[Path]:
    """Path of the contract form of `model_path`, kept in `cache_dir` or made for this once.

    The name carries the digest of all it was made from (external data too) and its own, so that a
    damaged or a planted file is made anew. Raises `ModelError` that lists what in the file and the
    sidecar do not agree.
    """
    source = check_structure(model_path)
    with contextlib.ExitStack() as stack:
        try:
            folder = None if cache_dir is None else private_folder(cache_dir)
        except InputError as error:
            _LOG.warning('cache not used, the model is wrapped at each start: %s', error)
            folder = None
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='seg_node-')))
        inputs = hashlib.sha256(source.digest().encode() + _read(sidecar_path)).hexdigest()
        stem = f'{model_path.stem}-{inputs[:16]}-'
        for path in folder.glob(f'{glob.escape(stem)}*.onnx'):
            if path.stem == stem + _digest(path):
                yield path
                return
        sidecar = read_sidecar(sidecar_path)
        contract, answers = wrap(model_path, sidecar)
        check_answers(f'{model_path} with its sidecar', contract, answers, sidecar)
        with write_atomic(folder / f'.{stem}.onnx') as temporary:
            onnx.save(contract, temporary)
            target = folder / f'{stem}{_digest(temporary)}.onnx'
        (folder / f'.{stem}.onnx').replace(target)
        yield target


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f'{path}: cannot be read: {error.strerror or error}') from None


def wrap(model_path: Path, sidecar: Sidecar) -> tuple[onnx.ModelProto, list[str]]:
    """Add everything between camera picture and class ids to the graph of `model_path`.

    Also the names that the network's own answers have in it, one for each head.
    """
    try:
        net = onnx.load(model_path)
        onnx.checker.check_model(net)
    except Exception as error:  # protobuf's and the checker's exceptions share no base
        raise ModelError(f'{model_path}: not a readable ONNX file: {first_line(error)}') from None
    image, answers, (width, height) = _ports(model_path, net, sidecar)
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
    sources = [_PREFIX + answer.name for answer in answers]
    if sidecar.layout == 'nhwc' and len(_shape(answers[0])) == 4:
        parts.plane = 1
    _after(parts, sources, sidecar)
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
    return contract, sources


def _modern(path: Path, net: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.version_converter.convert_version(net, 17)
    except Exception as error:  # the converter's exceptions share no base
        raise ModelError(
            f'{path}: cannot be brought from its old opset to 17, export it with 13 or newer: '
            f'{first_line(error)}'
        ) from None


def _ports(
    path: Path, net: onnx.ModelProto, sidecar: Sidecar
) -> tuple[onnx.ValueInfoProto, list[onnx.ValueInfoProto], tuple[int, int]]:
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
    size_of = dict(zip(order, shape))
    if size_of['c'] not in (3, 0):
        problems.append(f'layout {sidecar.layout}: expected 3 channels, got {size_of["c"]}')
    width, height = sidecar.input_size or (size_of['w'], size_of['h'])
    if width < 1 or height < 1:
        problems.append('input_size: the file leaves it open, give [width, height]')
    elif size_of['w'] not in (0, width) or size_of['h'] not in (0, height):
        problems.append(
            f'input_size: expected {size_of["w"]}x{size_of["h"]} as in the file, '
            f'got {width}x{height}'
        )
    kind = inputs[0].type.tensor_type.elem_type
    if kind not in (TensorProto.FLOAT, TensorProto.FLOAT16):
        problems.append(
            f'input {inputs[0].name}: expected float, got {TensorProto.DataType.Name(kind)}'
        )
    outputs = {port.name: port for port in net.graph.output}
    answers = []
    for part in sidecar.all_parts:
        name = part.output or (next(iter(outputs)) if len(outputs) == 1 else None)
        if name not in outputs:
            problems.append(f'output: expected one of {", ".join(outputs)}, got {name}')
            continue
        answers.append(outputs[name])
        problems += _part_problems(net, outputs[name], part, sidecar)
    sizes = {answer.name: _plane(answer, sidecar) for answer in answers}
    if len({size for size in sizes.values() if 0 not in size}) > 1:
        problems.append(f'parts: expected outputs of one size, got {sizes}')
    if problems:
        raise ModelError(problems_line(f'{path} with its sidecar', problems))
    return inputs[0], answers, (width, height)


def _part_problems(
    net: onnx.ModelProto, answer: onnx.ValueInfoProto, part: HeadPart, sidecar: Sidecar
) -> list[str]:
    problems = []
    makers = {name: node for node in net.graph.node for name in node.output}
    last = makers.get(answer.name)
    while last is not None and last.op_type in _PASSING and last.input:
        last = makers.get(last.input[0])
    applied = {'Sigmoid': 'sigmoid', 'Softmax': 'softmax'}.get(last.op_type if last else '')
    shape = _shape(answer)
    channels = shape[1 if sidecar.layout == 'nchw' else 3] if len(shape) == 4 else 0
    classes = len(part.classes)
    if applied and part.head in ('sigmoid', 'softmax'):
        # YOLOP's heads have a channel for the background and a sigmoid all the same.
        alone = applied == 'sigmoid' and channels != classes + 1
        name = 'sigmoid_probabilities' if alone else 'probabilities'
        problems.append(
            f'head {part.head}: output {answer.name} has its {applied} in the graph already, '
            f'use head {name}'
        )
    if part.head == 'class_ids':
        if channels > 1:
            problems.append(
                f'head class_ids: output {answer.name} has {channels} channels, expected one'
            )
        return problems
    if len(shape) not in (0, 4):
        problems.append(
            f'head {part.head}: output {answer.name} has shape {shape}, expected 4 dimensions'
        )
    if len(shape) != 4:
        return problems
    expected = classes if part.head in _FOREGROUND_ONLY else classes + 1
    if channels not in (0, expected):
        problems.append(
            f'classes: output {answer.name} has {channels} channels, head {part.head} with '
            f'{classes + 1} classes needs {expected}'
        )
    return problems


def _plane(answer: onnx.ValueInfoProto, sidecar: Sidecar) -> tuple[int, ...]:
    shape = _shape(answer)
    return (
        tuple(shape[2:] if sidecar.layout == 'nchw' else shape[1:3]) if len(shape) == 4 else (0,)
    )


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
        self.plane = -2
        """Axis of the answer that its height is on; the width is on the next one."""

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


def _after(parts: _Parts, sources: list[str], sidecar: Sidecar) -> None:
    """The network's answers to `mask` and, for few classes, `scores`."""
    if sidecar.head == 'class_ids':
        _class_ids(parts, sources[0])
        return
    if sidecar.one_softmax:
        p = _probabilities(parts, sources[0], 'post', sidecar.all_parts[0].head, sidecar)
        parts.uint8(parts.add('ArgMax', [p], 'post/ids', axis=1, keepdims=0), 'mask')
        if len(sidecar.classes) - 1 <= _MAX_SCORE_CLASSES:
            _scores(parts, _foreground(parts, p, 'post', len(sidecar.classes) - 1))
        return
    planes = []
    for number, (source, part) in enumerate(zip(sources, sidecar.all_parts)):
        prefix = f'post{number}'
        p = _probabilities(parts, source, prefix, part.head, sidecar)
        if part.head not in _FOREGROUND_ONLY:
            p = _foreground(parts, p, prefix, len(part.classes))
        planes.append(p)
    joined = planes[0]
    if len(planes) > 1:
        joined = parts.add('Concat', planes, 'post/joined', axis=1)
    _paint(parts, _scores(parts, joined), sidecar)


def _probabilities(
    parts: _Parts, source: str, prefix: str, head: SidecarHead, sidecar: Sidecar
) -> str:
    """Float (1, C, h, w) probabilities of one answer."""
    answer = source
    if sidecar.layout == 'nhwc':
        answer = parts.add('Transpose', [source], f'{prefix}/nchw', perm=[0, 3, 1, 2])
    answer = parts.add('Cast', [answer], f'{prefix}/float', to=TensorProto.FLOAT)
    if head == 'sigmoid':
        return parts.add('Sigmoid', [answer], f'{prefix}/p')
    if head == 'softmax':
        return parts.add('Softmax', [answer], f'{prefix}/p', axis=1)
    return answer


def _foreground(parts: _Parts, p: str, prefix: str, count: int) -> str:
    """Channels 1 to `count`: the classes without the background."""
    bounds = [parts.constant(f'{prefix}/from', [1]), parts.constant(f'{prefix}/to', [count + 1])]
    axis = parts.constant(f'{prefix}/axis', [1])
    return parts.add('Slice', [p, *bounds, axis], f'{prefix}/foreground')


def _class_ids(parts: _Parts, source: str) -> None:
    """Integers (1, H, W), (1, 1, H, W) or (1, H, W, 1) to `mask`."""
    shape = parts.add('Shape', [source], 'post/shape')
    start = parts.constant('post/start', [parts.plane])
    end = parts.constant('post/end', [3 if parts.plane == 1 else np.iinfo(np.int64).max])
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
