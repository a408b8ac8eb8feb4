"""Calibration of a model file: temperatures, expected calibration error, thresholds.

`python training/calibrate.py models/lane_small_int8.onnx --config lane_small` scores the recipe's
evaluation sets, fits a temperature for each class (all sets weigh alike) and says the error before
and after on every set, and the threshold with the best mean IoU. `-o OUT.onnx` writes the file
with both in it: the temperature in the description where the file gives logits, else folded into
its last convolution where that is float; the thresholds in graph and metadata.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from seg_node.errors import ConfigError, InputError
from seg_node.files import write_json
from seg_node_training.command import run_command
from seg_node_training.config import Recipe, load_recipe
from seg_node_training.evaluate.calibration import (
    Counted,
    best_temperature,
    best_threshold,
    calibration_error,
    count_scores,
    iou_by_threshold,
)
from seg_node_training.evaluate.runtimes import openvino_scorer
from seg_node_training.export.calibrated import read_spec, write_calibrated


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog='calibrate.py', description=__doc__)
    parser.add_argument('model', type=Path)
    parser.add_argument('--config', required=True, help='recipe whose evaluation sets are taken')
    parser.add_argument(
        '--set', action='append', default=[], help='only this set; may be repeated'
    )
    parser.add_argument('--limit', type=int, help='pictures a set')
    parser.add_argument('--json', type=Path, help='figures as JSON')
    parser.add_argument('-o', '--out', type=Path, help='the calibrated file')
    parser.add_argument(
        '--keep-thresholds', action='store_true', help='write the temperature alone'
    )
    return parser


def figures_of(counted: Counted) -> dict[str, Any]:
    """Temperature, threshold, and by set error and IoU before and after, of every class."""
    table = {}
    for name, sets in counted.items():
        if not sets:
            continue
        temperature = best_temperature(reduce(add, (c.scaled() for c in sets.values())))
        threshold = best_threshold(list(sets.values()))
        rows = {}
        for part, counts in sets.items():
            curve = iou_by_threshold(counts)
            rows[part] = {
                'ece_before': calibration_error(counts),
                'ece_after': calibration_error(counts, temperature),
                'iou_at_128': None if curve is None else float(curve[128]),
                'iou_at_threshold': None if curve is None else float(curve[threshold]),
            }
        table[name] = {'temperature': temperature, 'threshold': threshold, 'sets': rows}
    return table


def _show(table: dict[str, Any]) -> None:
    for name, fit in table.items():
        print(f'{name}: temperature {fit["temperature"]:.3f}, threshold {fit["threshold"]}')
        for part, row in fit['sets'].items():
            numbers = '  '.join(f'{k} {v:.4f}' for k, v in row.items() if v is not None)
            print(f'  {part:20s} {numbers}')


def _chosen(recipe: Recipe, names: list[str], limit: int | None) -> list[Any]:
    parts = [p for p in recipe.data.evaluate if not names or p.name in names]
    if not parts:
        known = ', '.join(p.name for p in recipe.data.evaluate)
        raise ConfigError(f'--set {", ".join(names)}: expected one of {known}')
    return [p.model_copy(update={'limit': limit}) if limit else p for p in parts]


def rescaled(threshold: int, temperature: float) -> int:
    """The threshold, 1..255, that decides alike once logits are divided by `temperature`."""
    p = np.clip((threshold - 0.5) / 255, 1e-4, 1 - 1e-4)
    logit = np.log(p / (1 - p)) / temperature
    return int(np.clip(np.ceil(255 / (1 + np.exp(-logit))), 1, 255))


def run(options: argparse.Namespace) -> None:
    """Do what the command line says; raises `SegNodeError`."""
    if not options.model.is_file():
        raise InputError(f'{options.model}: no such model file')
    recipe = load_recipe(options.config)
    spec = read_spec(options.model)
    if spec.head != 'sigmoid':
        raise ConfigError(f'{options.model}: expected head sigmoid, got {spec.head}')
    parts = _chosen(recipe, options.set, options.limit)
    table = figures_of(count_scores(openvino_scorer(options.model), recipe, parts))
    _show(table)
    if options.json is not None:
        write_json(options.json, table)
    if options.out is None:
        return
    names = spec.classes.names[1:]
    temperatures = [table[n]['temperature'] if n in table else 1.0 for n in names]
    chosen = [table[n]['threshold'] if n in table else 128 for n in names]
    before = spec.thresholds if options.keep_thresholds else chosen
    thresholds = tuple(rescaled(t, s) for t, s in zip(before, temperatures))
    calibrated = replace(
        spec,
        thresholds=thresholds,
        metrics={**spec.metrics, 'calibration': table},
    )
    write_calibrated(options.model, options.out, calibrated, temperatures)
    print(f'{options.out}: thresholds {", ".join(map(str, thresholds))}')


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
