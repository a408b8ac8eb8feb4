"""Export a checkpoint as the fp32 model file: graph, checker, comparison with torch, metadata.

`python training/export.py CHECKPOINT -o models/lane_light_unet_fp32.onnx`
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from seg_node_training.command import run_command
from seg_node_training.evaluate.network import spec_of
from seg_node_training.evaluate.runtimes import openvino_scorer
from seg_node_training.evaluate.sets import evaluate_sets, figures
from seg_node_training.export.graph import (
    Contract,
    compare_with_torch,
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
from seg_node_training.train.checkpoint import load_model


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog='export.py', description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('-o', '--out', type=Path, required=True, help='the file, *.onnx')
    parser.add_argument('--weights', choices=('ema', 'model'), default='ema')
    parser.add_argument('--thresholds', type=int, nargs='+', help='uint8 score a foreground class')
    parser.add_argument('--evaluate', action='store_true', help='measure and write the figures')
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says; raises `SegNodeError`."""
    model, recipe, state = load_model(arguments.checkpoint, arguments.weights)
    spec = spec_of(recipe, arguments.thresholds)
    size = (recipe.input.height, recipe.input.width)
    pictures = list(np.random.default_rng(0).integers(0, 256, (4, *size, 3), np.uint8))
    if recipe.output == 'logits':
        logits = LogitContract(model, recipe)
        spec = replace(spec, patch=logits.patch)
        export_raw(logits, size, arguments.out)
        finish(arguments.out, arguments.out)
        difference = compare_logits(logits, arguments.out, pictures)
    else:
        contract = Contract(model, recipe, spec.thresholds)
        export_graph(contract, size, arguments.out)
        difference = compare_with_torch(contract, arguments.out, pictures)
    metrics = {}
    if arguments.evaluate:
        scorer = openvino_scorer(arguments.out)
        metrics['fp32'] = figures(
            evaluate_sets(scorer, recipe, recipe.data.evaluate, spec.thresholds)
        )
    write_metadata(arguments.out, describe(spec, recipe, 'fp32', metrics, {}, state))
    print(f'{arguments.out}: bytes differ from torch by at most {difference} of 255')


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
