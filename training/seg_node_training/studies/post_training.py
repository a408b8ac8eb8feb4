"""Ways to quantize after training: dynamic against static, float16 against dynamic range.

`python -m seg_node_training.studies.post_training`: the shipped network and source system
2's, each as ONNX (static QDQ, dynamic) in ONNX Runtime and as LiteRT file (float32, float16,
dynamic range, int8), measured in turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from seg_node.errors import SegNodeError
from seg_node_training.benchmark_table.accuracy import mean_iou
from seg_node_training.benchmark_table.nets import Net, trained_net
from seg_node_training.config import REPOSITORY
from seg_node_training.evaluate.network import Scorer, spec_of
from seg_node_training.evaluate.runtimes import onnxruntime_scorer
from seg_node_training.evaluate.sets import figures
from seg_node_training.evaluate.together import evaluate_together
from seg_node_training.quantize.gate import medians_in_turns
from seg_node_training.quantize.litert import litert_scorer
from seg_node_training.report.study import figure, markdown_table, save, write_study

PICTURES = 24
WAYS: tuple[tuple[str, str, Callable[[Path], Scorer]], ...] = (
    ('ONNX Runtime, float32', 'fp32', onnxruntime_scorer),
    ('ONNX Runtime, dynamic int8', 'dynamic', onnxruntime_scorer),
    ('ONNX Runtime, static int8 (QDQ)', 'int8', onnxruntime_scorer),
    ('LiteRT, float32', 'litert', litert_scorer),
    ('LiteRT, float16', 'litert_fp16', litert_scorer),
    ('LiteRT, dynamic range', 'litert_range', litert_scorer),
    ('LiteRT, static int8', 'litert_int8', litert_scorer),
)
SOURCE = {
    'LiteRT, float16': '126.8 MB, best mIoU',
    'LiteRT, dynamic range': '63.4 MB, mIoU −20 %, latency −30 %',
}


def measured(net: Net) -> list[dict[str, Any]]:
    """MB, IoU and ms of every way that can be made here."""
    scorers: dict[str, Scorer] = {}
    sizes = {}
    for name, kind, opened in WAYS:
        try:
            path = net.file(kind)
        except SegNodeError as error:
            print(f'{net.name}: {name} left out: {error}')
            continue
        scorers[name], sizes[name] = opened(path), path.stat().st_size / 1e6
    parts = [p.model_copy(update={'limit': PICTURES}) for p in net.parts]
    scores = evaluate_together(scorers, net.recipe, parts, spec_of(net.recipe).thresholds)
    picture = net.pictures[0]
    times = medians_in_turns([partial(score, picture) for score in scorers.values()], 25, 60)
    return [
        {'name': n, 'mb': sizes[n], 'iou': mean_iou(figures(scores[n])), 'ms': ms}
        for n, ms in zip(scorers, times)
    ]


def main() -> int:
    """Run the study and write its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--work', type=Path, default=REPOSITORY / 'out' / 'bench')
    parser.add_argument('--nets', nargs='+', default=['light_unet', 'shared_bias_unet'])
    options = parser.parse_args()
    nets = [trained_net(name, options.work) for name in options.nets]
    by_net = {net.name: measured(net) for net in nets}
    page(by_net, {net.name: f'{net.size[0]}x{net.size[1]}' for net in nets})
    return 0


def page(by_net: dict[str, list[dict[str, Any]]], sizes: dict[str, str]) -> None:
    """Tables, bars and answer."""
    lines: list[str] = []
    said = []
    canvas = figure(8.5, 3.6)
    axes_of = np.atleast_1d(canvas.subplots(1, len(by_net)))
    for axes, (name, rows) in zip(axes_of, by_net.items()):
        by_name = {r['name']: r for r in rows}
        heads = ['file', 'MB', 'mean IoU', 'ms', 'source system 2 saw']
        cells = [
            [r['name'], f'{r["mb"]:.1f}', r['iou'], f'{r["ms"]:.2f}', SOURCE.get(r['name'], '')]
            for r in rows
        ]
        lines += [f'## `{name}`, {sizes[name]}', '', *markdown_table(heads, cells), '']
        static = by_name['ONNX Runtime, static int8 (QDQ)']
        dynamic = by_name['ONNX Runtime, dynamic int8']
        text = f'{name}: static is {dynamic["ms"] / static["ms"]:.1f}× as fast as dynamic'
        ranged, whole = by_name.get('LiteRT, dynamic range'), by_name.get('LiteRT, float32')
        if ranged and whole:
            text += (
                f', dynamic range changes mean IoU by {100 * (ranged["iou"] - whole["iou"]):+.1f} '
                f'points and latency by {100 * (ranged["ms"] / whole["ms"] - 1):+.0f} %'
            )
        said.append(text)
        axes.barh([r['name'] for r in rows], [r['ms'] for r in rows], color='C0')
        axes.invert_yaxis()
        axes.set(title=f'{name} {sizes[name]}', xlabel='ms')
        axes.tick_params(labelsize=7)
    save(canvas, 'post_training')
    lines += [
        '![median time of each file](post_training.png)',
        '',
        'Two threads, all files of a network in turns, medians; '
        f'at most {PICTURES} pictures a set. float16 is a storage format on this processor: '
        'LiteRT casts the weights back on load. The weights of `shared_bias_unet` come from a '
        'run of some minutes (`training/seg_node_training/bench/small.py`).',
    ]
    write_study(
        'post_training',
        'Dynamic or static, float16 or dynamic range',
        '; '.join(said) + '.',
        lines,
    )


if __name__ == '__main__':
    raise SystemExit(main())
