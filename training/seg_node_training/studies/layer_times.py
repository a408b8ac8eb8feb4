"""Time of each layer before and after quantization: the predecessor's 67 -> 27 ms table.

`python -m seg_node_training.studies.layer_times`: OpenVINO's own counters for the predecessor's
U-Net and for the shipped network, fp32 and int8 in turns.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from seg_node.signal_stack import kept_signal_stack
from seg_node_training.benchmark_table.nets import trained_net
from seg_node_training.config import REPOSITORY
from seg_node_training.report.study import figure, markdown_table, save, write_study

KINDS = {
    'Convolution': 'convolution',
    'Deconvolution': 'transposed convolution',
    'Pooling': 'pooling',
    'MaxPool': 'pooling',
    'Concatenation': 'concatenation',
    'Interpolate': 'upsampling',
    'Reorder': 'reorder, convert',
    'Convert': 'reorder, convert',
    'FakeQuantize': 'reorder, convert',
}


class LayerProfile:
    """A compiled file that counts the time of its layers."""

    def __init__(self, path: Path, threads: int) -> None:
        config = {
            'PERF_COUNT': True,
            'INFERENCE_PRECISION_HINT': 'f32',
            'INFERENCE_NUM_THREADS': threads,
        }
        with kept_signal_stack():
            self._request = ov.Core().compile_model(path, 'CPU', config).create_infer_request()
        data = self._request.get_input_tensor(0).data
        data[...] = np.random.default_rng(0).integers(0, 256, data.shape)
        self.laps: list[dict[str, tuple[str, float]]] = []

    def run(self) -> None:
        """One run; keeps (kind, ms) by layer."""
        self._request.infer()
        self.laps.append(
            {
                i.node_name: (i.node_type, i.real_time.total_seconds() * 1e3)
                for i in self._request.profiling_info
                if i.real_time.total_seconds() > 0
            }
        )

    def layers(self) -> dict[str, tuple[str, float]]:
        """Median ms and kind by layer, the first runs left out."""
        laps = self.laps[2:]
        names = dict.fromkeys(n for lap in laps for n in lap)
        return {
            n: (
                next(lap[n][0] for lap in laps if n in lap),
                float(np.median([lap.get(n, ('', 0.0))[1] for lap in laps])),
            )
            for n in names
        }


def by_kind(layers: dict[str, tuple[str, float]]) -> dict[str, float]:
    """Summed ms by kind of layer."""
    total: dict[str, float] = defaultdict(float)
    for kind, ms in layers.values():
        total[KINDS.get(kind, 'other')] += ms
    return dict(total)


def main() -> int:
    """Run the study and write its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--work', type=Path, default=REPOSITORY / 'out' / 'bench')
    parser.add_argument('--runs', type=int, default=12)
    parser.add_argument('--threads', type=int, default=2)
    options = parser.parse_args()
    times: dict[str, dict[str, dict[str, tuple[str, float]]]] = {}
    sizes = {}
    for name in ('team1_unet', 'light_unet'):
        net = trained_net(name, options.work)
        pair = {kind: LayerProfile(net.file(kind), options.threads) for kind in ('fp32', 'int8')}
        for _ in range(options.runs + 2):
            for profile in pair.values():
                profile.run()
        times[name] = {kind: profile.layers() for kind, profile in pair.items()}
        sizes[name] = f'{net.size[0]}x{net.size[1]}'
    page(times, sizes, options)
    return 0


def page(
    times: dict[str, dict[str, dict[str, tuple[str, float]]]],
    sizes: dict[str, str],
    options: argparse.Namespace,
) -> None:
    """Tables, bars and answer."""
    lines: list[str] = []
    said = []
    canvas = figure(8, 3.6)
    for axes, (name, pair) in zip(canvas.subplots(1, 2), times.items()):
        kinds = {k: by_kind(layers) for k, layers in pair.items()}
        order = sorted(kinds['fp32'], key=lambda k: -kinds['fp32'][k])
        order += [k for k in kinds['int8'] if k not in order]
        totals = {k: sum(v.values()) for k, v in kinds.items()}
        rows: list[list[Any]] = []
        for kind in order:
            a, b = kinds['fp32'].get(kind, 0.0), kinds['int8'].get(kind, 0.0)
            ratio = f'{a / b:.1f}×' if a > 0 and b > 0 else '–'
            rows.append([kind, f'{a:.2f}', f'{b:.2f}', ratio])
        ratio = f'{totals["fp32"] / totals["int8"]:.1f}×'
        rows.append(['**all**', f'{totals["fp32"]:.2f}', f'{totals["int8"]:.2f}', ratio])
        heads = ['layers', 'fp32 ms', 'int8 ms', 'faster']
        lines += [f'## `{name}`, {sizes[name]}', '', *markdown_table(heads, rows), '']
        convs = [(n, ms) for n, (kind, ms) in pair['fp32'].items() if kind == 'Convolution']
        slow = sorted(convs, key=lambda c: -c[1])[:5]
        after = {n: ms for n, (_, ms) in pair['int8'].items()}
        rows = [[n, f'{ms:.2f}', _near(after, n)] for n, ms in slow]
        heads = ['slowest convolution', 'fp32 ms', 'int8 ms']
        lines += [*markdown_table(heads, rows), '']
        before, then = kinds['fp32']['convolution'], kinds['int8']['convolution']
        said.append(f'{name}: convolutions {before:.1f} → {then:.1f} ms')
        left = np.zeros(2)
        for index, kind in enumerate(order):
            values = np.array([kinds[k].get(kind, 0.0) for k in ('fp32', 'int8')])
            axes.barh(['fp32', 'int8'], values, left=left, color=f'C{index}', label=kind)
            left += values
        axes.set(title=f'{name} {sizes[name]}', xlabel='ms')
        axes.legend(fontsize=7)
    save(canvas, 'layer_times')
    answer = f'{"; ".join(said)} (the source: 67 → 27 ms, with PyTorch).'
    answer = answer.replace('team1_unet', "The predecessor's U-Net")
    lines += [
        '![time by kind of layer](layer_times.png)',
        '',
        f"OpenVINO's counters of each layer, {options.threads} threads, fp32 and int8 in turns, "
        f'medians of {options.runs} runs. Layers that the runtime fuses (ReLU, quantizers) are '
        'counted with the convolution before them.',
    ]
    write_study('layer_times', 'Time by layer, before and after quantization', answer, lines)


def _near(after: dict[str, float], name: str) -> str:
    """ms of the layer of the same name, a dash where fusing has renamed it."""
    stem = name.split('/WithoutBiases')[0]
    for other, ms in after.items():
        if other.split('/WithoutBiases')[0] == stem:
            return f'{ms:.2f}'
    return '–'


if __name__ == '__main__':
    raise SystemExit(main())
