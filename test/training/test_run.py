"""Training runs at toy size: overfit, resume, checkpoints, export, quantization."""

from __future__ import annotations

import importlib
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
import yaml

from seg_node.errors import ConfigError, InputError, ModelError, SegNodeError
from seg_node.model.spec import ModelSpec
from seg_node_training import train
from seg_node_training.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    load_model,
    save_checkpoint,
)
from seg_node_training.config import Recipe, load_recipe, parse_recipe
from seg_node_training.evaluate import evaluate_sets, figures, torch_scorer
from seg_node_training.graph import (
    Contract,
    compare_with_torch,
    convolution_names,
    export_graph,
    unquantized_convolutions,
    write_metadata,
)
from seg_node_training.loop import Trainer
from seg_node_training.models import build_model, count_parameters
from seg_node_training.ptq import downstream, quantize_int8
from seg_node_training.runtimes import onnxruntime_scorer, openvino_scorer
from seg_node_training.specs import describe
from seg_node_training.train import limited, overfitting

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def pictures(tmp_path_factory) -> Path:
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


@pytest.fixture(scope='module')
def trained(pictures, tmp_path_factory) -> Path:
    """Checkpoint of a run that has overfitted the four scenes."""
    folder = tmp_path_factory.mktemp('run')
    recipe = toy_recipe(pictures, folder / 'cache', steps=120, steps_per_epoch=60)
    Trainer(recipe, folder).run()
    found = latest_checkpoint(folder, 'unet')
    assert found is not None
    return found


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


def test_a_run_from_zero_does_not_overwrite_another(pictures, tmp_path, monkeypatch, capsys):
    config = tmp_path / 'toy.yaml'
    recipe = toy_recipe(pictures, tmp_path / 'cache', steps=1, steps_per_epoch=1)
    config.write_text(yaml.safe_dump(recipe.model_dump(mode='json')))
    words = ['train.py', 'F', '--config', str(config), '--out', str(tmp_path / 'run')]
    monkeypatch.setattr(sys, 'argv', words)
    assert train.main() == 0
    assert train.main() == 1
    assert 'unet_epoch001.pth is there from another run' in capsys.readouterr().err


def test_interrupted_and_resumed_equals_uninterrupted(pictures, tmp_path):
    recipe = toy_recipe(pictures, tmp_path / 'cache')
    whole = Trainer(recipe, tmp_path / 'whole')
    whole.run()
    Trainer(recipe, tmp_path / 'parts').run(until=7)
    found = latest_checkpoint(tmp_path / 'parts', 'unet')
    parts = Trainer(recipe, tmp_path / 'parts', load_checkpoint(found))
    assert parts.step == 7
    parts.run()
    for key, value in whole.state()['ema'].items():
        torch.testing.assert_close(parts.state()['ema'][key], value, atol=1e-4, rtol=1e-4)
    assert whole.history[-1]['loss'] == pytest.approx(parts.history[-1]['loss'], abs=1e-4)
    assert [row['step'] for row in parts.history] == [4, 8, 12]


def test_ctrl_c_at_a_random_step_ends_that_step_and_resumes_exactly(pictures, tmp_path):
    # Dropout and a plateau schedule: what a resumed run could get wrong most easily.
    loop = {'steps': 9, 'steps_per_epoch': 2, 'evaluate_every': 2}
    raw = toy_recipe(pictures, tmp_path / 'cache', **loop).model_dump()
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
    found = latest_checkpoint(tmp_path / 'parts', 'unet')
    rest = Trainer(recipe, tmp_path / 'parts', load_checkpoint(found))
    assert rest.step == stop_at + 1
    if stop_at < 8:
        rest.run()
    losses = [row['loss'] for row in whole.history]
    assert [row['loss'] for row in rest.history] == pytest.approx(losses, abs=1e-4), stop_at
    for key, value in whole.state()['model'].items():
        torch.testing.assert_close(rest.state()['model'][key], value, msg=f'{key}, {stop_at}')
    assert rest.schedule.rate == whole.schedule.rate


def test_a_run_without_progress_stops_early_and_keeps_its_best(pictures, tmp_path):
    loop = {'steps': 40, 'steps_per_epoch': 1, 'evaluate_every': 1, 'stop_after': 3, 'ema': 0.0}
    raw = toy_recipe(pictures, tmp_path / 'cache', **loop).model_dump()
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


def test_letterbox_scores_and_trains_on_what_is_not_bars(pictures, tmp_path):
    raw = toy_recipe(pictures, tmp_path / 'cache', steps=1).model_dump()
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


def test_nan_batches_are_skipped_counted_and_fatal_when_they_persist(pictures, tmp_path):
    recipe = toy_recipe(pictures, tmp_path / 'cache', max_bad_batches=2)
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


def test_weights_of_another_model_are_refused(trained, pictures, tmp_path):
    state = load_checkpoint(trained)
    recipe = toy_recipe(pictures, tmp_path / 'cache')
    raw = recipe.model_dump(mode='json')
    raw['model']['options'] = {'base': 4, 'depth': 2, 'stem': 8}
    with pytest.raises(ModelError, match='weights of another model'):
        Trainer(parse_recipe(raw, 'toy'), tmp_path, state)


@pytest.fixture(scope='module')
def exported(trained, tmp_path_factory) -> tuple[Contract, Path, Path, Recipe]:
    """Contract module, fp32 file, int8 file, recipe."""
    folder = tmp_path_factory.mktemp('export')
    model, recipe, _ = load_model(trained)
    contract = Contract(model, recipe, (128, 100))
    fp32, int8 = folder / 'a_fp32.onnx', folder / 'a_int8.onnx'
    export_graph(contract, (64, 128), fp32)
    rng = np.random.default_rng(1)
    quantize_int8(fp32, int8, list(rng.integers(0, 256, (6, 64, 128, 3), np.uint8)), 'minmax')
    return contract, fp32, int8, recipe


