"""Does a larger network in 4 bits beat a smaller one in 8, as source system 1 claims?

`python -m seg_node_training.studies.four_bits`: trains both for the same short time, quantizes
weights (after training, and by QAT), and compares at equal file size and at equal latency.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seg_node_training.benchmark_table.nets import Net, few
from seg_node_training.benchmark_table.small_runs import small_recipe, train_small
from seg_node_training.config import REPOSITORY
from seg_node_training.evaluate.network import Scorer, spec_of
from seg_node_training.evaluate.runtimes import openvino_scorer
from seg_node_training.evaluate.sets import figures
from seg_node_training.evaluate.together import evaluate_together
from seg_node_training.export.graph import Contract, export_graph
from seg_node_training.quantize.formats import to_int4_weights
from seg_node_training.quantize.gate import medians_in_turns
from seg_node_training.quantize.ptq import quantize_int8
from seg_node_training.quantize.qat import QatPlan, fine_tune
from seg_node_training.report.study import figure, markdown_table, save, write_study
from seg_node_training.train.checkpoint import load_model

BASES = (8, 12, 16)
"""Widths: 16 in 4 bits and 12 in 8 bits are about as large as files; 8 is half of that."""
PICTURES = 40


@dataclass(frozen=True)
class FourBitsRow:
    """One file. `ms`: median in OpenVINO, in turns with the others."""

    name: str
    base: int
    bits: int
    path: Path
    mb: float
    iou: dict[str, float]
    ms: float

    @property
    def mean(self) -> float:
        """Mean IoU."""
        return float(np.mean(list(self.iou.values())))


def net_of(base: int, steps: int, work: Path) -> Net:
    """The default network of this width after `steps` steps from a random start."""
    recipe = small_recipe('light_unet', work, steps=steps, batch=4, crop=(192, 320))
    options = {'base': base, 'depth': 4, 'stem': base}
    recipe = recipe.model_copy(
        update={'model': recipe.model.model_copy(update={'options': options})}
    )
    folder = work / 'four_bits' / f'base{base}_{steps}'
    network, recipe, state = load_model(train_small(recipe, folder / 'net.pth'), 'ema')
    return Net(f'base {base}', network, recipe, folder, state)


def files_of(net: Net, base: int, qat_steps: int) -> dict[tuple[str, int], Path]:
    """fp32, 8 bits (weights and activations), 4-bit weights after training and by QAT."""
    spec = spec_of(net.recipe)

    def export(network: Any, path: Path) -> Path:
        contract = Contract(network, net.recipe, spec.thresholds)
        export_graph(contract, net.size[::-1], path)
        return path

    files = {('fp32', 32): export(net.network, net.folder / 'fp32.onnx')}
    int8 = net.folder / 'int8.onnx'
    quantize_int8(files['fp32', 32], int8, few(net.pictures, 30), 'minmax')
    files['8 bits, PTQ', 8] = int8
    four = net.folder / 'int4.onnx'
    to_int4_weights(files['fp32', 32], four)
    files['4-bit weights, PTQ', 4] = four
    plan = QatPlan(qat_steps, 5e-4, 4, weight_bits=4)
    tuned = export(fine_tune(net.network, net.recipe, plan), net.folder / 'qat4_fp32.onnx')
    four = net.folder / 'qat4.onnx'
    to_int4_weights(tuned, four)
    files['4-bit weights, QAT', 4] = four
    return files


def measured(
    nets: dict[int, Net], files: dict[int, dict[tuple[str, int], Path]]
) -> list[FourBitsRow]:
    """Scores and times of every file."""
    keys = [(base, name, bits) for base in files for name, bits in files[base]]
    scorers: dict[str, Scorer] = {
        f'{base} {name}': openvino_scorer(files[base][name, bits]) for base, name, bits in keys
    }
    net = next(iter(nets.values()))
    parts = [p.model_copy(update={'limit': PICTURES}) for p in net.parts]
    scores = evaluate_together(scorers, net.recipe, parts, spec_of(net.recipe).thresholds)
    picture = np.random.default_rng(0).integers(0, 256, (*net.size[::-1], 3), np.uint8)
    times = medians_in_turns([partial(score, picture) for score in scorers.values()], 31, 60)
    rows = []
    for (base, name, bits), ms in zip(keys, times):
        path = files[base][name, bits]
        iou = figures(scores[f'{base} {name}'])
        rows.append(FourBitsRow(name, base, bits, path, path.stat().st_size / 1e6, iou, ms))
    return rows


def main() -> int:
    """Run the study and write its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--work', type=Path, default=REPOSITORY / 'out' / 'bench')
    parser.add_argument('--steps', type=int, default=250)
    parser.add_argument('--qat-steps', type=int, default=60)
    options = parser.parse_args()
    begin = time.process_time()
    nets = {base: net_of(base, options.steps, options.work) for base in BASES}
    torch.set_num_threads(1)
    files = {b: files_of(net, b, options.qat_steps) for b, net in nets.items()}
    rows = measured(nets, files)
    page(options, rows, time.process_time() - begin)
    return 0


