"""Quantize a checkpoint to a model file: conversion, comparison with fp32, the gate, metadata.

`python training/quantize.py CHECKPOINT -o models/lane_light_unet_int8.onnx --card`
`--method keep` judges the file that stands at -o and writes verdict, figures and card anew.
Methods: `static` (post-training, QDQ), `qat` (fine-tuned under rounding, then the same QDQ),
`auto` (static, and qat where static loses too much), and for comparison `dynamic`, `fp16`,
`bf16` and `int4` (weights alone).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from torch import nn

from seg_node.errors import ModelError
from seg_node.files import write_atomic
from seg_node.model.loader import fp32_twin
from seg_node.model.spec import ModelSpec, Precision
from seg_node_training.command import run_command
from seg_node_training.config import Recipe
from seg_node_training.data.open import open_set
from seg_node_training.evaluate.metrics import SetScore
from seg_node_training.evaluate.network import fit, spec_of
from seg_node_training.evaluate.runtimes import openvino_scorer
from seg_node_training.evaluate.sets import figures
from seg_node_training.evaluate.together import evaluate_together
from seg_node_training.export.graph import (
    Contract,
    compare_with_torch,
    convolution_names,
    export_graph,
    write_metadata,
)
from seg_node_training.export.logit_graph import (
    LogitContract,
    compare_logits,
    export_raw,
    finish,
)
from seg_node_training.export.specs import describe
from seg_node_training.quantize.formats import FORMATS
from seg_node_training.quantize.gate import LIMIT_POINTS, Verdict, judge, measure_speed, refuse
from seg_node_training.quantize.ptq import OBSERVERS, quantize_int8
from seg_node_training.quantize.qat import QatPlan, fine_tune
from seg_node_training.report.card import Export, write_card
from seg_node_training.report.index import write_index
from seg_node_training.train.checkpoint import load_model

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
    parser = argparse.ArgumentParser(prog='quantize.py', description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('-o', '--out', type=Path, required=True, help='the int8 file, *_int8.onnx')
    parser.add_argument('--method', choices=METHODS, default='static')
    parser.add_argument('--observer', choices=tuple(OBSERVERS), default='percentile')
    parser.add_argument('--qat-steps', type=int, default=200)
    parser.add_argument('--qat-rate', type=float, default=1e-4)
    parser.add_argument('--weights', choices=('ema', 'model'), default='ema')
    parser.add_argument(
        '--limit', type=float, default=LIMIT_POINTS, help='largest loss of IoU, points'
    )
    parser.add_argument(
        '--force', action='store_true', help='write a refused file, marked as such'
    )
    parser.add_argument('--thresholds', type=int, nargs='+', help='uint8 score a foreground class')
    parser.add_argument('--card', action='store_true', help='write README.md beside the file')
    parser.add_argument('--keep-fp32', action='store_true', help='write *_fp32.onnx as well')
    return parser


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
        if self.recipe.output == 'logits':
            logits = LogitContract(network, self.recipe)
            self.spec = replace(self.spec, patch=logits.patch)
            export_raw(logits, self.size, self.raw_of(path))
            finish(self.raw_of(path), path)
            return compare_logits(logits, path, self.pictures[:8])
        contract = Contract(network, self.recipe, self.spec.thresholds)
        export_graph(contract, self.size, path)
        return compare_with_torch(contract, path, self.pictures[:8])

    @staticmethod
    def raw_of(path: Path) -> Path:
        """The float graph before the bytes of contract 2, which is what is quantized."""
        return path.with_name(f'{path.stem}_raw.onnx')

    def _quantize(self, source: Path, path: Path, observer: Any) -> list[str]:
        if self.recipe.output != 'logits':
            return quantize_int8(source, path, self.pictures, observer)
        raw = self.raw_of(path)
        kept = quantize_int8(
            self.raw_of(source), raw, self.pictures, observer, keep_float=(), reduce_range=True
        )
        finish(raw, path)
        return kept

    def convert(self, method: str, observer: Any, plan: QatPlan) -> tuple[Path, list[str]]:
        """The file of `method`, and the convolutions that were meant to stay in float."""
        path, source = self.folder / f'{method}.onnx', self.fp32
        if method in FORMATS:
            FORMATS[method](source, path)
            return path, convolution_names(path)
        if method == 'keep':
            path.write_bytes(self.existing.read_bytes())
            kept = [] if self.recipe.output == 'logits' else convolution_names(path)[-1:]
            return path, kept
        if method == 'qat':
            source = self.folder / 'tuned_fp32.onnx'
            self._export(fine_tune(self.network, self.recipe, plan), source)
        return path, self._quantize(source, path, observer)

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
    converted: Made, converter: Converter, observer: str, plan: QatPlan
) -> dict[str, Any]:
    """What the metadata says of the conversion."""
    said: dict[str, Any] = {
        'method': TITLES.get(converted.method, ''),
        'gate': converted.verdict.as_metadata(),
        'passed': converted.verdict.passed,
        'limit_points': converted.verdict.limit,
        'fp32_differs_from_torch_by': converter.difference,
    }
    if converted.method == 'keep':
        said = said_before(converter.existing) | {k: v for k, v in said.items() if k != 'method'}
    if converted.method in ('static', 'qat'):
        said |= {
            'observer': observer,
            'calibration': {p.name: p.limit or 'all' for p in converter.recipe.data.calibrate},
            'calibration_pictures': len(converter.pictures),
            'convolutions': len(convolution_names(converted.path)),
            'kept_float': converted.kept_float,
            'weight_bits': 7 if converter.recipe.output == 'logits' else 8,
        }
    if converted.method == 'qat':
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
        converted = converter.make(first, arguments.observer, plan)
        if arguments.method == 'auto' and max(converted.verdict.lost.values(), default=0) > (
            arguments.limit
        ):
            print(f'static: {"; ".join(converted.verdict.reasons)}; fine-tuning under rounding')
            converted = converter.make('qat', arguments.observer, plan)
        flat = {name: figures(result) for name, result in converted.results.items()}
        for key, value in flat['fp32'].items():
            other = flat['int8'].get(key, 0.0)
            print(f'{key:32s} fp32 {value:.4f}  {converted.method} {other:.4f}')
        refuse(arguments.out, converted.verdict, arguments.force)
        said = quantization_of(converted, converter, arguments.observer, plan)
        precision = PRECISION[converted.method]
        metrics: dict[str, dict[str, float]] = {'fp32': flat['fp32'], precision: flat['int8']}
        files = [(converted.path, precision, arguments.out)]
        if arguments.keep_fp32:
            files.append((converter.fp32, 'fp32', fp32_twin(arguments.out)))
        for file, kind, target in files:
            described = describe(converter.spec, recipe, kind, metrics, said, state)
            if kind != 'fp32':
                described = replace(described, quantization=said)
            write_metadata(file, described)
            with write_atomic(target) as temporary:
                temporary.write_bytes(file.read_bytes())
            print(f'{target}: {target.stat().st_size / 2**20:.2f} MiB')
    if arguments.card:
        export = Export(
            arguments.out, arguments.checkpoint, recipe, state, converted.results, said
        )
        print(write_card(export))
        print(write_index(arguments.out.parent))


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
