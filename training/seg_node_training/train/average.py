"""Weights between two runs: what was learnt anew without what was forgotten.

`python -m seg_node_training.train.average START TUNED --share 0.5 -o BETWEEN.pth`

Fine-tuned weights and those they began from lie in one basin, and a point between the two often
does better on pictures unlike the new ones than either (Wortsman et al. 2022, "Robust fine-tuning
of zero-shot models"). START may be a float model file.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seg_node.errors import ConfigError, ModelError
from seg_node_training.command import run_command
from seg_node_training.config import parse_recipe
from seg_node_training.train.checkpoint import load_checkpoint, save_checkpoint
from seg_node_training.train.start import start_state

Weights = dict[str, Tensor]


def between(start: Weights, tuned: Weights, share: float) -> Weights:
    """`start` + `share` x (`tuned` - `start`), counters as in `tuned`.

    Raises `ModelError` where the two are not of one network.
    """
    if {k: v.shape for k, v in start.items()} != {k: v.shape for k, v in tuned.items()}:
        raise ModelError('average: expected two sets of weights of one network, got two networks')
    return {
        name: torch.lerp(start[name], value, share) if value.is_floating_point() else value.clone()
        for name, value in tuned.items()
    }


def averaged(start: Path, tuned: Path, share: float) -> dict[str, Any]:
    """The state of `tuned` with weights between those of `start` and its own averaged ones."""
    state = load_checkpoint(tuned)
    recipe = parse_recipe(state['recipe'], str(tuned))
    weights = between(start_state(start, recipe)['ema'], state['ema'], share)
    said = f'{share:g} of the way from {start.name} to the weights of this run'
    lineage = [*state.get('lineage', []), said]
    return {**state, 'ema': weights, 'model': weights, 'lineage': lineage}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog='average', description=__doc__)
    parser.add_argument('start', type=Path, help='a checkpoint or a *_fp32.onnx')
    parser.add_argument('tuned', type=Path, help='a checkpoint that began from it')
    parser.add_argument('--share', type=float, default=0.5, help='0: START, 1: TUNED')
    parser.add_argument('-o', '--out', type=Path, required=True, help='the checkpoint to write')
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says; raises `SegNodeError`."""
    if not 0 <= arguments.share <= 1:
        raise ConfigError(f'--share: expected 0 to 1, got {arguments.share}')
    state = averaged(arguments.start, arguments.tuned, arguments.share)
    save_checkpoint(arguments.out, {k: v for k, v in state.items() if k != 'format'})
    print(f'{arguments.out}: {state["lineage"][-1]}')


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
