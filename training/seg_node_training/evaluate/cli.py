"""Evaluate a checkpoint: figures, overlays (worst first), confusion matrices.

`python training/inference.py out/train/light_unet/light_unet_epoch036.pth`
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from seg_node.errors import ConfigError
from seg_node.files import write_image, write_json
from seg_node.images.overlay import paint
from seg_node_training.command import run_command
from seg_node_training.config import Recipe, SetPart
from seg_node_training.data.open import open_set
from seg_node_training.data.targets import ids_of
from seg_node_training.evaluate.confusion import Confusion
from seg_node_training.evaluate.metrics import SetScore
from seg_node_training.evaluate.sets import U8, Seen, evaluate_sets, picture_name
from seg_node_training.evaluate.timed_network import TimedNetwork
from seg_node_training.export.specs import PROTOCOL
from seg_node_training.train.checkpoint import load_model
from seg_node_training.train.legacy import find_checkpoint, pictures_folder


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog='inference.py', description=__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('--set', nargs='+', help='names of evaluation sets of the recipe; all')
    parser.add_argument(
        '-o',
        '--out',
        type=Path,
        help="folder; default: infer_path of an Unet_config.json here, or the checkpoint's name",
    )
    parser.add_argument('--pictures', type=int, default=20, help='overlays a set, worst first')
    parser.add_argument('--weights', choices=('ema', 'model'), default='ema')
    parser.add_argument('--thresholds', type=int, nargs='+', help='uint8 score a foreground class')
    return parser


def chosen_sets(recipe: Recipe, names: list[str] | None) -> list[SetPart]:
    """The evaluation sets of these names; `ConfigError` for one that the recipe has not."""
    known = {part.name: part for part in recipe.data.evaluate}
    missing = [name for name in names or () if name not in known]
    if missing or not known:
        raise ConfigError(
            f'recipe {recipe.name}: no evaluation set {", ".join(missing)}; it has '
            f'{", ".join(known) or "none"}'
        )
    return [known[name] for name in names] if names else list(known.values())


def worst_first(score: SetScore) -> Iterator[tuple[int, str, float]]:
    """(rank, picture, mean IoU of its classes) of a set, the worst picture first."""
    rated = []
    for name, classes in score.pictures:
        values = [v for v in classes.values() if v is not None]
        rated.append((float(np.mean(values)) if values else 1.0, name))
    for rank, (value, name) in enumerate(sorted(rated), 1):
        yield rank, name, value


def evaluate_part(
    timed: TimedNetwork, part: SetPart, arguments: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    """Figures of one set; its overlays and its confusion matrix go into `folder`."""
    recipe = timed.recipe
    data = open_set(part, recipe)
    confusion = Confusion(recipe.class_set.names)
    kept: dict[str, tuple[Any, U8]] = {}

    def watch(seen: Seen) -> None:
        timed.compare(seen)
        confusion.add(ids_of(seen.target, recipe.classes), seen.ids)
        kept[picture_name(seen.source)] = (seen.source, seen.ids)

    score = evaluate_sets(timed.score, recipe, [part], arguments.thresholds, watch)[part.name]
    for rank, name, value in worst_first(score):
        if rank > arguments.pictures:
            break
        source, ids = kept[name]
        image, target = data.load(source)
        truth = ids_of(target, recipe.classes)
        pair = [paint(image, ids, recipe.class_set), paint(image, truth, recipe.class_set)]
        text = f'{name}  IoU {value:.3f}   left: found, right: truth'
        sheet = np.hstack(pair)
        cv2.putText(sheet, text, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 255), 2)
        write_image(folder / part.name / f'{rank:03d}_{value:.3f}_{name}.jpg', sheet)
    confusion.plot(folder / f'confusion_{part.name}.png', part.name)
    table = score.summary()
    for label, values in table.items():
        shown = '  '.join(f'{k} {v:.4f}' for k, v in values.items() if v is not None)
        print(f'{part.name:16s} {label:14s} {shown}')
    return {**table, 'miou': confusion.mean_iou()}


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says; raises `SegNodeError`."""
    checkpoint = find_checkpoint(arguments.checkpoint)
    model, recipe, state = load_model(checkpoint, arguments.weights)
    folder = arguments.out or pictures_folder() or checkpoint.with_suffix('')
    timed = TimedNetwork(model, recipe)
    report: dict[str, Any] = {
        'checkpoint': str(checkpoint),
        'step': state['step'],
        'protocol': PROTOCOL,
    }
    for part in chosen_sets(recipe, arguments.set):
        report[part.name] = evaluate_part(timed, part, arguments, folder)
    median = float(np.median(timed.spent))
    report['loss'] = timed.loss
    report['inference_ms'] = {
        'median': round(1e3 * median, 2),
        'p95': round(1e3 * float(np.quantile(timed.spent, 0.95)), 2),
    }
    report['fps'] = round(1 / median, 1)
    write_json(folder / 'metrics.json', report)
    print(
        f'{PROTOCOL}\n{folder}: loss {report["loss"]:.4f}, {report["inference_ms"]["median"]} ms '
        f'a picture in torch ({report["fps"]} a second)'
    )


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
