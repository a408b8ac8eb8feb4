"""Where a run begins: another run's checkpoint, or the float file that ships.

A shipped `*_fp32.onnx` holds each convolution with its batch normalisation folded in. To train on,
the normalisation is put back: its scale and shift are what the folded one did to real pictures,
so the network computes the same as before and learns as before.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from seg_node.errors import ModelError
from seg_node_training.config import Recipe
from seg_node_training.data.open import open_set
from seg_node_training.evaluate.network import fit, normalise
from seg_node_training.export.graph import first_convolution
from seg_node_training.export.stem import unfolded
from seg_node_training.models import build_model
from seg_node_training.train.checkpoint import load_checkpoint

U8 = npt.NDArray[np.uint8]
PREFIX = 'network.'
"""Before the names of a network's tensors in a file that `export.graph` wrote."""
PICTURES = 24
"""Pictures that the normalisation is measured on."""


def start_state(path: Path, recipe: Recipe) -> dict[str, Any]:
    """What `Trainer.start_from` takes, from a checkpoint or a float model file.

    Of a `light_unet` with `patch` 4, a file or checkpoint of one with 2 gives the levels that the
    two have in common. Raises `ModelError` for a file that holds another network.
    """
    if path.suffix != '.onnx':
        state = load_checkpoint(path)
        return {**state, 'ema': fitted(state['ema'], recipe)}
    weights = file_weights(path)
    name, options = recipe.model.name, dict(recipe.model.options)
    if _is_wider(weights, recipe):
        options = {'base': len(weights['encoder.0.0.0.bias']), 'stem': len(weights['stem.0.bias'])}
    model = build_model(name, recipe.outputs, **options)
    pictures = start_pictures(recipe)
    put_back(model, weights, pictures, recipe, str(path))
    return {
        'ema': fitted(model.state_dict(), recipe),
        'recipe': {'name': path.name},
        'step': 'an unstated number of',
        'lineage': [],
    }


def file_weights(path: Path) -> dict[str, Tensor]:
    """The float tensors of a model file by the network's names; `ModelError` without any."""
    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf's exceptions share no base
        raise ModelError(f'{path}: not a readable ONNX file: {str(error)[:120]}') from None
    tensors = {
        t.name.removeprefix(PREFIX): torch.from_numpy(numpy_helper.to_array(t).copy())
        for t in graph.initializer
        if t.name.startswith(PREFIX) and t.data_type == onnx.TensorProto.FLOAT
    }
    if not tensors:
        raise ModelError(
            f'{path}: expected a float file of training/export.py (tensors {PREFIX}*), '
            'got one without; begin from a *_fp32.onnx'
        )
    return tensors


def start_pictures(recipe: Recipe, count: int = PICTURES) -> list[U8]:
    """Up to `count` pictures uint8 (H, W, 3) of the network's size, from the training sets."""
    parts = [part for part in recipe.data.train if part.weight > 0 and part.kind == 'folder']
    pictures = []
    for part in parts or recipe.data.train[:1]:
        data = open_set(part.model_copy(update={'limit': -(-count // max(1, len(parts)))}), recipe)
        pictures += [fit(data.load(source)[0], recipe) for source in data.sources()]
    return pictures[:count]


@torch.no_grad()
def put_back(
    model: nn.Module,
    weights: dict[str, Tensor],
    pictures: Sequence[U8],
    recipe: Recipe,
    subject: str,
) -> None:
    """Fill `model` so that it computes what the folded `weights` do.

    Each normalisation takes the mean and variance that its input has on `pictures` as its running
    ones, and undoes them. Raises `ModelError` where a convolution has no tensor of its shape.
    """
    norms = _normalised(model)
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d):
            continue
        came = weights.get(f'{name}.weight')
        if came is not None and came.shape[1] != module.weight.shape[1] == 3:
            kernel, stride, padding = module.kernel_size[0], module.stride[0], module.padding[0]
            came = unfolded(came, kernel, stride, int(padding))
        if came is None or came.shape != module.weight.shape:
            raise ModelError(
                f'{subject}: weights of another model: expected {name}.weight '
                f'{list(module.weight.shape)}, got {None if came is None else list(came.shape)}'
            )
        module.weight.copy_(came)
        if module.bias is not None:
            module.bias.copy_(weights[f'{name}.bias'])
    _unscale_first(model, recipe)
    handles = [
        norm.register_forward_pre_hook(_Measured(weights[f'{name}.bias'])) for name, norm in norms
    ]
    model.eval()
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    model(normalise(batch, recipe.input))
    for handle in handles:
        handle.remove()


class _Measured:
    """Before a normalisation runs: its statistics are those of what comes in, then undone."""

    def __init__(self, bias: Tensor) -> None:
        self.bias = bias

    def __call__(self, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(self.bias + mean)


def _normalised(model: nn.Module) -> list[tuple[str, nn.BatchNorm2d]]:
    """The convolution's name and the normalisation behind it, of each such pair."""
    pairs = []
    for prefix, sequence in model.named_modules():
        if isinstance(sequence, nn.Sequential):
            for (name, first), (_, second) in itertools.pairwise(sequence.named_children()):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    pairs.append((f'{prefix}.{name}', second))
    return pairs


def _unscale_first(model: nn.Module, recipe: Recipe) -> None:
    """Undo the division by 255 (and by std) that `export.graph.Contract` folds in."""
    part = recipe.input
    first = first_convolution(model, (part.height, part.width))
    if first is not None and not any(part.mean):
        first.weight.mul_(torch.tensor(part.std).view(1, 3, 1, 1) * 255)


def _is_wider(weights: dict[str, Tensor], recipe: Recipe) -> bool:
    """Whether `weights` begin at 2x2 pixels where the recipe's network begins at 4x4."""
    options = recipe.model.options
    if recipe.model.name != 'light_unet' or options.get('patch', 2) != 4:
        return False
    return weights['stem.0.weight'].shape[-2] == 5  # (5, 5), or (5, 3) over folded channels


def fitted(state: dict[str, Tensor], recipe: Recipe) -> dict[str, Tensor]:
    """`state`, with the levels of a `light_unet` that begins one level higher moved up by one."""
    if not _is_wider(state, recipe):
        return state
    moved = {}
    for name, tensor in state.items():
        part, _, rest = name.partition('.')
        if part == 'encoder':
            level, _, rest = rest.partition('.')
            if level != '0':
                moved[f'encoder.{int(level) - 1}.{rest}'] = tensor
        elif part == 'decoder':
            moved[name] = tensor
    return moved


def load_matching(model: nn.Module, state: dict[str, Tensor], subject: str) -> frozenset[str]:
    """Put the tensors of `state` that fit by name and shape into `model`; their names.

    Raises `ModelError` when less than half of the network's numbers come so.
    """
    own = model.state_dict()
    same = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    came = sum(v.numel() for v in same.values())
    total = sum(v.numel() for v in own.values())
    if came < total / 2:
        raise ModelError(
            f'{subject}: of another model: {came} of {total} numbers fit by name and shape'
        )
    model.load_state_dict({**own, **same})
    return frozenset(same)
