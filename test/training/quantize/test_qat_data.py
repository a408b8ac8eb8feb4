"""QAT sees the pictures that training sees: one pipeline."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from seg_node_training.config import parse_recipe
from seg_node_training.data.mixing import StepLoader
from seg_node_training.quantize import qat
from seg_node_training.train.loop import Trainer


@pytest.fixture
def recipe(tmp_path):
    """Two domains in turns, letterbox, a clip norm and precision that are not the defaults."""
    parts = []
    for number, domain in enumerate(('town', 'road')):
        ids = np.zeros((40, 60), np.uint8)
        ids[20:], ids[20:, 20 + number : 24] = 1, 2
        noise = np.random.default_rng(number).integers(0, 256, (*ids.shape, 3), np.uint8)
        for kind, array in (('images', noise), ('labels', ids)):
            folder = tmp_path / domain / kind
            folder.mkdir(parents=True)
            cv2.imwrite(str(folder / 'a.png'), array)
        parts.append({'name': domain, 'path': str(tmp_path / domain), 'domain': domain})
    raw = {
        'name': 'toy',
        'model': {'options': {'base': 4, 'depth': 2, 'stem': 4}},
        'input': {'height': 32, 'width': 64, 'resize': 'letterbox'},
        'data': {'cache': str(tmp_path / 'cache'), 'cache_height': 32, 'cache_width': 64}
        | {'turns': 1, 'train': parts},
        'transforms': [{'flip': {'p': 0.5}}],
        'optimizer': {'clip_norm': 0.25},
        'loop': {'steps': 4, 'batch_size': 2, 'workers': 0, 'threads': 1, 'precision': 'auto'},
    }
    return parse_recipe(raw, 'toy')


def test_the_batches_are_those_of_training(recipe, tmp_path):
    plan = qat.QatPlan(steps=3, observe_steps=1, batch=recipe.loop.batch_size)
    trainer = Trainer(recipe, tmp_path / 'run')
    ours = StepLoader(trainer.pairs(), 0, 4, recipe.loop.batch_size, 0)
    pairs = list(zip(ours, qat.batches_of(recipe, plan), strict=True))
    for (image, target), (qat_image, qat_target) in pairs:
        torch.testing.assert_close(qat_image, image, rtol=0, atol=0)
        torch.testing.assert_close(qat_target, target, rtol=0, atol=0)
    # Letterbox is there: unknown beside the picture of 3:2 in 2:1; and the domains take turns.
    assert np.all(np.asarray(pairs[0][0][1])[:, :, :, 0] == 255)
    assert torch.any(pairs[0][0][0] != pairs[1][0][0])


def test_gradients_are_clipped_as_the_recipe_says(recipe, tmp_path, monkeypatch):
    limits = []
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(
        torch.nn.utils, 'clip_grad_norm_', lambda p, n: limits.append(n) or clip(p, n)
    )
    network = Trainer(recipe, tmp_path / 'run').model.module
    qat.fine_tune(network, recipe, qat.QatPlan(steps=1, observe_steps=1, batch=2))
    assert limits == [0.25]
