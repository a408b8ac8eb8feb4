"""Tables of figures on standard output."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as RichTable

_PLAIN_WIDTH = 160


class Table:
    """A titled table; wide enough for its columns where the output is no terminal."""

    def __init__(self, title: str) -> None:
        self._table = RichTable(title=title)

    def columns(self, *names: str) -> None:
        """Add text columns."""
        for name in names:
            self._table.add_column(name)

    def numbers(self, *names: str) -> None:
        """Add right-aligned columns."""
        for name in names:
            self._table.add_column(name, justify='right')

    def row(self, *cells: str) -> None:
        """Add a row."""
        self._table.add_row(*cells)

    def print(self) -> None:
        """Print it."""
        console = Console()
        if not console.is_terminal:
            console = Console(width=_PLAIN_WIDTH)
        console.print(self._table)
