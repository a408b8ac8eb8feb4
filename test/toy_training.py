"""A recipe at toy size, for tests that train."""

from __future__ import annotations

from pathlib import Path

from seg_node_training.config import Recipe, parse_recipe


def toy_recipe(folder: Path, cache: Path, **loop: object) -> Recipe:
    """A recipe of seconds on the scenes in `folder`."""
    part = {'name': 'scenes', 'path': str(folder), 'knows': 'ids'}
    raw = {
        'name': 'toy',
        'prefix_name': 'unet',
        'model': {'name': 'light_unet', 'options': {'base': 8, 'depth': 2, 'stem': 8}},
        'input': {'height': 64, 'width': 128},
        'data': {
            'cache': str(cache),
            'cache_height': 64,
            'cache_width': 128,
            'train': [part],
            'evaluate': [part],
            'calibrate': [part],
        },
        'transforms': [
            {
                'window': {'height': 64, 'width': 128, 'zoom': [0.95, 1.05]}
                | {'aspect': 0, 'flip': 0, 'rotation': 0, 'perspective': 0}
            },
            {'tone': {'exposure': [0.9, 1.1], 'grey': 0}},
        ],
        'optimizer': {'rate': 0.01, 'warmup_steps': 5},
        'loop': {
            **{'steps': 12, 'batch_size': 4, 'steps_per_epoch': 4, 'evaluate_every': 1000},
            **{'precision': '32-true', 'ema': 0.9, 'workers': 0, 'threads': 1, 'seed': 5},
            **loop,
        },
    }
    return parse_recipe(raw, 'toy')
