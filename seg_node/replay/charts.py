"""Plots as inline SVG: no library, no script, sharp at any size, coloured by the page's style."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

Values = npt.NDArray[np.float64]
_WIDTH = 960
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 14, 34
_MOST_POINTS = 400


@dataclass(frozen=True)
class Series:
    """One line: `values` over the frames, NaN where there is none."""

    label: str
    values: Values


def buckets(values: Values, most: int = _MOST_POINTS) -> list[tuple[float, float, float, float]]:
    """(position from 0 to 1, mean, lowest, highest) of at most `most` runs of frames."""
    count = len(values)
    means = []
    step = max(1, math.ceil(count / most))
    for begin in range(0, count, step):
        part = values[begin : begin + step]
        part = part[~np.isnan(part)]
        if part.size:
            at = (begin + min(step, count - begin) / 2) / count
            means.append((at, float(part.mean()), float(part.min()), float(part.max())))
    return means


def lines(
    series: Sequence[Series], span: float, x_name: str, y_name: str, top: float | None = 1.0
) -> Markup:
    """Lines over `span` (e.g. seconds) with the range of each run of frames behind them."""
    height = 240
    drawn = [buckets(one.values) for one in series]
    highest = max((b[3] for one in drawn for b in one), default=1.0)
    ceiling = top if top is not None else _nice(highest)
    plot = _Plot(_WIDTH, height, span, ceiling)
    parts = [plot.frame(x_name, y_name)]
    for index, one in enumerate(drawn):
        if not one:
            continue
        xs = [plot.x(at * span) for at, *_ in one]
        upper = [f'{x:.1f},{plot.y(min(high, ceiling)):.1f}' for x, (*_, high) in zip(xs, one)]
        lower = [f'{x:.1f},{plot.y(low):.1f}' for x, (_, _, low, _) in zip(xs, one)]
        parts.append(f'<polygon class="range m{index}" points="{" ".join(upper + lower[::-1])}"/>')
        points = ' '.join(
            f'{x:.1f},{plot.y(min(mean, ceiling)):.1f}' for x, (_, mean, _, _) in zip(xs, one)
        )
        parts.append(f'<polyline class="line m{index}" points="{points}"/>')
    return plot.svg(parts, f'{y_name} over {x_name}')


def grouped_bars(
    groups: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]], y_name: str
) -> Markup:
    """Bars from 0 to 1, one of each series in every group, with their values written on them."""
    plot = _Plot(_WIDTH, 240, len(groups), 1.0)
    parts = [plot.frame('', y_name, ticks=False)]
    wide = 0.7 / max(1, len(series))
    for g, group in enumerate(groups):
        parts.append(_label(plot.x(g + 0.5), 240 - 12, group))
        for index, (_, values) in enumerate(series):
            value = values[g]
            left = plot.x(g + 0.15 + index * wide)
            width = plot.x(wide) - plot.x(0) - 2
            if value is None:
                parts.append(_label(left + width / 2, plot.y(0) - 4, '–'))
                continue
            up = plot.y(value)
            parts.append(
                f'<rect class="bar m{index}" x="{left:.1f}" y="{up:.1f}" width="{width:.1f}" '
                f'height="{plot.y(0) - up:.1f}" rx="2"/>'
            )
            if width > 22:
                parts.append(_label(left + width / 2, up - 4, f'{value:.2f}'))
    return plot.svg(parts, f'{y_name} by group')


def matrix(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Markup:
    """A confusion matrix: shade and per cent of each row (true class), pixels below."""
    k = len(names)
    cell, left, top = 92, 130, 40
    width, height = left + k * cell + 10, top + k * cell * 0.62 + 30
    parts = [_label(left + k * cell / 2, 14, 'found class', 'axis mid')]
    for j, name in enumerate(names):
        parts.append(_label(left + (j + 0.5) * cell, 32, _short(name)))
    for i, row in enumerate(counts):
        total = sum(row)
        y = top + i * cell * 0.62
        parts.append(
            f'<text class="tick end" x="{left - 8}" y="{y + cell * 0.35:.0f}">'
            f'{escape(_short(names[i]))}</text>'
        )
        for j, count in enumerate(row):
            part = count / total if total else 0.0
            x = left + j * cell
            kind = 'hit' if i == j else 'miss'
            parts.append(
                f'<rect class="cell {kind}" x="{x}" y="{y:.1f}" width="{cell - 3}" '
                f'height="{cell * 0.62 - 3:.1f}" rx="4" style="--share:{part:.3f}"/>'
            )
            mid = x + (cell - 3) / 2
            bright = ' on' if part > 0.55 else ''
            parts.append(_label(mid, y + cell * 0.27, f'{part:.1%}', f'cellvalue mid{bright}'))
            parts.append(_label(mid, y + cell * 0.46, _pixels(count), f'cellpixels mid{bright}'))
    return _svg(width, height, parts, 'confusion matrix', f'max-width:{width}px')


def intervals(rows: Sequence[tuple[str, float, float, float]]) -> Markup:
    """Differences with their intervals around zero: (name, value, low, high)."""
    widest = max((max(abs(low), abs(high)) for _, _, low, high in rows), default=0.0)
    reach = _nice(widest) if widest else 0.01
    left, step = 300, 30
    height = 40 + step * len(rows)

    def x(value: float) -> float:
        return left + (value / reach + 1) / 2 * (_WIDTH - left - 130)

    parts = [
        f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="8" y2="{height - 24}"/>',
        *(
            _label(x(v), height - 8, f'{v:+.3g}' if v else '0')
            for v in (-reach, -reach / 2, 0.0, reach / 2, reach)
        ),
    ]
    for index, (name, value, low, high) in enumerate(rows):
        y = 22 + index * step
        kind = 'better' if low > 0 else 'worse' if high < 0 else 'unsure'
        parts += [
            f'<text class="tick end" x="{left - 14}" y="{y + 4}">{escape(name)}</text>',
            f'<line class="whisker {kind}" x1="{x(low):.1f}" x2="{x(high):.1f}" '
            f'y1="{y}" y2="{y}"/>',
            f'<circle class="dot {kind}" cx="{x(value):.1f}" cy="{y}" r="5"/>',
            f'<text class="tick" x="{_WIDTH - 120}" y="{y + 4}">{value:+.4f}</text>',
        ]
    return _svg(_WIDTH, height, parts, 'differences with confidence intervals')


def stage_bars(rows: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> Markup:
    """One stacked bar a row, of (stage, milliseconds)."""
    longest = _nice(max((sum(v for _, v in row) for _, row in rows), default=1.0) or 1.0)
    left, step = 210, 40
    height = 34 + step * len(rows)
    scale = (_WIDTH - left - 90) / longest
    parts = []
    for index, (name, row) in enumerate(rows):
        y = 6 + index * step
        parts.append(f'<text class="tick end" x="{left - 10}" y="{y + 18}">{escape(name)}</text>')
        at = float(left)
        for stage, (label, value) in enumerate(row):
            width = value * scale
            parts.append(
                f'<rect class="stage s{stage}" x="{at:.1f}" y="{y}" width="{max(width, 0.5):.1f}" '
                f'height="26"><title>{escape(label)} {value:.2f} ms</title></rect>'
            )
            if width > 90:
                parts.append(_label(at + width / 2, y + 18, f'{label} {value:.1f}', 'onbar mid'))
            at += width
        parts.append(
            f'<text class="tick" x="{at + 8:.1f}" y="{y + 18}">{(at - left) / scale:.1f} ms</text>'
        )
    for tick in np.linspace(0, longest, 5):
        parts.append(_label(left + tick * scale, height - 8, f'{tick:g}'))
    return _svg(_WIDTH, height, parts, 'median latency by stage')


class _Plot:
    """A rectangle with axes from 0: x to `span`, y to `ceiling`."""

    def __init__(self, width: int, height: int, span: float, ceiling: float) -> None:
        self.width, self.height = width, height
        self.span, self.ceiling = span or 1.0, ceiling or 1.0

    def x(self, value: float) -> float:
        return _LEFT + value / self.span * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return self.height - _BOTTOM - value / self.ceiling * (self.height - _TOP - _BOTTOM)

    def frame(self, x_name: str, y_name: str, ticks: bool = True) -> str:
        parts = []
        for value in np.linspace(0, self.ceiling, 5):
            y = self.y(float(value))
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{self.width - _RIGHT}" '
                f'y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="tick end" x="{_LEFT - 8}" y="{y + 4:.1f}">{value:g}</text>'
            )
        if ticks:
            step = _nice(self.span / 6)
            for i in range(int(self.span / step) + 1):
                parts.append(_label(self.x(i * step), self.height - 14, f'{i * step:g}'))
            parts.append(
                f'<text class="axis end" x="{self.width - _RIGHT}" y="{self.height - 1}">'
                f'{escape(x_name)}</text>'
            )
        return ''.join(parts)

    def svg(self, parts: Sequence[str], title: str) -> Markup:
        return _svg(self.width, self.height, parts, title)


def _svg(width: float, height: float, parts: Sequence[str], title: str, style: str = '') -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}" '
        f'style="{style}">{"".join(parts)}</svg>'
    )


def _label(x: float, y: float, text: str, kind: str = 'tick mid') -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _nice(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= value * (1 - 1e-9)))


def _short(name: str) -> str:
    return name.replace('_', ' ')


def _pixels(count: int) -> str:
    for limit, unit in ((10**9, 'G'), (10**6, 'M'), (10**3, 'k')):
        if count >= limit:
            return f'{count / limit:.3g} {unit}px'
    return f'{count} px'
