"""A float model file as a torch network that can be trained and written back into the same file.

The graph is interpreted as it stands, so that a file needs no recipe and no Python class: what
ships, and what somebody else trained under the model contract, is fine-tuned alike. Batch
normalisation is folded already, hence frozen, as fine-tuning on few pictures wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from seg_node.errors import ModelError
from seg_node.files import write_atomic

Attributes = dict[str, Any]
Operator = Callable[[Sequence[Any], Attributes], Tensor]
AFTER_LOGITS = frozenset({'Cast', 'Round', 'Clip', 'Mul', 'Add', 'Sub', 'Div', 'Min', 'Max'})
"""What stands between logits and the uint8 output: scaling, rounding, change of type."""
LAYOUT = frozenset({'DepthToSpace', 'Reshape', 'Transpose'})


def _pads(attributes: Attributes) -> list[int]:
    """(left, right, top, bottom), torch's order, of ONNX's (top, left, bottom, right)."""
    top, left, bottom, right = attributes.get('pads', [0, 0, 0, 0])
    return [left, right, top, bottom]


def _conv(x: Sequence[Any], attributes: Attributes) -> Tensor:
    image, weight, bias = (*x, None)[:3]
    image = F.pad(image, _pads(attributes))
    stride, dilation = attributes.get('strides', [1, 1]), attributes.get('dilations', [1, 1])
    return F.conv2d(image, weight, bias, stride, 0, dilation, attributes.get('group', 1))


def _transposed(x: Sequence[Any], attributes: Attributes) -> Tensor:
    image, weight, bias = (*x, None)[:3]
    left, right, top, bottom = _pads(attributes)
    if left != right or top != bottom:
        raise ModelError('ConvTranspose with uneven pads')
    stride, group = attributes.get('strides', [1, 1]), attributes.get('group', 1)
    return F.conv_transpose2d(image, weight, bias, stride, (top, left), 0, group)


def _max_pool(x: Sequence[Any], attributes: Attributes) -> Tensor:
    padded = F.pad(x[0], _pads(attributes), value=float('-inf'))
    return F.max_pool2d(padded, attributes['kernel_shape'], attributes.get('strides', [1, 1]))


def _average_pool(x: Sequence[Any], attributes: Attributes) -> Tensor:
    if any(attributes.get('pads', [])):
        raise ModelError('AveragePool with pads')
    return F.avg_pool2d(x[0], attributes['kernel_shape'], attributes.get('strides', [1, 1]))


def _resize(x: Sequence[Any], attributes: Attributes) -> Tensor:
    image = x[0]
    sizes = x[3] if len(x) > 3 and x[3] is not None else None
    if sizes is not None:
        size = [int(n) for n in sizes[-2:]]
    else:
        size = [round(n * float(s)) for n, s in zip(image.shape[-2:], x[2][-2:])]
    if attributes.get('mode', b'nearest') == b'nearest':
        return F.interpolate(image, size, mode='nearest')
    corners = attributes.get('coordinate_transformation_mode') == b'align_corners'
    return F.interpolate(image, size, mode='bilinear', align_corners=corners)


def _depth_to_space(x: Sequence[Any], attributes: Attributes) -> Tensor:
    block = attributes['blocksize']
    if attributes.get('mode', b'DCR') == b'CRD':
        return F.pixel_shuffle(x[0], block)
    n, channels, height, width = x[0].shape
    split = x[0].reshape(n, block, block, channels // block**2, height, width)
    planes: Tensor = split.permute(0, 3, 4, 1, 5, 2).reshape(n, -1, height * block, width * block)
    return planes


def _reshape(x: Sequence[Any], _: Attributes) -> Tensor:
    # The file is made for one picture; here there are several.
    shape = [int(n) for n in x[1]]
    shaped: Tensor = x[0].reshape(len(x[0]), *shape[1:])
    return shaped


def _clip(x: Sequence[Any], _: Attributes) -> Tensor:
    low, high = (*x[1:], None, None)[:2]
    return torch.clamp(x[0], low, high)


OPERATORS: dict[str, Operator] = {
    'Add': lambda x, _: x[0] + x[1],
    'Sub': lambda x, _: x[0] - x[1],
    'Mul': lambda x, _: x[0] * x[1],
    'Div': lambda x, _: x[0] / x[1],
    'AveragePool': _average_pool,
    'Cast': lambda x, _: x[0].float(),
    'Clip': _clip,
    'Concat': lambda x, a: torch.cat(list(x), a['axis']),
    'Conv': _conv,
    'ConvTranspose': _transposed,
    'DepthToSpace': _depth_to_space,
    'GlobalAveragePool': lambda x, _: x[0].mean((2, 3), keepdim=True),
    'HardSigmoid': lambda x, a: torch.clamp(x[0] * a.get('alpha', 0.2) + a.get('beta', 0.5), 0, 1),
    'Identity': lambda x, _: x[0],
    'LeakyRelu': lambda x, a: F.leaky_relu(x[0], a.get('alpha', 0.01)),
    'MaxPool': _max_pool,
    'Relu': lambda x, _: F.relu(x[0]),
    'Reshape': _reshape,
    'Resize': _resize,
    'Sigmoid': lambda x, _: torch.sigmoid(x[0]),
    'Transpose': lambda x, a: x[0].permute(*a['perm']),
}


class OnnxNetwork(nn.Module):
    """The float file `path` from its input to the logits of its output `scores`.

    Input: pictures float (N, H, W, 3) of 0..255, in the file's channel order; output: logits
    float (N, K, H, W). Only what the convolutions of the last `share` of the graph hold is a
    parameter. Raises `ModelError` for a file that is not float, or with an operator that is
    none of `OPERATORS`.
    """

    def __init__(self, path: Path, share: float = 1.0) -> None:
        super().__init__()
        self.path = path
        self._model = _untied(onnx.load(path))
        graph = self._model.graph
        self._attributes = {
            node.output[0]: {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            for node in graph.node
        }
        self._constants = {t.name: _tensor(t) for t in graph.initializer}
        for node in graph.node:
            if node.op_type == 'Constant':
                self._constants[node.output[0]] = _tensor(
                    self._attributes[node.output[0]]['value']
                )
        self._logits, self._after = self._find_logits()
        self._nodes = self._needed(self._logits)
        unknown = sorted({n.op_type for n in self._nodes} - set(OPERATORS))
        if unknown:
            raise ModelError(f'{path}: cannot be fine-tuned: operators {", ".join(unknown)}')
        convolutions = [n for n in self._nodes if n.op_type in ('Conv', 'ConvTranspose')]
        first = len(convolutions) - max(1, round(share * len(convolutions)))
        self._names = {
            name: f'w{index}'
            for index, name in enumerate(
                name for n in convolutions[first:] for name in n.input[1:] if name
            )
        }
        for name, attribute in self._names.items():
            if name not in self._constants:
                raise ModelError(f'{path}: cannot be fine-tuned: is quantized, expected float')
            self.register_parameter(attribute, nn.Parameter(self._constants[name].clone()))

    def _find_logits(self) -> tuple[str, list[onnx.NodeProto]]:
        """The tensor of the logits, and the changes of layout that follow it."""
        graph = self._model.graph
        maker = {output: node for node in graph.node for output in node.output}
        outputs = [o.name for o in graph.output]
        name = next((o for o in outputs if o in ('scores', 'logits')), outputs[-1])
        after: list[onnx.NodeProto] = []
        while name in maker:
            node = maker[name]
            if node.op_type in ('Sigmoid', 'Softmax'):
                return node.input[0], after
            if node.op_type in LAYOUT:
                after.insert(0, node)
            elif node.op_type not in AFTER_LOGITS:
                return name, after
            name = next(i for i in node.input if i not in self._constants)
        raise ModelError(f'{self.path}: cannot be fine-tuned: no convolution before its output')

    def _needed(self, target: str) -> list[onnx.NodeProto]:
        needed, chosen = {target}, []
        for node in reversed(self._model.graph.node):
            if needed.intersection(node.output) and node.op_type != 'Constant':
                needed.update(node.input)
                chosen.append(node)
        return chosen[::-1]

    def forward(self, pictures: Tensor) -> Tensor:
        """See the class."""
        values: dict[str, Any] = dict(self._constants)
        values |= {name: getattr(self, attribute) for name, attribute in self._names.items()}
        values[self._model.graph.input[0].name] = pictures
        for node in self._nodes:
            read = [values[name] if name else None for name in node.input]
            values[node.output[0]] = OPERATORS[node.op_type](
                read, self._attributes[node.output[0]]
            )
        logits: Tensor = values[self._logits]
        for node in self._after:
            read = [logits, *(self._constants[name] for name in node.input[1:])]
            logits = OPERATORS[node.op_type](read, self._attributes[node.output[0]])
        return logits

    def weights(self) -> dict[str, Tensor]:
        """The trained weights by their names in the file, detached copies."""
        return {
            name: getattr(self, attribute).detach().clone()
            for name, attribute in self._names.items()
        }

    def write(self, path: Path, weights: dict[str, Tensor]) -> None:
        """The file with `weights` in place of its own, at `path`; metadata stay."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        for tensor in model.graph.initializer:
            if tensor.name in weights:
                values = weights[tensor.name].float().numpy()
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        with write_atomic(path) as temporary:
            onnx.save(model, temporary)


def _untied(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a tensor of its own for every use: exporters tie equal ones by `Identity`."""
    tensors = {t.name: t for t in model.graph.initializer}
    tied = [n for n in model.graph.node if n.op_type == 'Identity' and n.input[0] in tensors]
    for node in tied:
        tensor = model.graph.initializer.add()
        tensor.CopyFrom(tensors[node.input[0]])
        tensor.name = node.output[0]
        model.graph.node.remove(node)
    return model


def _tensor(proto: onnx.TensorProto) -> Tensor:
    return torch.from_numpy(np.array(numpy_helper.to_array(proto)))
