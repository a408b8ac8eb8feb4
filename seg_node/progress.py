"""Progress bars on standard error, silent when nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar('T')


class CountColumn(ProgressColumn):
    """How many of how many; rich's own, `MofNCompleteColumn`, is missing in Humble's rich 11."""

    def render(self, task: Task) -> Text:
        """`7/40`, or `7/?` where the end is not known."""
        total = '?' if task.total is None else f'{task.total:.0f}'
        return Text(f'{task.completed:.0f}/{total}')


def progress_bar() -> Progress:
    """A rich bar with count, elapsed and remaining time; hidden when stderr is not a terminal."""
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        CountColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate over `items` behind a bar; `total` where `len(items)` is not known."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress_bar() as progress:
        task = progress.add_task(description, total=total)
        for item in items:
            yield item
            progress.advance(task)
