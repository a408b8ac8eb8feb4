"""The page of a sweep: Markdown table, curves and pictures, all from the runs themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.camera.size import Size
from seg_node.decide import Decider
from seg_node.files import write_atomic, write_image
from seg_node.images.overlay import paint
from seg_node_training.data.open import open_set
from seg_node_training.data.targets import ids_of
from seg_node_training.evaluate.network import bring_back, fit, spec_of, torch_scorer
from seg_node_training.train.checkpoint import load_checkpoint, load_model

if TYPE_CHECKING:
    from seg_node_training.studies.sweep import Sweep

U8 = npt.NDArray[np.uint8]
PICTURES = 3


@dataclass(frozen=True)
class Outcome:
    """One finished run: row, what the source measured, seed, checkpoint, figures."""

    row: str
    source: str
    seed: int
    checkpoint: Path
    figures: dict[str, Any]


def spread(values: Sequence[float | None]) -> str:
    """Mean over the seeds, with the range where there are several."""
    known = [v for v in values if v is not None]
    if not known:
        return '–'
    text = f'{np.mean(known):.3f}'
    return text if len(known) == 1 else f'{text} ({min(known):.3f}–{max(known):.3f})'


def table(outcomes: Sequence[Outcome], source_column: str) -> list[str]:
    """Lines of the Markdown table, a row of the sweep each."""
    classes = list(outcomes[0].figures['iou'])
    with_source = any(o.source for o in outcomes)
    heads = ['', *([source_column] if with_source else []), 'mIoU', *classes]
    heads += ['loss at the end', 'parameters']
    lines = ['| ' + ' | '.join(heads) + ' |', '|---' * len(heads) + '|']
    for row in dict.fromkeys(o.row for o in outcomes):
        runs = [o.figures for o in outcomes if o.row == row]
        source = next(o.source for o in outcomes if o.row == row)
        cells = [row, *([source] if with_source else [])]
        cells.append(f'**{spread([r["miou"] for r in runs])}**')
        cells += [spread([r['iou'][c] for r in runs]) for c in classes]
        cells.append(spread([r['loss'] for r in runs]))
        cells.append(f'{runs[0]["parameters"]:,}')
        lines.append('| ' + ' | '.join(cells) + ' |')
    return lines


def plot(outcomes: Sequence[Outcome], path: Path, title: str) -> None:
    """Loss over steps, and mean IoU of the classes on the validation set, a colour a row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((9, 7), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    rows = list(dict.fromkeys(o.row for o in outcomes))
    for outcome in outcomes:
        colour = f'C{rows.index(outcome.row)}'
        first = outcome.seed == outcomes[0].seed
        style = {'color': colour, 'lw': 1.6 if first else 0.9, 'ls': '-' if first else '--'}
        history = load_checkpoint(outcome.checkpoint)['history']
        label = outcome.row if first else None
        upper.plot([r['step'] for r in history], [r['loss'] for r in history], **style)
        scored = [(r['step'], [v for k, v in r.items() if '/' in k]) for r in history]
        scored = [(step, np.mean(values)) for step, values in scored if values]
        lower.plot(*zip(*scored), label=label, **style) if scored else None
    upper.set(title=title, ylabel='training loss')
    lower.set(xlabel='step', ylabel='mean IoU of the foreground classes, validation')
    if lower.lines:
        lower.legend(fontsize=8)
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    with write_atomic(path) as temporary:
        figure.savefig(temporary)


def picture_sheet(sweep: Sweep, outcomes: Sequence[Outcome], path: Path) -> None:
    """Evenly spread test frames: truth in the first column, then each row's answer."""
    columns: list[list[U8]] = []
    for outcome in outcomes:
        if outcome.seed != outcomes[0].seed:
            continue
        model, recipe, _ = load_model(outcome.checkpoint, 'model')
        data = open_set(sweep.test, recipe)
        sources = data.sources()
        chosen = np.linspace(0, len(sources) - 1, PICTURES + 2).round().astype(int)[1:-1]
        score, decide = torch_scorer(model, recipe), Decider(spec_of(recipe))
        column, truths = [], []
        for index in chosen:
            image, target = data.load(sources[index])
            ids = decide(bring_back(score(fit(image, recipe)), recipe, Size.of(image)))
            column.append(_tile(paint(image, ids, recipe.class_set), outcome.row))
            truth = ids_of(target, recipe.classes)
            truths.append(_tile(paint(image, truth, recipe.class_set), 'truth'))
        columns += [column] if columns else [truths, column]
    write_image(path, np.hstack([np.vstack(column) for column in columns]))


def _tile(picture: U8, text: str) -> U8:
    small = cv2.resize(picture, (320, 180), interpolation=cv2.INTER_AREA)
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(small, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, width)
    return np.asarray(small, np.uint8)


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return f'one seed ({seeds[0]})'
    return f'seeds {", ".join(map(str, seeds))}: the mean, and the range in brackets'


def write_page(sweep: Sweep, outcomes: Sequence[Outcome], folder: Path) -> None:
    """`NAME.md`, `NAME.png` and `NAME_pictures.jpg` in `folder`."""
    plot(outcomes, folder / f'{sweep.name}.png', sweep.title)
    picture_sheet(sweep, outcomes, folder / f'{sweep.name}_pictures.jpg')
    test = sweep.test
    revisions = sorted({o.figures['revision'] or 'unknown' for o in outcomes})
    steps = sorted({o.figures['steps'] for o in outcomes})
    lines = [
        f'# {sweep.title}',
        '',
        sweep.about.strip(),
        '',
        *table(outcomes, sweep.source_column),
        '',
        f'IoU over all known pixels of the test set `{test.split or test.name}`, at source size; '
        f'{" and ".join(map(str, steps))} steps a run, {_seeds(sweep.seeds)}.',
        '',
        *([sweep.finding.strip(), ''] if sweep.finding else []),
        f'![curves]({sweep.name}.png)',
        '',
        f'![truth and answers]({sweep.name}_pictures.jpg)',
        '',
        f'Written by `python training/sweep.py {sweep.name}`, revision {", ".join(revisions)}.',
        '',
    ]
    with write_atomic(folder / f'{sweep.name}.md') as temporary:
        temporary.write_text('\n'.join(lines), encoding='utf-8')
