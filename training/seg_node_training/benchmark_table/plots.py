"""The predecessor's plots: accuracy over latency, over size, and by precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seg_node.files import write_atomic

Record = Mapping[str, Any]
MARKS = {'fp32': 'o', 'bf16': 's', 'fp16': 'D', 'int8': '^', 'int4': 'v'}


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    with write_atomic(path) as temporary:
        figure.savefig(temporary)


def _mark(precision: str) -> str:
    return next((m for p, m in MARKS.items() if precision.startswith(p)), 'x')


def scatter(records: Sequence[Record], key: str, label: str, path: Path) -> None:
    """Mean IoU over `key` (logarithmic), a colour a model, a mark a precision."""
    shown = [r for r in records if r.get('mean_iou') is not None and r.get(key)]
    shown = [r for r in shown if r['group'] != 'camera' and r['runtime'] == 'openvino']
    figure = _figure(8.5, 4.8)
    axes = figure.add_subplot()
    models = list(dict.fromkeys(r['model'] for r in shown))
    for r in shown:
        axes.scatter(
            r[key],
            r['mean_iou'],
            color=f'C{models.index(r["model"])}',
            marker=_mark(r['precision']),
            s=48,
            edgecolors='white',
            linewidths=0.6,
        )
    for index, model in enumerate(models):
        axes.scatter([], [], color=f'C{index}', label=model)
    for precision, mark in MARKS.items():
        if any(r['precision'].startswith(precision) for r in shown):
            axes.scatter([], [], color='grey', marker=mark, label=precision)
    axes.set_xscale('log')
    axes.set(xlabel=label, ylabel='mean IoU over the classes of its sets')
    axes.set_title('OpenVINO; models of different sets are not comparable with each other')
    axes.grid(alpha=0.3, which='both')
    axes.legend(fontsize=8, loc='center left', bbox_to_anchor=(1.0, 0.5))
    _save(figure, path)


def bars(records: Sequence[Record], path: Path) -> None:
    """Median time of every precision and runtime of the default network, over the default's."""
    shown = [r for r in records if r['group'] == 'default' and r.get('times_default')]
    size = shown[0]['size'] if shown else ''
    shown = sorted((r for r in shown if r['size'] == size), key=lambda r: r['times_default'])
    figure = _figure(8.5, 0.32 * len(shown) + 1.2)
    axes = figure.add_subplot()
    names = [f'{r["precision"]}, {r["runtime"]}' for r in shown]
    colours = ['C2' if r['precision'].startswith('int8') else 'C0' for r in shown]
    places = range(len(shown))
    axes.barh(places, [r['times_default'] for r in shown], color=colours)
    for place, r in zip(places, shown):
        text = f' {r["times_default"]:.2f}×  {r["p50"]:.1f} ms'
        axes.text(r['times_default'], place, text, va='center', fontsize=8)
    axes.set_yticks(list(places), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale('log')
    axes.margins(x=0.25)
    axes.set(xlabel=f'time over that of the default (light_unet {size})')
    _save(figure, path)


def by_precision(scores: Mapping[str, Mapping[str, Mapping[str, float]]], path: Path) -> None:
    """Points of IoU lost by each kind of file, the worst class of each model."""
    figure = _figure(8.5, 4.2)
    axes = figure.add_subplot()
    kinds = sorted({k for by_kind in scores.values() for k in by_kind} - {'fp32'})
    width = 0.8 / max(1, len(scores))
    for index, (name, by_kind) in enumerate(scores.items()):
        places, heights = [], []
        for place, kind in enumerate(kinds):
            if kind in by_kind:
                fp32 = by_kind['fp32']
                places.append(place + index * width - 0.4 + width / 2)
                heights.append(max(100 * (v - by_kind[kind].get(k, 0)) for k, v in fp32.items()))
        axes.bar(places, heights, width, label=name)
    axes.axhline(0.5, color='black', lw=1, ls='--', label='limit of the gate')
    axes.axhline(0, color='black', lw=0.6)
    axes.set_xticks(range(len(kinds)), kinds, rotation=25, fontsize=8)
    axes.set(ylabel='points of IoU lost, worst class')
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3, axis='y')
    _save(figure, path)


def draw(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """All pictures of a result, as PNG in `folder`."""
    records = [r for r in result['lines'] if 'error' not in r]
    paths = [folder / f'{name}.png' for name in ('latency', 'size', 'precision', 'default')]
    scatter(records, 'p50', 'median latency of the network, ms', paths[0])
    scatter(records, 'file_mb', 'file, MB', paths[1])
    by_precision(result['scores'], paths[2])
    bars(records, paths[3])
    return paths
