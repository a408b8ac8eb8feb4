"""Several processes: the same steps as in one, one writer, resume in another number of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from seg_node.errors import ConfigError
from seg_node_training.config import Recipe, parse_recipe
from seg_node_training.data.mixing import Slice, StepLoader
from seg_node_training.train.checkpoint import load_checkpoint
from seg_node_training.train.devices import usable_precision
from seg_node_training.train.loop import Trainer

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope='module')
def recipe(tmp_path_factory) -> Recipe:
    """Six steps of a U-Net without batch normalisation; half of the pictures know only lines."""
    folder = tmp_path_factory.mktemp('two_sets')
    rng = np.random.default_rng(0)
    for index in range(4):
        ids = np.zeros((32, 64), np.uint8)
        ids[12 + index :] = 1
        cv2.line(ids, (30, 14), (10 + 8 * index, 31), 2, 2)
        ids[:, : 10 * index] = 255  # what is known differs from picture to picture
        picture = np.array([60, 110, 230], np.uint8)[np.minimum(ids, 2)]
        picture = picture[..., None] + rng.integers(0, 20, (32, 64, 3), np.uint8)
        for kind, array in (('images', picture), ('labels', ids)):
            (folder / kind).mkdir(exist_ok=True)
            cv2.imwrite(str(folder / kind / f'{index}.png'), array)
    sets = [{'name': k, 'path': str(folder), 'knows': k} for k in ('ids', 'line')]
    raw = {
        'name': 'two processes',
        'model': {'name': 'team1_unet', 'options': {'base': 4, 'depth': 2, 'padding': 'same'}},
        'input': {'height': 32, 'width': 64},
        'data': {'cache': str(folder / 'cache'), 'cache_height': 32, 'cache_width': 64}
        | {'train': sets, 'evaluate': sets[:1]},
        'transforms': [{'window': {'height': 32, 'width': 64}}],
        'loss': {'bce': 1, 'dice': 1, 'tversky': 0.5, 'l2': 1e-4},
        # Not Adam: it makes whole steps of gradients that are nothing but rounding.
        'optimizer': {'name': 'sgd', 'rate': 0.05, 'warmup_steps': 2},
        'loop': {'steps': 6, 'batch_size': 4, 'steps_per_epoch': 1, 'evaluate_every': 3}
        | {'precision': '32-true', 'ema': 0.5, 'workers': 0, 'threads': 1},
    }
    return parse_recipe(raw, 'test')


def test_two_processes_make_the_steps_of_one_and_one_goes_on(recipe, tmp_path):
    whole = Trainer(recipe, tmp_path / 'whole')
    whole.run()
    config = tmp_path / 'recipe.yaml'
    config.write_text(yaml.safe_dump(recipe.model_dump(mode='json')))
    words = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
    words += ['--nproc-per-node', '2', str(REPOSITORY / 'training' / 'train.py'), 'F']
    words += ['--config', str(config), '--out', str(tmp_path / 'two')]
    done = subprocess.run(
        [*words, '--accelerator', 'cpu', '--until', '4'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    written = sorted(p.name for p in (tmp_path / 'two').glob('*_epoch*.pth'))
    assert written == [f'unet_epoch{n:03d}.pth' for n in (1, 2, 3, 4)]
    log = (tmp_path / 'two' / 'train.log').read_text()
    assert log.count('step 4 ') == 1
    rest = Trainer(recipe, tmp_path / 'two', load_checkpoint(tmp_path / 'two' / written[-1]))
    assert rest.step == 4
    rest.run()
    for one, two in zip(whole.history, rest.history, strict=True):
        assert two['loss'] == pytest.approx(one['loss'], abs=1e-5)
        assert two.get('validation_loss') == pytest.approx(one.get('validation_loss'), abs=1e-4)
        assert two.get('ids/road') == pytest.approx(one.get('ids/road'), abs=2e-3)


def test_processes_share_a_batch_without_overlap():
    parts = [position for rank in range(4) for position in Slice(rank, 4).positions(3, 8)]
    assert parts == list(range(24, 32))
    with pytest.raises(ConfigError, match='multiple of the 3 processes, got 8'):
        StepLoader(None, 0, 1, 8, 0, part=Slice(0, 3))


def test_precision_is_what_the_hardware_has(monkeypatch):
    import torch

    assert usable_precision('32-true', gpu=True) == '32-true'
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: False)
    assert usable_precision('bf16-mixed', gpu=True) == '16-mixed'
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: True)
    assert usable_precision('auto', gpu=True) == 'bf16-mixed'
    assert usable_precision('16-mixed', gpu=False) == 'bf16-mixed'
