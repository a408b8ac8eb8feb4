"""Quantize a checkpoint to a model file: conversion, comparison with fp32, the gate, metadata.

`python training/quantize.py CHECKPOINT -o models/lane_light_unet_int8.onnx --card`
`--method keep` judges the file that stands at -o and writes verdict, figures and card anew.
Methods: `static` (post-training, QDQ), `qat` (fine-tuned under rounding, then the same QDQ),
`auto` (static, and qat where static loses too much), and for comparison `dynamic`, `fp16`,
`bf16` and `int4` (weights alone).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

if __package__ in (None, ''):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np
import numpy.typing as npt
import onnx
from torch import nn

from seg_node.errors import ModelError
from seg_node.files import write_atomic
from seg_node.model.spec import ModelSpec, Precision
from seg_node_training.card import Export, write_card
from seg_node_training.checkpoint import load_model
from seg_node_training.command import run_command
from seg_node_training.config import Recipe
from seg_node_training.evaluate import figures, fit, open_set, spec_of
from seg_node_training.formats import FORMATS
from seg_node_training.gate import LIMIT_POINTS, Verdict, judge, measure_speed, refuse
from seg_node_training.graph import (
    Contract,
    compare_with_torch,
    convolution_names,
    export_graph,
    write_metadata,
)
from seg_node_training.metrics import SetScore
from seg_node_training.ptq import OBSERVERS, quantize_int8
from seg_node_training.qat import QatPlan, fine_tune
from seg_node_training.runtimes import openvino_scorer
from seg_node_training.specs import describe
from seg_node_training.together import evaluate_together

U8 = npt.NDArray[np.uint8]
METHODS = ('static', 'qat', 'auto', 'keep', *FORMATS)
PRECISION: dict[str, Precision] = {
    **{'static': 'int8', 'qat': 'int8', 'keep': 'int8', 'dynamic': 'int8'},
    **{'fp16': 'fp16', 'bf16': 'bf16', 'int4': 'int4'},
}
TITLES = {
    'static': 'static PTQ, ONNX Runtime, QDQ, U8 activations, S8 weights per channel',
    'qat': 'QAT (torchao fake quantization), then static QDQ, U8 activations, S8 weights '
    'per channel',
    'dynamic': 'dynamic, ONNX Runtime, U8 weights, activation ranges measured in each run',
    'fp16': 'fp16 weights and arithmetic',
    'bf16': 'bf16 weights, arithmetic by the runtime',
    'int4': '4-bit weights, symmetric, a scale a channel; float arithmetic',
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog='quantize.py', description=__doc__)
    made.add_argument('checkpoint', type=Path)
    made.add_argument('-o', '--out', type=Path, required=True, help='the int8 file, *_int8.onnx')
    made.add_argument('--method', choices=METHODS, default='static')
    made.add_argument('--observer', choices=tuple(OBSERVERS), default='percentile')
    made.add_argument('--qat-steps', type=int, default=200)
    made.add_argument('--qat-rate', type=float, default=1e-4)
    made.add_argument('--weights', choices=('ema', 'model'), default='ema')
    made.add_argument(
        '--limit', type=float, default=LIMIT_POINTS, help='largest loss of IoU, points'
    )
    made.add_argument('--force', action='store_true', help='write a refused file, marked as such')
    made.add_argument('--thresholds', type=int, nargs='+', help='uint8 score a foreground class')
    made.add_argument('--card', action='store_true', help='write README.md beside the file')
    made.add_argument('--keep-fp32', action='store_true', help='write *_fp32.onnx as well')
    return made


@dataclass(frozen=True)
class Made:
    """A converted file and what the gate said of it. `results`: by precision, then by set."""

    path: Path
    method: str
    kept_float: list[str]
    results: Mapping[str, Mapping[str, SetScore]]
    verdict: Verdict


class Converter:
    """Makes files of one checkpoint in a folder, and judges them against fp32."""

    existing = Path()
    """The file that `keep` judges."""

    def __init__(
        self, network: nn.Module, recipe: Recipe, spec: ModelSpec, folder: Path, limit: float
    ) -> None:
        self.network, self.recipe, self.spec = network, recipe, spec
        self.folder, self.limit = folder, limit
        self.size = (recipe.input.height, recipe.input.width)
        self.pictures = calibration_pictures(recipe)
        self.fp32 = folder / 'fp32.onnx'
        self.difference = self._export(network, self.fp32)

    def _export(self, network: nn.Module, path: Path) -> int:
        contract = Contract(network, self.recipe, self.spec.thresholds)
        export_graph(contract, self.size, path)
        return compare_with_torch(contract, path, self.pictures[:8])

    def convert(self, method: str, observer: Any, plan: QatPlan) -> tuple[Path, list[str]]:
        """The file of `method`, and the convolutions that were meant to stay in float."""
        path, source = self.folder / f'{method}.onnx', self.fp32
        if method in FORMATS:
            FORMATS[method](source, path)
            return path, convolution_names(path)
        if method == 'keep':
            path.write_bytes(self.existing.read_bytes())
            return path, convolution_names(path)[-1:]
        if method == 'qat':
            source = self.folder / 'tuned_fp32.onnx'
            self._export(fine_tune(self.network, self.recipe, plan), source)
        return path, quantize_int8(source, path, self.pictures, observer)

    def make(self, method: str, observer: Any, plan: QatPlan) -> Made:
        """Convert and judge."""
        path, kept = self.convert(method, observer, plan)
        scorers = {'fp32': openvino_scorer(self.fp32), 'int8': openvino_scorer(path)}
        parts = self.recipe.data.evaluate
        results = evaluate_together(scorers, self.recipe, parts, self.spec.thresholds)
        flat = (figures(results['fp32']), figures(results['int8']))
        speed = None
        if PRECISION[method] == 'int8':
            speed = measure_speed(self.fp32, path, self.size)
        verdict = judge(path, flat, kept, speed, self.limit)
        return Made(path, method, kept, results, verdict)


def calibration_pictures(recipe: Recipe) -> list[U8]:
    """uint8 (H, W, 3) pictures of the network's size from the recipe's calibration sets."""
    pictures = []
    for part in recipe.data.calibrate:
        data = open_set(part, recipe)
        pictures += [fit(data.load(source)[0], recipe) for source in data.sources()]
    return pictures


def quantization_of(
    made: Made, converter: Converter, observer: str, plan: QatPlan
) -> dict[str, Any]:
    """What the metadata says of the conversion."""
    said: dict[str, Any] = {
        'method': TITLES.get(made.method, ''),
        'gate': made.verdict.as_metadata(),
        'passed': made.verdict.passed,
        'limit_points': made.verdict.limit,
        'fp32_differs_from_torch_by': converter.difference,
    }
    if made.method == 'keep':
        said = said_before(converter.existing) | {k: v for k, v in said.items() if k != 'method'}
    if made.method in ('static', 'qat'):
        said |= {
            'observer': observer,
            'calibration': {p.name: p.limit or 'all' for p in converter.recipe.data.calibrate},
            'calibration_pictures': len(converter.pictures),
            'convolutions': len(convolution_names(made.path)),
            'kept_float': made.kept_float,
        }
    if made.method == 'qat':
        said['qat'] = {'steps': plan.steps, 'rate': plan.rate, 'batch': plan.batch}
    return said


def said_before(path: Path) -> dict[str, Any]:
    """What a file's metadata says of its quantization."""
    metadata = {p.key: p.value for p in onnx.load(path).metadata_props}
    return dict(ModelSpec.from_metadata(str(path), metadata).quantization)


