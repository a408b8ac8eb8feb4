"""Curves of a run as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seg_node.files import write_atomic


def plot_history(history: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Loss and learning rate over steps, and below every evaluated IoU, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((8, 6.5), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    steps = [row['step'] for row in history]
    upper.plot(steps, [row['loss'] for row in history], color='tab:blue', label='loss')
    validated = [row for row in history if 'validation_loss' in row]
    if validated:
        values = [row['validation_loss'] for row in validated]
        upper.plot(
            [r['step'] for r in validated], values, 'o-', color='tab:red', ms=3, label='val'
        )
        upper.legend(['training', 'validation'], fontsize=7)
    upper.set(title=title, ylabel='loss')
    rate = upper.twinx()
    rate.plot(steps, [row['rate'] for row in history], color='tab:gray', ls=':', label='rate')
    rate.set_ylabel('learning rate')
    names = dict.fromkeys(key for row in history for key in row if '/' in key)
    for name in names:
        rows = [row for row in history if name in row]
        lower.plot([r['step'] for r in rows], [r[name] for r in rows], marker='o', label=name)
    lower.set(xlabel='step', ylabel='IoU', ylim=(0, 1))
    if names:
        lower.legend(fontsize=7)
    with write_atomic(path) as temporary:
        figure.savefig(temporary)
