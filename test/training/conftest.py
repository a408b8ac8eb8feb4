"""Four small scenes and a network that has learnt them, for all tests of training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from toy_training import toy_recipe

from seg_node_training.train.checkpoint import latest_checkpoint
from seg_node_training.train.loop import Trainer


@pytest.fixture(scope='session')
def scenes(tmp_path_factory) -> Path:
    """Four plain scenes, each with a road and a line, under images/ and labels/."""
    folder = tmp_path_factory.mktemp('scenes')
    rng = np.random.default_rng(0)
    for index in range(4):
        ids = np.zeros((64, 128), np.uint8)
        x = 40 + 12 * index
        cv2.fillPoly(ids, [np.array([[x, 20], [x + 10, 20], [126, 63], [2, 63]])], 1)
        cv2.line(ids, (x + 5, 22), (60, 63), 2, 5)
        colours = np.array([[40, 120, 60], [90, 90, 95], [230, 230, 230]], np.int16)
        picture = colours[ids] + rng.integers(-12, 12, (64, 128, 1))
        for kind, array in (
            ('images', np.clip(picture, 0, 255).astype(np.uint8)),
            ('labels', ids),
        ):
            (folder / kind).mkdir(exist_ok=True)
            cv2.imwrite(str(folder / kind / f'{index}.png'), array)
    return folder


@pytest.fixture(scope='session')
def trained(scenes, tmp_path_factory) -> Path:
    """Checkpoint of a run that has overfitted the four scenes."""
    folder = tmp_path_factory.mktemp('run')
    recipe = toy_recipe(scenes, folder / 'cache', steps=120, steps_per_epoch=60)
    Trainer(recipe, folder).run()
    checkpoint = latest_checkpoint(folder, 'unet')
    assert checkpoint is not None
    return checkpoint
