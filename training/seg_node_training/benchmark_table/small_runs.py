"""Small runs of the recipes, so that every network of the table has weights that have seen data.

The recipes as they stand take hours. Here each of them is trained for some minutes of one core, on
few pictures, two of them at a smaller size: enough for a loss by quantization to show, and not a
statement about what the network can do. What was changed is written into the benchmark page.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from seg_node.files import write_image
from seg_node.progress import track
from seg_node_training.config import REPOSITORY, Recipe, SetPart, load_recipe, parse_recipe
from seg_node_training.data.embedded import EmbeddedSet
from seg_node_training.data.transforms.build import at_size
from seg_node_training.train.checkpoint import save_checkpoint
from seg_node_training.train.loop import Trainer

log = logging.getLogger('seg_node_training')
SIX = {'six_train': (96, 1), 'six_test': (24, 2)}
"""Frames and seed of the rendered sets with the six lane types."""


@dataclass(frozen=True)
class Small:
    """How a recipe is shortened. `crop`: height, width of the training window."""

    steps: int
    batch: int
    crop: tuple[int, int]
    rate: float
    options: dict[str, Any] = field(default_factory=dict)
    note: str = ''


SMALL = {
    'team1_unet': Small(
        300, 2, (128, 256), 1e-4, {'padding': 'same'}, 'padded convolutions, windows of 128x256'
    ),
    'team1_narrow': Small(
        450, 4, (128, 256), 1e-3, {'padding': 'same', 'base': 16}, 'a quarter of the width'
    ),
    'shared_bias_unet': Small(150, 4, (256, 256), 1e-3),
    'residual_unet': Small(500, 8, (192, 320), 2e-3),
    'dropout_unet': Small(160, 4, (256, 256), 1e-3, {'base': 32}, 'half the width (base 32)'),
    'mobilenetv3_small': Small(300, 6, (256, 448), 2e-3),
}


RECIPE_OF = {'team1_narrow': 'team1_unet'}
"""31 million weights without normalisation learn nothing in minutes; a quarter of the width does.
What quantization costs that recipe is therefore measured on the narrow network."""


def six_folder(name: str, root: Path) -> Path:
    """A rendered set `images/`, `lane_types/` of six-class frames; made on first use."""
    count, seed = SIX[name]
    folder = root / name
    data = EmbeddedSet(name, count, seed, labels='lane_types')
    missing = [n for n in data.sources() if not (folder / 'lane_types' / f'{n:04d}.png').is_file()]
    for number in track(missing, f'render {name}'):
        image, target = data.load(number)
        write_image(folder / 'images' / f'{number:04d}.png', image)
        write_image(folder / 'lane_types' / f'{number:04d}.png', target[0])
    return folder


def lane_data() -> dict[str, list[dict[str, Any]]]:
    """The shipped recipe's photos, without the rendered frames."""
    data = load_recipe('light_unet').data
    train = [p for p in data.train if p.kind == 'folder' and p.knows not in ('line',)]
    evaluate = [p for p in data.evaluate if p.name in ('camseq01', 'carla_samples')]
    return {
        'train': [p.model_dump() for p in train],
        'evaluate': [p.model_dump() for p in evaluate],
        'calibrate': [p.model_dump() for p in data.calibrate],
    }


def six_data(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Rendered frames with the six lane types."""

    def part(name: str, limit: int | None = None) -> dict[str, Any]:
        folder = str(six_folder(name, root))
        return SetPart(name=name, path=folder, knows='lane_types', limit=limit).model_dump()

    return {
        'train': [part('six_train')],
        'evaluate': [part('six_test')],
        'calibrate': [part('six_train', 40)],
    }


def small_recipe(name: str, root: Path, **changes: Any) -> Recipe:
    """Recipe `name` shortened as `SMALL` says; rendered pictures go to `root`.

    `changes`: other values of `Small`'s fields.
    """
    plan = SMALL[name] if name in SMALL else Small(400, 6, (256, 448), 2e-3)
    plan = Small(**{**plan.__dict__, **changes})
    recipe = load_recipe(RECIPE_OF.get(name, name))
    raw = recipe.model_dump(mode='json')
    raw['model']['options'].update(plan.options)
    six = raw['classes'] == 'lane_types'
    place = {key: raw['data'][key] for key in ('root', 'cache')}
    raw['data'] = place | (six_data(root) if six else lane_data())
    raw['data'].update(cache_height=360, cache_width=640)
    steps = recipe.transforms
    if six:  # the whole picture, whatever its shape, is brought to the window
        raw['data'].update(cache_height=plan.crop[0], cache_width=plan.crop[1])
    else:
        steps = load_recipe('light_unet').transforms
    raw['transforms'] = at_size(steps, *plan.crop)
    raw['optimizer'].update(rate=plan.rate, schedule='cosine', warmup_steps=20, clip_norm=5.0)
    raw['optimizer']['final_rate'] = plan.rate / 50
    raw['loop'].update(
        steps=plan.steps,
        batch_size=plan.batch,
        steps_per_epoch=50,
        evaluate_every=10**6,
        precision='bf16-mixed',
        ema=0.97,
        threads=1,
        workers=1,
        stop_after=None,
    )
    return parse_recipe(raw, f'small {name}')


def train_small(recipe: Recipe, path: Path) -> Path:
    """Train `recipe` into the checkpoint `path` unless it is there already."""
    if path.is_file():
        return path
    threads = torch.get_num_threads()
    trainer = Trainer(recipe, path.parent / f'{path.stem}_run')
    trainer.run()
    save_checkpoint(path, trainer.state())
    torch.set_num_threads(threads)
    return path


def checkpoint_of(name: str, root: Path) -> Path:
    """The checkpoint that stands for a recipe: its own full run, or a small one made here."""
    full = REPOSITORY / 'out' / 'train' / f'{name}.pth'
    if full.is_file():
        return full
    return train_small(small_recipe(name, root), root / 'small' / f'{name}.pth')
