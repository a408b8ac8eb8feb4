"""Shapes of network by time: the shipped file's time and that of others, in turns in one run.

`python -m seg_node_training.studies.shapes` prints a Markdown table. The candidates have random
weights, quantized as a trained network is (contract 2, weights of 7 bits): only their time counts.
`ONEDNN_MAX_CPU_ISA` limits OpenVINO's instructions; it can only take away what the machine has.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from seg_node.model.loader import default_model
from seg_node_training.command import run_command
from seg_node_training.config import parse_recipe
from seg_node_training.evaluate.runtimes import onnxruntime_scorer, openvino_scorer
from seg_node_training.export.logit_graph import LogitContract, export_raw, finish
from seg_node_training.models import build_model, count_parameters
from seg_node_training.quantize.gate import medians_in_turns
from seg_node_training.quantize.ptq import quantize_int8


@dataclass(frozen=True)
class ShapeCandidate:
    """A network and the size of its picture."""

    title: str
    model: str
    options: Mapping[str, Any]
    height: int
    width: int


LIGHT = {'base': 16, 'depth': 4, 'stem': 16}
PATCH = {'base': 32, 'depth': 3, 'stem': 32, 'patch': 4}
CANDIDATES = (
    ShapeCandidate('light_unet, 2x2 stem (the shipped network)', 'light_unet', LIGHT, 288, 512),
    ShapeCandidate('light_unet, 4x4 stem, 32-64-128-256', 'light_unet', PATCH, 288, 512),
    ShapeCandidate('the same', 'light_unet', PATCH, 352, 640),
    ShapeCandidate('lane_net, added skips, 32-64-128-256', 'lane_net', {}, 352, 640),
    ShapeCandidate(
        'light_unet, 4x4 stem, 16-32-64-128',
        'light_unet',
        {**PATCH, 'base': 16, 'stem': 16},
        288,
        512,
    ),
)


def multiply_accumulates(model: nn.Module, height: int, width: int) -> int:
    """Of all convolutions, for one picture."""
    total = 0

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += output.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Conv2d)]
    with torch.inference_mode():
        model(torch.zeros(1, 3, height, width))
    for hook in hooks:
        hook.remove()
    return total


def write_int8(candidate: ShapeCandidate, folder: Path) -> tuple[Path, nn.Module]:
    """A quantized file of `candidate` with random weights, and the network."""
    recipe = parse_recipe(
        {
            'name': 'shape',
            'output': 'logits',
            'model': {'name': candidate.model, 'options': dict(candidate.options)},
            'input': {'height': candidate.height, 'width': candidate.width},
        },
        candidate.title,
    )
    torch.manual_seed(0)
    model = build_model(candidate.model, 2, **candidate.options).eval()
    raw, quantized, path = (folder / f'{n}.onnx' for n in ('raw', 'quantized', 'int8'))
    size = (candidate.height, candidate.width)
    export_raw(LogitContract(model, recipe), size, raw)
    pictures = list(np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8))
    quantize_int8(raw, quantized, pictures, keep_float=(), reduce_range=True)
    finish(quantized, path)
    return path, model


def run(arguments: argparse.Namespace) -> None:
    """Print the table."""
    rows = []
    openvino: list[Callable[[], Any]] = []
    onnxruntime: list[Callable[[], Any]] = []
    shipped = np.zeros((288, 512, 3), np.uint8)
    with tempfile.TemporaryDirectory() as temporary:
        for scorers, make in ((openvino, openvino_scorer), (onnxruntime, onnxruntime_scorer)):
            scorers.append(_on(make(default_model()), shipped))
        for index, candidate in enumerate(CANDIDATES):
            folder = Path(temporary) / str(index)
            folder.mkdir()
            path, model = write_int8(candidate, folder)
            picture = np.zeros((candidate.height, candidate.width, 3), np.uint8)
            openvino.append(_on(openvino_scorer(path), picture))
            onnxruntime.append(_on(onnxruntime_scorer(path), picture))
            macs = multiply_accumulates(model, candidate.height, candidate.width)
            rows.append((candidate, macs, count_parameters(model)))
        first = medians_in_turns(openvino, arguments.turns, 120)
        second = medians_in_turns(onnxruntime, arguments.turns, 120)
    print('| network | input | GMAC | M params | OpenVINO | ONNX Runtime |')
    print('|---|---|---|---|---|---|')
    print('| shipped file (contract 1) | 512x288 | 2.09 | 1.97 | 1.00 | 1.00 |')
    for (candidate, macs, parameters), ours, other in zip(rows, first[1:], second[1:]):
        print(
            f'| {candidate.title} | {candidate.width}x{candidate.height} | {macs / 1e9:.2f} '
            f'| {parameters / 1e6:.2f} | {ours / first[0]:.2f} | {other / second[0]:.2f} |'
        )


def _on(score: Callable[[Any], Any], picture: Any) -> Callable[[], Any]:
    return lambda: score(picture)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog='shapes', description=__doc__)
    parser.add_argument('--turns', type=int, default=41)
    return parser


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