def test_export_equals_torch_and_both_runtimes_agree(exported, trained):
    contract, fp32, _, _ = exported
    rng = np.random.default_rng(2)
    images = list(rng.integers(0, 256, (3, 64, 128, 3), np.uint8))
    assert compare_with_torch(contract, fp32, images) <= 1
    model, recipe, _ = load_model(trained)
    plain = torch_scorer(model, recipe)
    for scorer in (onnxruntime_scorer(fp32), openvino_scorer(fp32)):
        for image in images:
            assert np.abs(plain(image).astype(int) - scorer(image)).max() <= 1


def test_graph_is_the_contract(exported):
    _, fp32, int8, _ = exported
    for path in (fp32, int8):
        graph = onnx.load(path).graph
        ports = {
            p.name: (
                p.type.tensor_type.elem_type,
                [d.dim_value for d in p.type.tensor_type.shape.dim],
            )
            for p in (*graph.input, *graph.output)
        }
        assert ports == {
            'image': (onnx.TensorProto.UINT8, [1, 64, 128, 3]),
            'mask': (onnx.TensorProto.UINT8, [1, 64, 128]),
            'scores': (onnx.TensorProto.UINT8, [1, 2, 64, 128]),
        }


def test_mask_in_the_graph_follows_the_thresholds(exported):
    import onnxruntime

    _, fp32, _, _ = exported
    session = onnxruntime.InferenceSession(str(fp32))
    image = np.random.default_rng(4).integers(0, 256, (1, 64, 128, 3), np.uint8)
    mask, scores = session.run(['mask', 'scores'], {'image': image})
    wanted = np.where(scores[:, 1] >= 100, 2, (scores[:, 0] >= 128).astype(np.uint8))
    np.testing.assert_array_equal(mask, wanted)


def test_every_convolution_but_the_head_is_int8(exported):
    _, fp32, int8, _ = exported
    names = convolution_names(fp32)
    assert unquantized_convolutions(int8) == names[-1:]
    assert len(convolution_names(int8)) == len(names) == 12
    assert set(unquantized_convolutions(fp32)) == set(names)
    # ReLU is folded into the convolutions: nothing but the head's tail is left in float.
    kinds = [node.op_type for node in onnx.load(int8).graph.node]
    assert 'Relu' not in kinds
    assert {'Sigmoid', 'Round'} <= {
        n.op_type for n in onnx.load(fp32).graph.node if n.name in downstream(fp32, names[-1:])
    }


def test_camera_bytes_enter_int8_unscaled(exported):
    graph = onnx.load(exported[2]).graph
    values = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    cast = next(n for n in graph.node if n.op_type == 'Cast')
    first = next(n for n in graph.node if n.input and n.input[0] == cast.output[0])
    assert first.op_type == 'QuantizeLinear'
    assert float(values[first.input[1]]) == 1.0
    assert int(values[first.input[2]]) == 0


def test_metadata_round_trip(exported, tmp_path, trained):
    _, _, int8, recipe = exported
    copy = tmp_path / 'copy_int8.onnx'
    copy.write_bytes(int8.read_bytes())
    base = ModelSpec('toy', recipe.class_set, 'sigmoid', (128, 100))
    state = load_checkpoint(trained)
    spec = describe(base, recipe, 'int8', {'int8': {'scenes/road': 0.5}}, {'observer': 'x'}, state)
    write_metadata(copy, spec)
    found = {p.key: p.value for p in onnx.load(copy).metadata_props}
    again = ModelSpec.from_metadata('copy', found)
    assert again == spec
    assert again.training_data[0]['name'] == 'scenes'
    assert again.thresholds == (128, 100)


def test_light_unet_has_the_size_that_was_measured():
    model = build_model('light_unet', 2, base=16, depth=4, stem=16)
    assert count_parameters(model) == 1_967_320
    assert model(torch.zeros(1, 3, 64, 96)).shape == (1, 2, 64, 96)


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
        ('inference', ['nowhere.pth'], 'no such checkpoint'),
        ('export', ['nowhere.pth', '-o', 'x.onnx'], 'no such checkpoint'),
        ('quantize', ['nowhere.pth', '-o', 'x_int8.onnx'], 'no such checkpoint'),
    ],
)
def test_errors_are_one_line(module, words, text, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [f'{module}.py', *words])
    assert importlib.import_module(f'seg_node_training.{module}').main() == 1
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
def test_every_recipe_overfits_four_pictures(name, pictures, tmp_path):
    raw = load_recipe(name).model_dump(mode='json')
    toy = toy_recipe(pictures, tmp_path / 'cache').model_dump(mode='json')
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


def test_overfit_and_limit_change_only_the_data(pictures, tmp_path):
    recipe = toy_recipe(pictures, tmp_path / 'cache')
    check = overfitting(recipe, 2)
    assert check.data.train[0].limit == check.data.evaluate[0].limit == 2
    pairs = Trainer(check, tmp_path).pairs()
    image, _ = pairs[0]
    stored = [np.asarray(picture) for picture in pairs.sets[0].images]
    assert any(np.array_equal(image.permute(1, 2, 0).numpy(), picture) for picture in stored)
    assert limited(recipe, 0.5).data.train[0].limit == 2
    with pytest.raises(ConfigError, match='--limit'):
        limited(recipe, 0)
