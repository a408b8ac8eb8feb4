"""Small pieces of the page: cards, tables, keys, and figures as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any


def section(title: str, body: str, note: str) -> str:
    """A framed part of the page; `note` stands small under it."""
    small = f'<p class="note">{note}</p>' if note else ''
    return f'<section><h2>{escape(title)}</h2>{body}{small}</section>'


def card(name: str, value: str, more: str) -> str:
    """One figure, large; `value` and `more` are HTML."""
    return (
        f'<div class="card"><div class="name">{escape(name)}</div>'
        f'<div class="value">{value}</div><div class="more">{more}</div></div>'
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text: bool = False) -> str:
    """A table; cells are HTML, the head is text. `text`: all columns to the left."""
    kind = ' class="text"' if text else ''
    top = ''.join(f'<th{kind}>{escape(name)}</th>' for name in head)
    body = ''.join(
        '<tr>' + ''.join(f'<td{kind}>{cell}</td>' for cell in row) + '</tr>' for row in rows
    )
    whole = f'<thead><tr>{top}</tr></thead><tbody>{body}</tbody>'
    return f'<div class="wide"><table>{whole}</table></div>'


def facts(title: str, values: Mapping[str, Any]) -> str:
    """Names and values under a small heading."""
    rows = [
        [escape(name.replace('_', ' ')), escape('–' if value is None else str(value))]
        for name, value in values.items()
    ]
    return f'<h3>{escape(title)}</h3>' + table(['', ''], rows, text=True)


def key(labels: Sequence[str], kind: str = 'm') -> str:
    """Which colour is which; `kind` m: models, s: stages."""
    parts = (
        f'<span><i class="{kind}{index}"></i>{escape(label)}</span>'
        for index, label in enumerate(labels)
    )
    return f'<div class="key">{"".join(parts)}</div>'


def share(value: float | None) -> str:
    """A figure from 0 to 1."""
    return '–' if value is None else f'{value:.3f}'


def percent(value: float | None, digits: int) -> str:
    """A share as per cent."""
    return '–' if value is None else f'{value:.{digits}%}'


def interval(bounds: Sequence[float | None]) -> str:
    """A 95 % interval."""
    low, high = bounds
    return '' if low is None or high is None else f'95 %: {low:.3f} to {high:.3f}'


def milliseconds(times: Mapping[str, float]) -> list[str]:
    """p50, p95 and p99."""
    return [f'{times[name]:.2f}' for name in ('p50', 'p95', 'p99')]
