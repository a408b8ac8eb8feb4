"""The predecessor's `Unet_config.json`, taken as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seg_node.errors import ConfigError, near_name, problems_line
from seg_node_training.config import Recipe, load_recipe, parse_recipe

CONFIG = 'Unet_config.json'

KEYS: dict[str, type | tuple[type, ...]] = {
    'epoch': int,
    'pth_path': str,
    'data_path': str,
    'infer_path': str,
    'prefix_name': str,
    'shuffle': bool,
    'data_rate': (int, float),
    'learning_rate': (int, float),
    'batch_size': int,
    'num_workers': int,
    'depth': int,
    'img_channel': int,
    'target_channel': int,
}


def load_legacy(path: Path) -> tuple[Recipe, Path]:
    """Recipe and checkpoint folder of an `Unet_config.json`; paths relative to the file.

    `epoch` epochs of `data_rate` x the training pictures; the rest of the recipe is
    `team1_unet`'s. Raises `ConfigError` that lists every wrong key.
    """
    raw = read_legacy(path)
    base = path.resolve().parent
    return _recipe(raw, base, str(path)), base / raw.get('pth_path', './carla_pth')


def find_checkpoint(path: Path) -> Path:
    """`path`, or the file of this name in the `pth_path` of an `Unet_config.json` beside us."""
    if path.exists() or path.is_absolute() or not Path(CONFIG).is_file():
        return path
    inside = Path(read_legacy(Path(CONFIG)).get('pth_path', './carla_pth')) / path
    return inside if inside.is_file() else path


def pictures_folder() -> Path | None:
    """`infer_path` of an `Unet_config.json` in the present folder; None without one."""
    config = Path(CONFIG)
    pictures = read_legacy(config).get('infer_path') if config.is_file() else None
    return Path(pictures) if pictures else None


def read_legacy(path: Path) -> dict[str, Any]:
    """The checked keys and values of an `Unet_config.json`."""
    try:
        raw = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ConfigError(f'{path}: {error.strerror}') from None
    except ValueError as error:
        raise ConfigError(f'{path}: not JSON: {error}') from None
    if not isinstance(raw, dict):
        raise ConfigError(f'{path}: expected a mapping, got {type(raw).__name__}')
    problems = []
    for key, value in raw.items():
        if key not in KEYS:
            problems.append(f'{key}: unknown key, {near_name(key, KEYS)}')
        elif not isinstance(value, KEYS[key]):
            problems.append(f'{key}: of the wrong type, got {value!r}')
    if raw.get('img_channel', 3) != 3 or raw.get('target_channel', 1) != 1:
        problems.append('img_channel, target_channel: expected 3 and 1')
    if problems:
        raise ConfigError(problems_line(str(path), problems))
    return raw


def _recipe(raw: dict[str, Any], base: Path, subject: str) -> Recipe:
    data = (base / raw.get('data_path', './Carla_Data')).resolve()
    pictures = len(list((data / 'rgb' / 'train').glob('*.png')))
    if not pictures:
        raise ConfigError(f'{subject}: data_path: no pictures in {data / "rgb" / "train"}')
    batch = raw.get('batch_size', 1)
    epoch = max(1, round(pictures * raw.get('data_rate', 1.0) / batch))
    recipe = load_recipe('team1_unet').model_dump(mode='json')
    recipe['prefix_name'] = raw.get('prefix_name', 'unet').removesuffix('_epoch')
    recipe['model']['options']['depth'] = raw.get('depth', 4)
    recipe['data']['root'] = str(data)
    splits = {'train': 'train', 'evaluate': 'test', 'calibrate': 'train'}
    for use, split in splits.items():
        part = {'name': f'carla_{split}', 'kind': 'carla', 'path': '.', 'split': split}
        exists = (data / 'rgb' / split).is_dir()
        recipe['data'][use] = [part] if exists else []
    recipe['optimizer']['rate'] = raw.get('learning_rate', 1e-4)
    recipe['loop'] |= {
        'batch_size': batch,
        'workers': raw.get('num_workers', 0),
        'steps_per_epoch': epoch,
        'evaluate_every': epoch,
        'steps': epoch * raw.get('epoch', 10),
    }
    return parse_recipe(recipe, subject)
