"""Train the rows of a sweep and write its page: a table beside the source's numbers, and curves.

`python training/sweep.py residual_unet_ablation`

A run that stopped goes on, a finished one is not repeated: start it again as often as you like.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from seg_node.errors import (
    ConfigError,
    SegNodeError,
    first_line,
    problems_line,
    validation_problems,
)
from seg_node.files import write_json
from seg_node_training.command import run_command
from seg_node_training.config import (
    RECIPES,
    REPOSITORY,
    Recipe,
    SetPart,
    load_recipe,
    parse_recipe,
)
from seg_node_training.data.targets import ids_of
from seg_node_training.evaluate.confusion import Confusion
from seg_node_training.evaluate.network import torch_scorer
from seg_node_training.evaluate.sets import Seen, evaluate_sets
from seg_node_training.models import count_parameters
from seg_node_training.report.sweep_page import Outcome, write_page
from seg_node_training.revision import source_revision
from seg_node_training.train.checkpoint import latest_checkpoint, load_checkpoint, load_model
from seg_node_training.train.loop import Trainer

SWEEPS = RECIPES.parent / 'sweeps'


class SweepRow(BaseModel):
    """One line of the table: its changes to the recipe, and what the source measured."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    name: str
    source: str = ''
    set: dict[str, Any] = {}


class Sweep(BaseModel):
    """A study: a recipe, changes for all rows (`set`), the rows, the seeds, the test set.

    `about`: text above the table, at what scale this is measured; `finding`: text below it, what
    the measurement that stands in the repository shows.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    name: str
    title: str
    about: str
    finding: str = ''
    recipe: str
    source_column: str = 'source'
    set: dict[str, Any] = {}
    seeds: tuple[int, ...] = (1,)
    test: SetPart
    rows: tuple[SweepRow, ...]

    def recipe_of(self, row: SweepRow, seed: int) -> Recipe:
        """The whole recipe of one run."""
        raw = load_recipe(row.set.get('recipe', self.recipe)).model_dump(mode='json')
        changes = {k: v for k, v in row.set.items() if k != 'recipe'}
        raw = merged(merged(raw, self.set), changes)
        raw['loop']['seed'] = seed
        raw['name'] = f'{self.name}: {row.name}'
        return parse_recipe(raw, f'{self.name}, row {row.name}')


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes`: mappings merge, but a loss and a model replace the whole one."""
    result = dict(base)
    for key, value in changes.items():
        whole = key in ('loss', 'options') or not isinstance(value, dict)
        result[key] = value if whole else merged(base.get(key) or {}, value)
    return result


def load_sweep(name: str) -> Sweep:
    """A sweep by the name of a shipped one or its path; `ConfigError` lists all faults."""
    shipped = SWEEPS / f'{name}.yaml'
    path = shipped if shipped.is_file() else Path(name)
    try:
        raw = yaml.safe_load(path.read_text(encoding='utf-8'))
        return Sweep.model_validate(raw)
    except OSError as error:
        raise ConfigError(f'sweep {path}: {error.strerror}') from None
    except yaml.YAMLError as error:
        raise ConfigError(f'sweep {path}: not YAML: {first_line(error)}') from None
    except ValidationError as error:
        problems = validation_problems(error, model=Sweep)
        raise ConfigError(problems_line(f'sweep {path}', problems)) from None


def shortened(recipe: Recipe, steps: int) -> Recipe:
    """The recipe with `steps` steps, in at least one epoch."""
    epoch = min(steps, recipe.loop.steps_per_epoch)
    loop = recipe.loop.model_copy(update={'steps': steps, 'steps_per_epoch': epoch})
    return recipe.model_copy(update={'loop': loop})


def train_row(recipe: Recipe, folder: Path) -> Path:
    """The last checkpoint of a run, trained from where it stands."""
    checkpoint = latest_checkpoint(folder, recipe.prefix_name)
    state = load_checkpoint(checkpoint) if checkpoint else None
    if state is None or state['step'] < recipe.loop.steps:
        Trainer(recipe, folder, state).run()
        checkpoint = latest_checkpoint(folder, recipe.prefix_name)
    if checkpoint is None:
        raise SegNodeError(f'{folder}: no checkpoint after training')
    for older in folder.glob(f'{recipe.prefix_name}_epoch*.pth'):
        if older != checkpoint:
            older.unlink()
    return checkpoint


def score_row(checkpoint: Path, test: SetPart) -> dict[str, Any]:
    """Figures of one run on the test set, kept beside its checkpoint."""
    kept = checkpoint.parent / 'result.json'
    if kept.is_file() and kept.stat().st_mtime > checkpoint.stat().st_mtime:
        return dict(json.loads(kept.read_text(encoding='utf-8')))
    model, recipe, state = load_model(checkpoint, 'model')
    confusion = Confusion(recipe.class_set.names)

    def watch(seen: Seen) -> None:
        confusion.add(ids_of(seen.target, recipe.classes), seen.ids)

    scorer = torch_scorer(model, recipe, bf16=recipe.loop.precision == 'bf16-mixed')
    evaluate_sets(scorer, recipe, [test], watch=watch)
    history = state['history']
    result = {
        'iou': confusion.iou(),
        'miou': confusion.mean_iou(),
        'parameters': count_parameters(model),
        'steps': state['step'],
        'loss': history[-1]['loss'],
        'seconds_per_step': float(np.median([r['seconds_per_step'] for r in history])),
        'revision': source_revision(),
    }
    write_json(kept, result)
    return result


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says; raises `SegNodeError`."""
    sweep = load_sweep(arguments.sweep)
    out = arguments.out or REPOSITORY / 'out' / 'studies' / sweep.name
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(message)s')
    logging.getLogger('lightning').setLevel(logging.WARNING)
    outcomes = []
    # Seeds outside: an interrupted study has every row at least once.
    for seed in sweep.seeds:
        for number, row in enumerate(sweep.rows):
            recipe = sweep.recipe_of(row, seed)
            if arguments.steps:
                recipe = shortened(recipe, arguments.steps)
            folder = out / f'{number:02d}_seed{seed}'
            checkpoint = train_row(recipe, folder)
            result = score_row(checkpoint, sweep.test)
            outcomes.append(Outcome(row.name, row.source, seed, checkpoint, result))
            logging.info('%s seed %d: mIoU %.4f', row.name, seed, result['miou'] or 0)
    write_page(sweep, outcomes, arguments.docs)
    print(f'{arguments.docs / sweep.name}.md')


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog='sweep.py', description=__doc__)
    parser.add_argument('sweep', help='the name of a sweep that comes with it, or a YAML file')
    parser.add_argument('-o', '--out', type=Path, help='runs; default out/studies/NAME')
    parser.add_argument(
        '--docs', type=Path, default=REPOSITORY / 'docs' / 'studies', help='folder of the page'
    )
    parser.add_argument('--steps', type=int, help='steps a run, for a trial')
    return parser


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
