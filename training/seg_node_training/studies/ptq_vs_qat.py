"""PTQ against QAT, and QAT over its steps: does it worsen with time, as source system 1 saw?

`python -m seg_node_training.studies.ptq_vs_qat [CHECKPOINT] [--steps N]`
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from seg_node_training.benchmark_table.nets import Net, few, trained_net
from seg_node_training.benchmark_table.small_runs import lane_data
from seg_node_training.config import REPOSITORY, parse_recipe
from seg_node_training.evaluate.network import spec_of
from seg_node_training.evaluate.runtimes import openvino_scorer
from seg_node_training.evaluate.sets import figures
from seg_node_training.evaluate.together import evaluate_together
from seg_node_training.export.graph import Contract, export_graph
from seg_node_training.quantize.ptq import OBSERVERS, quantize_int8
from seg_node_training.quantize.qat import QatPlan, fine_tune
from seg_node_training.report.study import figure, markdown_table, save, write_study

PICTURES = 30
BATCH = 2


def scored(net: Net, files: dict[str, Path]) -> dict[str, dict[str, float]]:
    """IoU by file, then by `set/class`."""
    scorers = {name: openvino_scorer(path) for name, path in files.items()}
    parts = [p.model_copy(update={'limit': PICTURES}) for p in net.parts if '/road' not in p.name]
    by_file = evaluate_together(scorers, net.recipe, parts, spec_of(net.recipe).thresholds)
    return {name: figures(result) for name, result in by_file.items()}


def main() -> int:
    """Run the study and write its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--work', type=Path, default=REPOSITORY / 'out' / 'bench')
    parser.add_argument('--steps', type=int, default=320)
    parser.add_argument('--rates', type=float, nargs='+', default=[2e-5, 5e-4])
    options = parser.parse_args()
    torch.set_num_threads(1)
    net = trained_net('light_unet', options.work)
    raw = net.recipe.model_dump(mode='json')
    raw['data'] |= {k: v for k, v in lane_data().items() if k != 'calibrate'}
    net.recipe = parse_recipe(raw, net.name)
    pictures = few(net.pictures, 40)
    size = net.size[::-1]
    spec = spec_of(net.recipe)
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {'fp32': folder / 'fp32.onnx'}

        def export(network: nn.Module, path: Path) -> Path:
            export_graph(Contract(network, net.recipe, spec.thresholds), size, path)
            return path

        export(net.network, files['fp32'])
        for observer in OBSERVERS:
            files[f'PTQ {observer}'] = folder / f'{observer}.onnx'
            quantize_int8(files['fp32'], files[f'PTQ {observer}'], pictures, observer)
        curves: dict[float, list[tuple[int, float, Path]]] = {}
        for rate in options.rates:
            curves[rate] = []
            steps_done = 0
            network = net.network
            for part in (1, 3, 4, 8):  # sixteenths: each goes on from the one before
                steps = options.steps * part // 16
                losses: list[float] = []
                network = fine_tune(
                    network,
                    net.recipe,
                    QatPlan(steps, rate, BATCH, observe_steps=6),
                    partial(_keep_loss, losses),
                    steps,
                )
                steps_done += steps
                source = export(network, folder / f'qat_{rate}_{steps_done}.onnx')
                target = source.with_name(f'{source.stem}_int8.onnx')
                quantize_int8(source, target, pictures, 'minmax')
                files[f'QAT {steps_done} steps, rate {rate:g}'] = target
                curves[rate].append((steps_done, losses[-1], target))
        result = scored(net, files)
    spent = time.process_time() - begin
    page(options, net, result, curves, spent)
    return 0


def page(
    options: argparse.Namespace,
    net: Net,
    result: dict[str, dict[str, float]],
    curves: dict[float, list[tuple[int, float, Path]]],
    spent: float,
) -> None:
    """Table, curves and answer."""
    classes = list(result['fp32'])

    def worst(name: str) -> float:
        return max(100 * (result['fp32'][c] - result[name][c]) for c in classes)

    def mean(name: str) -> float:
        return float(np.mean([result[name][c] for c in classes]))

    canvas = figure()
    loss_axes, iou_axes = canvas.subplots(1, 2)
    for rate, points in curves.items():
        steps = [p[0] for p in points]
        names = [f'QAT {s} steps, rate {rate:g}' for s in steps]
        loss_axes.plot(steps, [p[1] for p in points], marker='o', label=f'rate {rate:g}')
        iou_axes.plot(steps, [mean(n) for n in names], marker='o', label=f'QAT, rate {rate:g}')
    iou_axes.axhline(mean('fp32'), color='black', label='fp32')
    iou_axes.axhline(mean('PTQ minmax'), color='grey', ls='--', label='PTQ minmax')
    loss_axes.set(xlabel='steps under rounding', ylabel='training loss')
    iou_axes.set(xlabel='steps under rounding', ylabel='mean IoU of the int8 file')
    for axes in (loss_axes, iou_axes):
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    save(canvas, 'ptq_vs_qat')
    ptq = [worst(n) for n in result if n.startswith('PTQ')]
    qat = [worst(n) for n in result if n.startswith('QAT')]
    falls = [
        rate
        for rate, points in curves.items()
        if mean(f'QAT {points[-1][0]} steps, rate {rate:g}')
        < mean(f'QAT {points[0][0]} steps, rate {rate:g}')
    ]
    over = (
        f'QAT got worse with its length at rate {", ".join(f"{r:g}" for r in falls)}'
        if falls
        else 'QAT did not get worse with its length'
    )
    answer = (
        f'On the shipped network PTQ costs {min(ptq):.2f} to {max(ptq):.2f} points of IoU on the '
        f'worst class, by observer; QAT {min(qat):.2f} to {max(qat):.2f}, by length and rate. '
        f'{over[0].upper()}{over[1:]}. One seed, small sets: PTQ is enough here.'
    )
    lines = [
        *markdown_table(
            ['file', *classes, 'mean', 'largest loss, points'],
            [[n, *(result[n][c] for c in classes), mean(n), f'{worst(n):.2f}'] for n in result],
        ),
        '',
        '![loss and IoU over steps](ptq_vs_qat.png)',
        '',
        f'Small: `light_unet` at {net.size[0]}x{net.size[1]}, batch {BATCH}, up to '
        f'{options.steps} steps on the photos of its recipe (each length goes on from the one '
        f'before, with a cosine of its own), {PICTURES} pictures a set, one seed, '
        f'{spent / 60:.0f} minutes of processor time. A loss below zero is a gain; differences '
        'of a few tenths of a point are within what another seed would give.',
        '',
        'Source system 1 saw loss and IoU worsen from 10 to 1000 epochs of QAT. Here the rate '
        'matters more than the length. No fine-tuning without rounding was run beside it, so how '
        'much of a change is the rounding and how much the further training is not known.',
    ]
    write_study('ptq_vs_qat', 'PTQ against QAT, and QAT over its length', answer, lines)


if __name__ == '__main__':
    raise SystemExit(main())


def _keep_loss(losses: list[float], step: int, loss: float, network: nn.Module) -> None:
    losses.append(loss)