LEARNT = 0.1
"""Marking IoU of a float network below which the widths say nothing about bits."""


def conclusion(options: argparse.Namespace, rows: list[FourBitsRow]) -> str:
    """The answer. 4 and 8 bits are compared after training alone (PTQ): QAT had more steps."""
    by_name = {(r.base, r.name): r for r in rows}
    large = by_name[BASES[-1], '4-bit weights, PTQ']
    small = by_name[BASES[-2], '8 bits, PTQ']
    same = by_name[BASES[-1], '8 bits, PTQ']
    figures_of = (
        f'base {large.base} in 4 bits {large.mb:.2f} MB, mean IoU {large.mean:.3f}, '
        f'{large.ms:.1f} ms; base {small.base} in 8 bits {small.mb:.2f} MB, {small.mean:.3f}, '
        f'{small.ms:.1f} ms; base {same.base} in 8 bits {same.mean:.3f}, {same.ms:.1f} ms'
    )
    marking = max(v for r in rows if r.name == 'fp32' for k, v in r.iou.items() if 'mark' in k)
    if marking < LEARNT:
        return (
            f'Accuracy at equal size: not answered, {options.steps} steps are too few (no float '
            f'network finds a marking, and the widths do not even rank). Latency: 4-bit weights '
            f'run at float speed, {large.ms / small.ms:.1f}× the time of the 8-bit network of '
            f'about the same file, so at equal latency the 8-bit network may be the larger one '
            f'({figures_of}).'
        )
    verdict = 'beats' if large.mean > small.mean else 'does not beat'
    fast = 'beats' if large.mean > same.mean else 'does not beat'
    return (
        f'At equal size the larger network in 4 bits {verdict} the smaller one in 8; at equal '
        f'latency, where 8 bits may be as wide, it {fast} it ({figures_of}). One seed.'
    )


def page(options: argparse.Namespace, rows: list[FourBitsRow], spent: float) -> None:
    """Table, picture and answer."""
    canvas = figure()
    for axes, key, label in zip(
        canvas.subplots(1, 2), ('mb', 'ms'), ('file, MB', 'median latency in OpenVINO, ms')
    ):
        for index, name in enumerate(dict.fromkeys(r.name for r in rows)):
            chosen = [r for r in rows if r.name == name]
            x, y = [getattr(r, key) for r in chosen], [r.mean for r in chosen]
            axes.plot(x, y, marker='o', color=f'C{index}', label=name)
            for r in chosen:
                axes.annotate(str(r.base), (getattr(r, key), r.mean), fontsize=7)
        axes.set(xlabel=label, ylabel='mean IoU', xscale='log')
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save(canvas, 'four_bits')

    answer = conclusion(options, rows)
    classes = list(rows[0].iou)
    lines = [
        *markdown_table(
            ['network', 'file', 'MB', 'ms', *classes, 'mean IoU'],
            [
                [f'base {r.base}', r.name, f'{r.mb:.2f}', f'{r.ms:.2f}']
                + [r.iou.get(c, 0.0) for c in classes]
                + [r.mean]
                for r in rows
            ],
        ),
        '',
        '![mean IoU over size and over latency](four_bits.png)',
        '',
        f'Small: three widths of `light_unet`, {options.steps} steps of 4 from a random start '
        f'each, QAT to 4 bits for {options.qat_steps} more (so its rows had more training than '
        f'the others: not comparable with them at this length), one seed, {PICTURES} pictures '
        f'a set, {spent / 60:.0f} minutes of processor time. 4-bit weights are symmetric '
        'with a scale a channel; their activations and arithmetic stay float, as no '
        'CPU runtime here computes convolutions in 4 bits. '
        'On a CPU 4 bits save storage and cost the speed of int8.',
    ]
    write_study(
        'four_bits', 'A larger network in 4 bits against a smaller one in 8', answer, lines
    )


if __name__ == '__main__':
    raise SystemExit(main())
