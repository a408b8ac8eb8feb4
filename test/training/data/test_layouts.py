"""Published layouts, built small on disk, and the predecessor's configuration file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from seg_node.errors import ConfigError, InputError
from seg_node_training.config import RECIPES, load_recipe, parse_recipe
from seg_node_training.data.cache import CachedSet
from seg_node_training.data.layouts import open_layout, palette_map
from seg_node_training.data.targets import UNKNOWN
from seg_node_training.evaluate import cli as inference
from seg_node_training.train import cli as train
from seg_node_training.train import legacy
from seg_node_training.train.legacy import load_legacy

ROAD, LINE, OTHER = 1, 2, 0
WANTED = np.array([[OTHER, ROAD, LINE, ROAD]] * 6, np.uint8)
PREDECESSOR = {
    'class_num': {
        'Unlabeled': [0, 0, 0],
        'RoadLine': [157, 234, 50],
        'Road': [128, 64, 128],
        'Building': [70, 70, 70],
    }
}


def write(path: Path, array: np.ndarray) -> None:
    """Save an array; colours are given as RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), array[..., ::-1] if array.ndim == 3 else array)


def colours(*table: tuple[int, int, int]) -> np.ndarray:
    """WANTED painted with the colours of background, road, line."""
    return np.asarray(table, np.uint8)[WANTED]


def photo() -> np.ndarray:
    return np.full((*WANTED.shape, 3), 90, np.uint8)


def carla(root: Path, stem: str = '0001') -> None:
    write(root / f'rgb/train/{stem}.png', photo())
    label = colours((70, 70, 70), (128, 64, 128), (157, 234, 50))
    write(root / f'seg/train/{stem}.png', label)
    (root / 'classes.json').write_text(json.dumps(PREDECESSOR))


def tags(root: Path) -> None:
    write(root / 'images/a.png', photo())
    write(root / 'labels/a.png', np.array([3, 1, 24], np.uint8)[WANTED])


def cityscapes(root: Path) -> None:
    stem = 'aachen/aachen_000000_000019'
    write(root / f'leftImg8bit/train/{stem}_leftImg8bit.png', photo())
    write(
        root / f'gtFine/train/{stem}_gtFine_labelIds.png', np.array([11, 7, 7], np.uint8)[WANTED]
    )


def camvid(root: Path) -> None:
    write(root / 'images/x.png', photo())
    write(root / 'labels/x_L.png', colours((128, 128, 128), (128, 64, 128), (128, 0, 192)))


def camvid_eleven(root: Path) -> None:
    write(root / 'train/x.png', photo())
    write(root / 'trainannot/x.png', np.array([0, 3, 3], np.uint8)[WANTED])


def bdd100k(root: Path) -> None:
    write(root / 'images/10k/train/y.png', photo())
    write(root / 'labels/sem_seg/masks/train/y.png', np.array([2, 0, 0], np.uint8)[WANTED])


def comma10k(root: Path) -> None:
    write(root / 'imgs/0001_z.png', photo())
    write(root / 'masks/0001_z.png', colours((128, 128, 96), (64, 32, 32), (255, 0, 0)))


@pytest.mark.parametrize(
    ('build', 'kind', 'classes', 'lines'),
    [
        (carla, 'carla', None, True),
        (tags, 'tags', 'carla_0_9_14', True),
        (cityscapes, 'cityscapes', None, False),
        (camvid, 'camvid', None, True),
        (camvid_eleven, 'camvid', None, False),
        (bdd100k, 'bdd100k', None, False),
        (comma10k, 'comma10k', None, True),
    ],
)
def test_every_layout_gives_the_same_target(tmp_path, build, kind, classes, lines):
    build(tmp_path)
    data = open_layout(kind, 'set', tmp_path, None, classes, None)
    image, target = data.load(data.sources()[0])
    np.testing.assert_array_equal(image, photo())
    np.testing.assert_array_equal(target[0], np.where(WANTED > 0, 254, 0))
    expected = np.where(WANTED == LINE, 254, 0) if lines else np.full(WANTED.shape, UNKNOWN)
    np.testing.assert_array_equal(target[1], expected)


def test_classes_json_in_both_forms(tmp_path):
    old, new = tmp_path / 'old.json', tmp_path / 'new.json'
    old.write_text(json.dumps(PREDECESSOR))
    listed = [{'id': 0, 'name': n, 'color': c} for n, c in PREDECESSOR['class_num'].items()]
    new.write_text(json.dumps(listed))
    assert palette_map(old).colours == palette_map(new).colours
    assert palette_map(old).colours[(157, 234, 50)] == 2
    new.write_text('{"class_num": {"Sky": [1, 2, 3]}}')
    with pytest.raises(InputError, match='expected a class Road or RoadLine, got Sky'):
        palette_map(new)
    new.write_text('[]]')
    with pytest.raises(InputError, match='expected class names with RGB colours'):
        palette_map(new)


