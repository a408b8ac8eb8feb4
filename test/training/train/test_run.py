"""Training runs at toy size: overfit, resume, stop, checkpoints, one-line errors."""

from __future__ import annotations

import importlib
import random
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from toy_training import toy_recipe

from seg_node.errors import ConfigError, InputError, ModelError, SegNodeError
from seg_node_training.config import load_recipe, parse_recipe
from seg_node_training.evaluate.network import torch_scorer
from seg_node_training.evaluate.sets import evaluate_sets, figures
from seg_node_training.models import build_model
from seg_node_training.train import cli as train
from seg_node_training.train.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    load_model,
    save_checkpoint,
)
from seg_node_training.train.cli import limited, overfitting
from seg_node_training.train.loop import Trainer

REPOSITORY = Path(__file__).resolve().parents[3]


def test_four_pictures_are_learnt(trained):
    model, recipe, state = load_model(trained)
    result = figures(evaluate_sets(torch_scorer(model, recipe), recipe, recipe.data.evaluate))
    assert result['scenes/road'] >= 0.95
    assert result['scenes/lane_marking'] >= 0.85
    assert state['history'][-1]['loss'] < 0.6 * state['history'][0]['loss']
    assert trained.name == 'unet_epoch002.pth'
    assert cv2.imread(str(trained.parent / 'curves.png')).std() > 5
    assert list((trained.parent / 'tensorboard').glob('events*'))
    assert (trained.parent / 'history.csv').read_text().startswith('step,loss')


