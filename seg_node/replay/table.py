"""The report in a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def print_report(report: dict[str, Any]) -> None:
    """Print the figures of every model, what was scored, and the times."""
    console = Console()
    frames = report['frames']
    line = f'{frames["evaluated"]} of {frames["read"]} frames evaluated'
    if report['protocol']['scored']:
        line += f', {frames["with_ground_truth"]} with ground truth'
        line += f' ({report["protocol"]["class_map"]}; {report["protocol"]["scored"]})'
    console.print(line, highlight=False)
    console.print(_figures(report))
    for comparison in report['comparisons']:
        for name, figure in comparison['figures'].items():
            low, high = figure['interval']
            console.print(
                f'{comparison["model"]} - {comparison["against"]}: {name} '
                f'{signed(figure["difference"])} [{signed(low)}, {signed(high)}] (95 %)',
                highlight=False,
            )
    for drive in report.get('realtime', {}).get('drives', ()):
        ages = drive['frame_age_ms']
        console.print(
            f'real time: {drive["sent"]} frames sent, {drive["masks"]} masks, '
            f'{drive["dropped"]} dropped, {drive["equal"]} of {drive["compared"]} equal to '
            f'offline; frame age p50 {ages["p50"]:.1f}, p99 {ages["p99"]:.1f} ms',
            highlight=False,
        )
    timing = report['timing']
    console.print(
        f'{timing["frames_per_second"] or 0:.1f} frames/s'
        + (
            f', {timing["share_of_network_rate"]:.2f} of the network alone'
            if timing['share_of_network_rate']
            else ''
        ),
        highlight=False,
    )


def _figures(report: dict[str, Any]) -> Table:
    """A row a figure, a column a model."""
    models, times = report['models'], report['timing']['models']
    table = Table('', *(model['label'] for model in models))
    if report['frames']['with_ground_truth']:
        table.add_row('mIoU', *(share(model['miou']) for model in models))
        for name in report['protocol']['classes']:
            totals = (share(model['classes'][name]['iou']) for model in models)
            table.add_row(f'IoU {name}', *totals)
        if 'lane' in models[0]:
            name = report['protocol']['lane_figure']
            table.add_row(name, *(share(model['lane']['iou']) for model in models))
    table.add_row('flipped pixels', *(share(m['flicker']['flipped'], 5) for m in models))
    for name in ('p50', 'p99'):
        totals = (f'{each["stages_ms"]["total"][name]:.2f}' for each in times)
        table.add_row(f'latency {name}, ms{_several(times[0])}', *totals)
    return table


def _several(times: dict[str, Any]) -> str:
    """Frames that shared the cores: each takes longer than it would alone."""
    return f' ({times["streams"]} at a time)' if times['streams'] > 1 else ''


def share(value: float | None, digits: int = 3) -> str:
    """A figure for people; a dash where there is none."""
    return '–' if value is None else f'{value:.{digits}f}'


def signed(value: float | None) -> str:
    """A difference for people."""
    return '–' if value is None else f'{value:+.4f}'
