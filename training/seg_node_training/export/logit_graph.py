"""From a trained network to the graph of contract 2: bytes in, logits as bytes out.

The float graph ends at the head's logits, called `raw`. `finish` turns them into the output
`logits` of the contract, in a float file by a QuantizeLinear, in a quantized file by the one that
the quantizer put behind the head, so that nothing between the bytes is float.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from seg_node.errors import ModelError
from seg_node.files import write_atomic
from seg_node.model.logits import SCALE, ZERO
from seg_node_training.config import Recipe
from seg_node_training.export.codes import logit_bytes
from seg_node_training.export.graph import (
    export_graph,
    first_convolution,
    fuse_batch_norms,
)
from seg_node_training.export.stem import foldable, folded

U8 = npt.NDArray[np.uint8]
RAW = 'raw'


class LogitContract(nn.Module):
    """A network with a sigmoid head, from camera bytes to logits before the pixel shuffle.

    Input uint8 (1, H, W, 3); output float (1, K * p * p, H / p, W / p), p = `patch`. A network
    that has a method `patches` and a number `patch` is asked for its logits before the shuffle;
    of others p is 1. Raises `ModelError` where a mean is to be subtracted: padding with zeros
    does not commute with that, and an int8 file takes the bytes as they are.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        part = recipe.input
        size = (part.height, part.width)
        self.network = fuse_batch_norms(network)
        self.patch = int(getattr(network, 'patch', 1))
        first = first_convolution(self.network, size)
        if recipe.head != 'sigmoid' or first is None or any(part.mean):
            raise ModelError(
                f'recipe {recipe.name}: output logits needs a sigmoid head, a convolution at the '
                f'front and no mean, got head {recipe.head}, mean {list(part.mean)}'
            )
        with torch.no_grad():
            first.weight.mul_(1 / (torch.tensor(part.std).view(1, 3, 1, 1) * 255))
        self.columns = 1
        if foldable(first, part.width):
            self.columns = first.stride[0]
            _replace(self.network, first, folded(first))

    def forward(self, image: Tensor) -> Tensor:
        """uint8 (1, H, W, 3) to logits float (1, K * p * p, H / p, W / p)."""
        _, height, width, _ = image.shape
        blocks = image.reshape(1, height, width // self.columns, 3 * self.columns)
        x = blocks.permute(0, 3, 1, 2).float()
        patches: Callable[[Tensor], Tensor] = getattr(self.network, 'patches', self.network)
        return patches(x)

    def codes(self, picture: U8) -> U8:
        """The contract's bytes (h, w, K * p * p) of a picture uint8 (H, W, 3)."""
        with torch.inference_mode():
            raw = self(torch.from_numpy(picture[None]))
        return logit_bytes(raw)[0].permute(1, 2, 0).numpy()


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for module in network.modules():
        for name, child in module.named_children():
            if child is old:
                setattr(module, name, new)


def export_raw(contract: LogitContract, size: tuple[int, int], path: Path) -> None:
    """Write the float graph for pictures of `size` (H, W) that ends at `raw`."""
    export_graph(contract, size, path, [RAW])


def finish(source: Path, target: Path) -> None:
    """Give the graph at `source`, float or quantized, the contract's output; write `target`."""
    model = onnx.load(source)
    graph = model.graph
    height, width, channels = _raw_shape(graph)
    producer = next(node for node in graph.node if RAW in node.output)
    if producer.op_type == 'DequantizeLinear':
        coded = producer.input[0]
        graph.node.remove(producer)
        _take_bytes(graph)
    else:
        coded = 'raw_bytes'
        graph.initializer.append(numpy_helper.from_array(np.array(SCALE, np.float32), 'raw_scale'))
        graph.initializer.append(numpy_helper.from_array(np.array(ZERO, np.uint8), 'raw_zero'))
        inputs = [RAW, 'raw_scale', 'raw_zero']
        graph.node.append(helper.make_node('QuantizeLinear', inputs, [coded], 'bytes'))
    graph.node.append(
        helper.make_node('Transpose', [coded], ['logits'], 'channels_last', perm=[0, 2, 3, 1])
    )
    del graph.output[:]
    shape = [1, height, width, channels]
    graph.output.append(helper.make_tensor_value_info('logits', TensorProto.UINT8, shape))
    onnx.checker.check_model(model, full_check=True)
    with write_atomic(target) as temporary:
        onnx.save(model, temporary)


def _take_bytes(graph: onnx.GraphProto) -> None:
    """Say that the picture's bytes are quantized numbers, before they are moved about.

    The quantizer's way is bytes, reshape, transpose, float, and by a scale of 1 the same bytes
    again. OpenVINO sees quantized numbers only where they are dequantized first of all, and by a
    scale that is not 1: 1/255 then, and the first weights' scale times 255.
    """
    by_output = {name: node for node in graph.node for name in node.output}
    users = {name: node for node in graph.node for name in node.input}
    cast = next(node for node in graph.node if node.op_type == 'Cast')
    back = users[cast.output[0]]
    if back.op_type != 'QuantizeLinear':
        return
    there = users[back.output[0]]
    values = {tensor.name: tensor for tensor in graph.initializer}
    weights = by_output[users[there.output[0]].input[1]]
    _scale(values[back.input[1]], 1 / 255)
    _scale(values[weights.input[1]], 255)
    moves = [by_output[cast.input[0]]]
    while moves[0].input[0] != 'image':
        moves.insert(0, by_output[moves[0].input[0]])
    moves[0].input[0] = 'picture'
    moves[-1].output[0] = there.output[0]
    for node in (cast, back, there, *moves):
        graph.node.remove(node)
    begin = helper.make_node('DequantizeLinear', ['image', *back.input[1:]], ['picture'], 'bytes')
    constants = [node for node in graph.node if node.op_type == 'Constant']
    ordered = [*constants, begin, *moves, *(n for n in graph.node if n not in constants)]
    del graph.node[:]
    graph.node.extend(ordered)
    del graph.value_info[:]  # says that the moved tensors are bytes


def _scale(tensor: onnx.TensorProto, factor: float) -> None:
    values = numpy_helper.to_array(tensor) * np.float32(factor)
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))


def _raw_shape(graph: onnx.GraphProto) -> tuple[int, int, int]:
    dims = [d.dim_value for d in graph.output[0].type.tensor_type.shape.dim]
    return dims[2], dims[3], dims[1]


def compare_logits(contract: LogitContract, path: Path, pictures: Sequence[U8]) -> int:
    """Largest difference of any logit byte between torch and the file in ONNX Runtime, <= 1.

    `pictures`: uint8 (H, W, 3) of the network's size. Raises `ModelError` for more.
    """
    session = ort.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    worst = 0
    for picture in pictures:
        theirs = session.run(['logits'], {'image': picture[None]})[0][0]
        difference = np.abs(contract.codes(picture).astype(int) - theirs.astype(int))
        worst = max(worst, int(difference.max()))
    if worst > 1:
        raise ModelError(f'{path}: logits differ from torch by {worst} of 255, expected <= 1')
    return worst
