"""From a trained network to the graph of the model contract (uint8 in, uint8 out)."""

from __future__ import annotations

import copy
import itertools
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from seg_node.errors import ModelError
from seg_node.files import write_atomic
from seg_node.model.spec import ModelSpec
from seg_node_training.config import Recipe

U8 = npt.NDArray[np.uint8]
OPSET = 17
IR_VERSION = 9
"""Old enough for ONNX Runtime 1.16 and OpenVINO 2023."""


def fuse_batch_norms(model: nn.Module) -> nn.Module:
    """A copy of `model` in which every Conv2d -> BatchNorm2d of a Sequential is one Conv2d."""
    fused = copy.deepcopy(model).eval()
    for sequence in [m for m in fused.modules() if isinstance(m, nn.Sequential)]:
        names = list(sequence._modules)
        for first, second in itertools.pairwise(names):
            conv, norm = sequence._modules[first], sequence._modules[second]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                sequence._modules[first] = fuse_conv_bn_eval(conv, norm)
                sequence._modules[second] = nn.Identity()
    return fused


def first_convolution(model: nn.Module, size: tuple[int, int]) -> nn.Conv2d | None:
    """The convolution that takes the picture itself, None where something stands before it."""
    first: list[nn.Conv2d] = []
    probe = torch.rand(1, 3, *size)

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if not first and inputs[0] is probe and isinstance(module, nn.Conv2d):
            first.append(module)

    hooks = [m.register_forward_pre_hook(note) for m in model.modules()]
    with torch.inference_mode():
        model(probe)
    for hook in hooks:
        hook.remove()
    return first[0] if first else None


class Contract(nn.Module):
    """A network wrapped as the model contract wants it.

    Input uint8 (1, H, W, 3). Outputs `mask` uint8 (1, H, W) and `scores` uint8 (1, K, H, W).
    The division by 255 goes into the first convolution where there is one at the front and no
    mean is subtracted (padding with zeros would not commute with that), so that an int8 graph
    takes the camera's bytes as they are (scale 1, zero point 0).
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, recipe: Recipe, thresholds: Sequence[int]) -> None:
        super().__init__()
        part = recipe.input
        self.network = fuse_batch_norms(network)
        self.head, self.thresholds = recipe.head, tuple(thresholds)
        mean = torch.tensor(part.mean).view(1, 3, 1, 1) * 255
        scale = 1 / (torch.tensor(part.std).view(1, 3, 1, 1) * 255)
        first = first_convolution(self.network, (part.height, part.width))
        self.folded = first is not None and not any(part.mean)
        if first is not None and self.folded:
            with torch.no_grad():
                first.weight.mul_(scale)
        self.register_buffer('mean', mean)
        self.register_buffer('scale', scale)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (1, H, W, 3) to mask uint8 (1, H, W) and scores uint8 (1, K, H, W)."""
        x = image.permute(0, 3, 1, 2).float()
        if not self.folded:
            x = (x - self.mean) * self.scale
        logits = self.network(x)
        if self.head == 'softmax':
            p = torch.softmax(logits, 1)
            mask = logits.argmax(1).to(torch.uint8)
            return mask, torch.round(p[:, 1:] * 255).to(torch.uint8)
        rounded = torch.round(torch.sigmoid(logits) * 255)
        mask = (rounded[:, 0] >= self.thresholds[0]).to(torch.uint8)
        for index, threshold in enumerate(self.thresholds[1:], 1):
            value = torch.tensor(index + 1, dtype=torch.uint8)
            mask = torch.where(rounded[:, index] >= threshold, value, mask)
        return mask, rounded.to(torch.uint8)


def export_graph(
    contract: nn.Module,
    size: tuple[int, int],
    path: Path,
    outputs: Sequence[str] = ('mask', 'scores'),
) -> None:
    """Write the fp32 graph for pictures of `size` (H, W), opset 17, and run the checker on it."""
    example = torch.zeros(1, *size, 3, dtype=torch.uint8)
    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    with write_atomic(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.onnx.export(
            contract.eval(),
            (example,),
            str(temporary),
            input_names=['image'],
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(temporary)
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, temporary)


def compare_with_torch(contract: Contract, path: Path, pictures: Sequence[U8]) -> int:
    """Largest difference of any score, of 255, between torch and ONNX Runtime; checked to be <= 1.

    `pictures`: uint8 (H, W, 3) of the network's size. Raises `ModelError` otherwise.
    """
    session = ort.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    worst = 0
    for picture in pictures:
        with torch.inference_mode():
            _, ours = contract(torch.from_numpy(picture[None]))
        theirs = session.run(['scores'], {'image': picture[None]})[0]
        worst = max(worst, int(np.abs(ours.numpy().astype(int) - theirs.astype(int)).max()))
    if worst > 1:
        raise ModelError(f'{path}: scores differ from torch by {worst} of 255, expected <= 1')
    return worst


def write_metadata(path: Path, spec: ModelSpec) -> None:
    """Replace the metadata of the graph at `path` by `spec`."""
    model = onnx.load(path)
    del model.metadata_props[:]
    for key, value in spec.to_metadata().items():
        model.metadata_props.add(key=key, value=value)
    with write_atomic(path) as temporary:
        onnx.save(model, temporary)


def unquantized_convolutions(path: Path) -> list[str]:
    """Names of the convolutions that do not read dequantized int8 on both sides."""
    graph = onnx.load(path).graph
    maker = {output: node for node in graph.node for output in node.output}

    def from_int8(name: str) -> bool:
        while name in maker and maker[name].op_type in ('Reshape', 'Transpose'):
            name = maker[name].input[0]  # moves numbers, in whatever type
        return name in maker and maker[name].op_type == 'DequantizeLinear'

    return [
        node.name
        for node in graph.node
        if node.op_type in ('Conv', 'ConvTranspose')
        and not (from_int8(node.input[0]) and from_int8(node.input[1]))
    ]


def convolution_names(path: Path) -> list[str]:
    """Names of all convolutions of a graph, in order."""
    return [n.name for n in onnx.load(path).graph.node if n.op_type in ('Conv', 'ConvTranspose')]
