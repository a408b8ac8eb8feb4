"""Export a checkpoint as the fp32 model file: graph, checker, comparison with torch, metadata.

`python training/export.py CHECKPOINT -o models/lane_light_unet_fp32.onnx`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __package__ in (None, ''):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import numpy as np

from seg_node_training.checkpoint import load_model
from seg_node_training.command import run_command
from seg_node_training.evaluate import evaluate_sets, figures, spec_of
from seg_node_training.graph import Contract, compare_with_torch, export_graph, write_metadata
from seg_node_training.runtimes import openvino_scorer
from seg_node_training.specs import describe


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog='export.py', description=__doc__)
    made.add_argument('checkpoint', type=Path)
    made.add_argument('-o', '--out', type=Path, required=True, help='the file, *.onnx')
    made.add_argument('--weights', choices=('ema', 'model'), default='ema')
    made.add_argument('--thresholds', type=int, nargs='+', help='uint8 score a foreground class')
    made.add_argument('--evaluate', action='store_true', help='measure and write the figures')
    return made


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says; raises `SegNodeError`."""
    model, recipe, state = load_model(arguments.checkpoint, arguments.weights)
    spec = spec_of(recipe, arguments.thresholds)
    contract = Contract(model, recipe, spec.thresholds)
    size = (recipe.input.height, recipe.input.width)
    export_graph(contract, size, arguments.out)
    pictures = np.random.default_rng(0).integers(0, 256, (4, *size, 3), np.uint8)
    difference = compare_with_torch(contract, arguments.out, list(pictures))
    metrics = {}
    if arguments.evaluate:
        scorer = openvino_scorer(arguments.out)
        metrics['fp32'] = figures(
            evaluate_sets(scorer, recipe, recipe.data.evaluate, spec.thresholds)
        )
    write_metadata(arguments.out, describe(spec, recipe, 'fp32', metrics, {}, state))
    print(f'{arguments.out}: scores differ from torch by at most {difference} of 255')


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