def run(arguments: argparse.Namespace) -> None:
    """Checkpoint -> fp32 graph -> file -> figures of both -> gate -> metadata -> card."""
    model, recipe, state = load_model(arguments.checkpoint, arguments.weights)
    spec = spec_of(recipe, arguments.thresholds)
    plan = QatPlan(arguments.qat_steps, arguments.qat_rate)
    with tempfile.TemporaryDirectory() as folder:
        converter = Converter(model, recipe, spec, Path(folder), arguments.limit)
        converter.existing = arguments.out
        if arguments.method == 'keep' and not arguments.out.is_file():
            raise ModelError(f'{arguments.out}: no such file to judge')
        first = 'static' if arguments.method == 'auto' else arguments.method
        made = converter.make(first, arguments.observer, plan)
        if arguments.method == 'auto' and max(made.verdict.lost.values(), default=0) > (
            arguments.limit
        ):
            print(f'static: {"; ".join(made.verdict.reasons)}; fine-tuning under rounding')
            made = converter.make('qat', arguments.observer, plan)
        flat = {name: figures(result) for name, result in made.results.items()}
        for key, value in flat['fp32'].items():
            other = flat['int8'].get(key, 0.0)
            print(f'{key:32s} fp32 {value:.4f}  {made.method} {other:.4f}')
        refuse(arguments.out, made.verdict, arguments.force)
        said = quantization_of(made, converter, arguments.observer, plan)
        precision = PRECISION[made.method]
        metrics = {'fp32': flat['fp32'], precision: flat['int8']}
        files = [(made.path, precision, arguments.out)]
        if arguments.keep_fp32:
            files.append((converter.fp32, 'fp32', fp32_twin(arguments.out)))
        for file, kind, target in files:
            described = describe(spec, recipe, kind, metrics, said, state)
            if kind != 'fp32':
                described = replace(described, quantization=said)
            write_metadata(file, described)
            with write_atomic(target) as temporary:
                temporary.write_bytes(file.read_bytes())
            print(f'{target}: {target.stat().st_size / 2**20:.2f} MiB')
    if arguments.card:
        write_card(
            arguments.out.parent / 'README.md',
            Export(arguments.out, arguments.checkpoint, recipe, state, made.results, said),
        )


def fp32_twin(path: Path) -> Path:
    """Where the runtime looks for the float file beside an int8 one."""
    return path.with_name(path.stem.removesuffix('_int8') + '_fp32.onnx')


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
