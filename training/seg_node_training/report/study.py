"""What the pages of the studies share: a table, a note of the revision, a line in the index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seg_node.files import write_atomic
from seg_node_training.config import REPOSITORY
from seg_node_training.revision import source_revision

FOLDER = REPOSITORY / 'docs' / 'studies'
INDEX = REPOSITORY / 'docs' / 'studies.md'


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Lines of a Markdown table; floats with three places, None as a dash."""

    def cell(value: Any) -> str:
        if value is None:
            return '–'
        return f'{value:.3f}' if isinstance(value, float) else str(value)

    table = ['| ' + ' | '.join(heads) + ' |', '|' + '---|' * len(heads)]
    return table + ['| ' + ' | '.join(cell(v) for v in row) + ' |' for row in rows]


def write_study(
    name: str, title: str, answer: str, lines: Sequence[str], folder: Path | None = None
) -> Path:
    """`<name>.md` with its title and answer in front, and the line of the index."""
    target = (folder or FOLDER) / f'{name}.md'
    text = [
        *(f'# {title}', '', answer, ''),
        *lines,
        '',
        f'Written by `python -m seg_node_training.studies.{name}`, '
        f'revision `{source_revision()}`.',
        '',
    ]
    with write_atomic(target) as temporary:
        temporary.write_text('\n'.join(text), encoding='utf-8')
    if folder is None:
        into_index(INDEX, name, title, answer)
    return target


def into_index(index: Path, name: str, title: str, answer: str) -> None:
    """Put the study's row into the index's table, in place of its old one or as the last."""
    row = f'| [{title}](studies/{name}.md) | {answer} |'
    start = '# Studies\n\n| study | answer |\n|---|---|\n'
    lines = (index.read_text(encoding='utf-8') if index.is_file() else start).splitlines()
    mark = f'](studies/{name}.md)'
    places = [i for i, line in enumerate(lines) if mark in line]
    if places:
        lines[places[0]] = row
    else:
        last = max((i for i, line in enumerate(lines) if line.startswith('|')), default=-1)
        lines.insert(last + 1 if last >= 0 else len(lines), row)
    with write_atomic(index) as temporary:
        temporary.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def figure(width: float = 8.0, height: float = 4.2) -> Any:
    """A matplotlib figure without a window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = Figure((width, height), dpi=110, layout='constrained')
    FigureCanvasAgg(canvas)
    return canvas


def save(canvas: Any, name: str) -> None:
    """Write the study's PNG."""
    with write_atomic(FOLDER / f'{name}.png') as temporary:
        canvas.savefig(temporary)