@pytest.mark.parametrize(
    ('part', 'change', 'place', 'advice'),
    [
        ('data', {'cache_height': 61, 'cache_width': 130}, r'130x61 \(data\.cache', '128x56'),
        ('input', {'height': 62, 'width': 128}, r'128x62 \(input\)', '128x56'),
    ],
)
def test_a_size_that_the_network_cannot_halve_is_told_before_training(
    scenes, tmp_path, part, change, place, advice
):
    recipe = toy_recipe(scenes, tmp_path / 'cache')
    changed = getattr(recipe, part).model_copy(update=change)
    recipe = recipe.model_copy(update={part: changed, 'transforms': ()})
    with pytest.raises(ConfigError, match=f'light_unet does not take pictures of {place}') as told:
        Trainer(recipe, tmp_path).run()
    assert f', {advice} would do: ' in str(told.value) and '\n' not in str(told.value)
    assert not (tmp_path / 'cache').exists()


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / 'unet_epoch001.pth'
    save_checkpoint(path, {'step': 1})

    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(InputError, match=r'No space left on device.*previous one is untouched'):
        save_checkpoint(path, {'step': 2})
    monkeypatch.undo()
    assert load_checkpoint(path)['step'] == 1
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_disk_that_fills_up_while_writing(tmp_path):
    path = tmp_path / 'unet_epoch001.pth'
    save_checkpoint(path, {'step': 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(InputError, match='previous one is untouched') as caught:
            save_checkpoint(path, {'step': 2, 'weights': torch.randn(500_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert '\n' not in str(caught.value)
    assert load_checkpoint(path)['step'] == 1
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_run_from_zero_does_not_overwrite_another(scenes, tmp_path, monkeypatch, capsys):
    config = tmp_path / 'toy.yaml'
    recipe = toy_recipe(scenes, tmp_path / 'cache', steps=1, steps_per_epoch=1)
    config.write_text(yaml.safe_dump(recipe.model_dump(mode='json')))
    words = ['train.py', 'F', '--config', str(config), '--out', str(tmp_path / 'run')]
    monkeypatch.setattr(sys, 'argv', words)
    assert train.main() == 0
    saved = tmp_path / 'run' / 'unet_epoch001.pth'
    said = capsys.readouterr().out
    assert re.fullmatch(rf'step 1 of 1: loss \d+\.\d{{4}}; checkpoint {saved}\n', said)
    assert train.main() == 1
    assert 'unet_epoch001.pth is there from another run' in capsys.readouterr().err


def test_interrupted_and_resumed_equals_uninterrupted(scenes, tmp_path):
    recipe = toy_recipe(scenes, tmp_path / 'cache')
    whole = Trainer(recipe, tmp_path / 'whole')
    whole.run()
    Trainer(recipe, tmp_path / 'parts').run(until=7)
    checkpoint = latest_checkpoint(tmp_path / 'parts', 'unet')
    parts = Trainer(recipe, tmp_path / 'parts', load_checkpoint(checkpoint))
    assert parts.step == 7
    parts.run()
    for key, value in whole.state()['ema'].items():
        torch.testing.assert_close(parts.state()['ema'][key], value, atol=1e-4, rtol=1e-4)
    assert whole.history[-1]['loss'] == pytest.approx(parts.history[-1]['loss'], abs=1e-4)
    assert [row['step'] for row in parts.history] == [4, 8, 12]


def test_ctrl_c_at_a_random_step_ends_that_step_and_resumes_exactly(scenes, tmp_path):
    # Dropout and a plateau schedule: what a resumed run could get wrong most easily.
    loop = {'steps': 9, 'steps_per_epoch': 2, 'evaluate_every': 2}
    raw = toy_recipe(scenes, tmp_path / 'cache', **loop).model_dump()
    options = {'base': 4, 'depth': 2, 'dropout': 0.5}
    raw['model'] = {'name': 'dropout_unet', 'options': options}
    raw['optimizer'] |= {'schedule': 'plateau', 'patience': 0, 'warmup_steps': 0}
    recipe = parse_recipe(raw, 'toy')
    whole = Trainer(recipe, tmp_path / 'whole')
    whole.run()
    stop_at = random.randrange(1, 9)
    parts = Trainer(recipe, tmp_path / 'parts')
    one_step = parts.train_step

    def interrupted(*batch: torch.Tensor) -> float | None:
        if parts.step == stop_at:
            signal.raise_signal(signal.SIGINT)
        return one_step(*batch)

    parts.train_step = interrupted
    with pytest.raises(KeyboardInterrupt):
        parts.run()
    checkpoint = latest_checkpoint(tmp_path / 'parts', 'unet')
    rest = Trainer(recipe, tmp_path / 'parts', load_checkpoint(checkpoint))
    assert rest.step == stop_at + 1
    if stop_at < 8:
        rest.run()
    losses = [row['loss'] for row in whole.history]
    assert [row['loss'] for row in rest.history] == pytest.approx(losses, abs=1e-4), stop_at
    for key, value in whole.state()['model'].items():
        torch.testing.assert_close(rest.state()['model'][key], value, msg=f'{key}, {stop_at}')
    assert rest.schedule.rate == whole.schedule.rate


def test_a_run_without_progress_stops_early_and_keeps_its_best(scenes, tmp_path):
    loop = {'steps': 40, 'steps_per_epoch': 1, 'evaluate_every': 1, 'stop_after': 3, 'ema': 0.0}
    raw = toy_recipe(scenes, tmp_path / 'cache', **loop).model_dump()
    # Far too large a rate: the validation loss soon only rises.
    raw['optimizer'] |= {'name': 'sgd', 'rate': 5.0, 'warmup_steps': 0, 'schedule': 'constant'}
    trainer = Trainer(parse_recipe(raw, 'toy'), tmp_path / 'run')
    trainer.run()
    losses = [row['validation_loss'] for row in trainer.history]
    best = int(np.argmin(losses))
    assert len(losses) < 40
    assert len(losses) - 1 - best == 3
    kept = load_checkpoint(tmp_path / 'run' / 'unet_best.pth')
    assert kept['step'] == best + 1
    assert cv2.imread(str(tmp_path / 'run' / 'curves.png')) is not None


def test_letterbox_scores_and_trains_on_what_is_not_bars(scenes, tmp_path):
    raw = toy_recipe(scenes, tmp_path / 'cache', steps=1).model_dump()
    raw['input'] |= {'height': 128, 'resize': 'letterbox'}  # 32 rows of bars above and below
    raw['data'] |= {'cache_height': 128}
    raw['transforms'] = ()
    recipe = parse_recipe(raw, 'toy')

    def perfect(image: np.ndarray) -> np.ndarray:
        assert np.all(image[:32] == 114) and np.all(image[96:] == 114)
        road = (image[..., 1].astype(int) - image[..., 2]) < 30
        return np.stack([road, image[..., 0] > 180]).astype(np.uint8) * 255

    result = figures(evaluate_sets(perfect, recipe, recipe.data.evaluate))
    assert result['scenes/lane_marking'] >= 0.95
    assert result['scenes/road'] >= 0.95
    image, target = Trainer(recipe, tmp_path).pairs()[0]
    assert image.shape == (3, 128, 128)
    assert bool((target[:, :32] == 255).all()) and not bool((target[:, 32:96] == 255).any())


def test_nan_batches_are_skipped_counted_and_fatal_when_they_persist(scenes, tmp_path):
    recipe = toy_recipe(scenes, tmp_path / 'cache', max_bad_batches=2)
    trainer = Trainer(recipe, tmp_path)
    before = {k: v.clone() for k, v in trainer.model.module.named_parameters()}
    bad = torch.zeros(2, 3, 64, 128)
    bad[0, 0, 0, 0] = float('nan')
    target = torch.zeros(2, 2, 64, 128, dtype=torch.uint8)
    assert trainer.train_step(bad, target) is None
    assert trainer.bad_batches == 1
    for key, value in trainer.model.module.named_parameters():
        assert torch.equal(value, before[key])
    trainer.train_step(bad, target)
    with pytest.raises(SegNodeError, match='3 batches without a finite loss'):
        trainer.train_step(bad, target)


def test_broken_checkpoints_are_one_clear_line(trained, tmp_path):
    cut = tmp_path / 'cut.pth'
    cut.write_bytes(trained.read_bytes()[:5000])
    other = tmp_path / 'other.pth'
    torch.save({'weights': torch.zeros(2)}, other)
    for path, text in (
        (cut, 'truncated or not a checkpoint'),
        (other, 'expected a checkpoint of format'),
        (tmp_path / 'none.pth', 'no such checkpoint'),
    ):
        with pytest.raises(ModelError, match=text) as caught:
            load_checkpoint(path)
        assert '\n' not in str(caught.value)


def test_weights_of_another_model_are_refused(trained, scenes, tmp_path):
    state = load_checkpoint(trained)
    recipe = toy_recipe(scenes, tmp_path / 'cache')
    raw = recipe.model_dump(mode='json')
    raw['model']['options'] = {'base': 4, 'depth': 2, 'stem': 8}
    with pytest.raises(ModelError, match='weights of another model'):
        Trainer(parse_recipe(raw, 'toy'), tmp_path, state)


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(ConfigError, match='did you mean light_unet'):
        build_model('light_unett', 2)
    with pytest.raises(ConfigError, match=r'loop\.step_per_epoch.*did you mean steps_per_epoch'):
        parse_recipe({'name': 'x', 'loop': {'step_per_epoch': 3}}, 'x')
    with pytest.raises(ConfigError, match='2 problems'):
        parse_recipe({'name': 'x', 'heads': 'sigmoid', 'loop': {'steps': 0}}, 'x')


@pytest.mark.parametrize(
    ('module', 'words', 'text'),
    [
        ('train', ['T', '-p', 'nowhere.pth'], 'no such checkpoint'),
        ('train', ['F', '--config', 'light_unnet'], 'expected a .yaml file or one of'),
        ('evaluate', ['nowhere.pth'], 'no such checkpoint'),
        ('export', ['nowhere.pth', '-o', 'x.onnx'], 'no such checkpoint'),
        ('quantize', ['nowhere.pth', '-o', 'x_int8.onnx'], 'no such checkpoint'),
    ],
)
def test_errors_are_one_line(module, words, text, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [f'{module}.py', *words])
    assert importlib.import_module(f'seg_node_training.{module}.cli').main() == 1
    error = capsys.readouterr().err.strip()
    assert text in error
    assert len(error.splitlines()) == 1


def test_the_predecessors_command_line_works_from_anywhere(tmp_path):
    script = REPOSITORY / 'training' / 'train.py'
    done = subprocess.run(
        [sys.executable, str(script), 'T', '-p', 'unet_epoch075.pth'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == 'train.py: unet_epoch075.pth: no such checkpoint'


NARROW = {
    'light_unet': {'base': 12, 'depth': 2, 'stem': 12},
    'team1_unet': {'base': 8, 'depth': 2, 'padding': 'valid'},
    'shared_bias_unet': {'channels': 8, 'depth': 3, 'size': 128},
    'residual_unet': {'channels': 8, 'depth': 3},
    'dropout_unet': {'base': 8, 'depth': 2, 'dropout': 0.05},
    'mobilenetv3_small': {'decoder': (64, 48, 32, 24, 16)},
}


@pytest.mark.parametrize('name', sorted(NARROW))
def test_every_recipe_overfits_four_pictures(name, scenes, tmp_path):
    raw = load_recipe(name).model_dump(mode='json')
    toy = toy_recipe(scenes, tmp_path / 'cache').model_dump(mode='json')
    raw['model']['options'] = NARROW[name]
    # The scenes have three classes; the recipes of six classes learn them as ids of a softmax.
    raw['classes'] = 'lane' if raw['classes'] == 'lane_types' else raw['classes']
    raw['data'] = toy['data']
    raw['transforms'] = toy['transforms'][1:]
    raw['input'] |= {'height': 64, 'width': 128}
    raw['loop'] |= {
        'steps': 260 if name in ('light_unet', 'shared_bias_unet') else 140,
        'batch_size': 4,
        'steps_per_epoch': 80,
        'threads': 1,
    }
    raw['loop'] |= {'evaluate_every': 1000, 'workers': 0, 'precision': '32-true', 'ema': 0.9}
    raw['optimizer'] |= {'rate': 0.008, 'warmup_steps': 10, 'schedule': 'cosine', 'clip_norm': 5}
    recipe = parse_recipe(raw, name)
    trainer = Trainer(recipe, tmp_path / 'run')
    trainer.run()
    result = trainer.evaluate()
    if recipe.classes == 'lane':
        assert result['scenes/road'] >= 0.9
    assert result['scenes/lane_marking'] >= 0.9


def test_overfit_and_limit_change_only_the_data(scenes, tmp_path):
    recipe = toy_recipe(scenes, tmp_path / 'cache')
    check = overfitting(recipe, 2)
    assert check.data.train[0].limit == check.data.evaluate[0].limit == 2
    pairs = Trainer(check, tmp_path).pairs()
    image, _ = pairs[0]
    stored = [np.asarray(picture) for picture in pairs.sets[0].images]
    assert any(np.array_equal(image.permute(1, 2, 0).numpy(), picture) for picture in stored)
    assert limited(recipe, 0.5).data.train[0].limit == 2
    with pytest.raises(ConfigError, match='--limit'):
        limited(recipe, 0)