def test_missing_pairs_and_sizes_are_listed_together(tmp_path):
    for stem in ('a', 'b', 'c'):
        carla(tmp_path, stem)
    (tmp_path / 'seg/train/a.png').unlink()
    write(tmp_path / 'seg/train/c.png', np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(InputError, match=r'2 problems: a\.png: no label.*c\.png: size 4x6.*3x3'):
        open_layout('carla', 'set', tmp_path, 'train', None, None).sources()


def test_unknown_colours_are_named_before_training(tmp_path):
    carla(tmp_path)
    label = colours((70, 70, 70), (128, 64, 128), (1, 2, 3))
    write(tmp_path / 'seg/train/0001.png', label)
    data = open_layout('carla', 'set', tmp_path, 'train', None, None)
    with pytest.raises(InputError, match=r'\(1, 2, 3\)'):
        CachedSet(data, tmp_path / 'cache', 6, 4)


def test_an_empty_split_is_one_clear_line(tmp_path):
    carla(tmp_path)
    (tmp_path / 'rgb/val').mkdir()
    with pytest.raises(InputError, match='rgb/val: expected a folder with pictures, found none'):
        open_layout('carla', 'set', tmp_path, 'val', None, None).sources()
    comma10k(tmp_path)
    with pytest.raises(InputError, match='data set set: the split is empty'):
        open_layout('comma10k', 'set', tmp_path, 'val', None, None).sources()


def test_folders_that_are_not_there(tmp_path):
    for kind in ('carla', 'camvid', 'bdd100k', 'comma10k', 'cityscapes'):
        with pytest.raises(InputError):
            open_layout(kind, 'set', tmp_path / 'nowhere', 'train', None, None).sources()
    with pytest.raises(ConfigError, match='expected class_map'):
        open_layout('tags', 'set', tmp_path, None, None, None)


def test_unet_config_is_taken_as_it_is(tmp_path):
    for index in range(6):
        carla(tmp_path / 'Carla_Data', f'{index:04d}')
    config = tmp_path / 'Unet_config.json'
    values = {'epoch': 10, 'pth_path': './carla_pth', 'data_path': './Carla_Data'}
    values |= {'prefix_name': 'unet_epoch', 'shuffle': True, 'data_rate': 0.5}
    values |= {'learning_rate': 1e-4, 'batch_size': 1, 'num_workers': 0, 'depth': 3}
    config.write_text(json.dumps(values | {'img_channel': 3, 'target_channel': 1}))
    recipe, folder = load_legacy(config)
    assert folder == tmp_path / 'carla_pth'
    assert recipe.prefix_name == 'unet'
    assert (recipe.loop.steps_per_epoch, recipe.loop.steps) == (3, 30)
    assert recipe.model.options['depth'] == 3
    assert recipe.optimizer.rate == 1e-4
    assert recipe.data.train[0].kind == 'carla'
    config.write_text(json.dumps({'epochs': 3, 'batch_size': 'two'}))
    with pytest.raises(ConfigError, match=r'2 problems.*did you mean epoch.*batch_size'):
        load_legacy(config)


def test_the_predecessors_commands_in_the_predecessors_folder(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    for split in ('train', 'test'):
        for index in range(2):
            ids = np.zeros((48, 96), np.uint8)
            cv2.line(ids, (30 + 20 * index, 10), (60, 47), 1, 5)
            label = np.array([[128, 64, 128], [157, 234, 50]], np.uint8)[ids]
            noise = rng.integers(0, 30, (48, 96, 1), np.uint8)
            picture = np.array([[60] * 3, [220] * 3], np.uint8)[ids] + noise
            write(tmp_path / f'Carla_Data/rgb/{split}/{index}.png', picture)
            write(tmp_path / f'Carla_Data/seg/{split}/{index}.png', label)
    (tmp_path / 'Carla_Data/classes.json').write_text(json.dumps(PREDECESSOR))
    values = {'epoch': 2, 'pth_path': './carla_pth', 'data_path': './Carla_Data'}
    values |= {'infer_path': './infer', 'prefix_name': 'unet', 'batch_size': 1, 'depth': 1}
    (tmp_path / 'Unet_config.json').write_text(json.dumps(values))
    # Smaller than the predecessor's pictures: the only thing that is not as it was.
    recipe = load_recipe('team1_unet').model_dump()
    recipe['input'] |= {'height': 32, 'width': 64}
    recipe['data'] |= {'cache_height': 32, 'cache_width': 64, 'cache': str(tmp_path / 'cache')}
    recipe['model']['options']['base'] = 4
    monkeypatch.setattr(legacy, 'load_recipe', lambda _: parse_recipe(recipe, 'small'))
    monkeypatch.chdir(tmp_path)

    def command(module: ModuleType, *words: str) -> int:
        monkeypatch.setattr(sys, 'argv', [module.__name__, *words])
        return module.main()

    assert command(train, 'F', '--until', '2') == 0
    assert command(train, 'T', '-p', 'unet_epoch001.pth') == 0
    assert command(inference, 'unet_epoch002.pth') == 0
    report = json.loads((tmp_path / 'infer/metrics.json').read_text())
    assert report['step'] == 4
    assert report['loss'] > 0 and report['fps'] > 0 and report['inference_ms']['median'] > 0
    assert 0 <= report['carla_test']['lane_marking']['iou'] <= 1
    assert len(list((tmp_path / 'infer/carla_test').glob('*.jpg'))) == 2
    assert 'a picture in torch' in capsys.readouterr().out


@pytest.mark.parametrize('name', sorted(p.stem for p in RECIPES.glob('*.yaml')))
def test_recipes_are_valid_and_say_what_may_ship(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    for part in recipe.data.train:
        assert part.licence, part.name
    kept_back = {'camseq01', 'camvid_road', 'carla_samples'}
    assert not any(Path(part.path).name in kept_back for part in recipe.data.train)
