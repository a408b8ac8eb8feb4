"""Evaluate a checkpoint: figures, overlays (worst first), confusion matrices.

`python training/inference.py out/train/light_unet/light_unet_epoch036.pth`
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if __package__ in (None, ''):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import cv2
import numpy as np

from seg_node.errors import ConfigError
from seg_node.files import write_image, write_json
from seg_node.overlay import paint
from seg_node_training.checkpoint import load_model
from seg_node_training.command import run_command
from seg_node_training.config import Recipe, SetPart
from seg_node_training.confusion import Confusion
from seg_node_training.evaluate import U8, evaluate_sets, open_set, picture_name, torch_scorer
from seg_node_training.metrics import SetScore
from seg_node_training.specs import PROTOCOL
from seg_node_training.targets import ids_of


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog='inference.py', description=__doc__)
    made.add_argument('checkpoint', type=Path)
    made.add_argument('--set', nargs='+', help='names of evaluation sets of the recipe; all')
    made.add_argument('-o', '--out', type=Path, help='folder; default: beside the checkpoint')
    made.add_argument('--pictures', type=int, default=20, help='overlays a set, worst first')
    made.add_argument('--weights', choices=('ema', 'model'), default='ema')
    made.add_argument('--thresholds', type=int, nargs='+', help='uint8 score a foreground class')
    return made


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


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says; raises `SegNodeError`."""
    model, recipe, state = load_model(arguments.checkpoint, arguments.weights)
    folder = arguments.out or arguments.checkpoint.with_suffix('')
    report: dict[str, Any] = {'checkpoint': str(arguments.checkpoint), 'protocol': PROTOCOL}
    scorer = torch_scorer(model, recipe)
    spent: list[float] = []

    def timed(image: U8) -> U8:
        begin = time.perf_counter()
        scores = scorer(image)
        spent.append(time.perf_counter() - begin)
        return scores

    for part in chosen_sets(recipe, arguments.set):
        data = open_set(part, recipe)
        confusion = Confusion(recipe.class_set.names)
        kept: dict[str, tuple[Any, U8]] = {}

        def seen(_: str, source: Any, __: U8, ids: U8, kept: Any = kept) -> None:
            kept[picture_name(source)] = (source, ids)

        score = evaluate_sets(timed, recipe, [part], arguments.thresholds, seen)[part.name]
        for source, ids in kept.values():
            confusion.add(ids_of(data.load(source)[1], recipe.classes), ids)
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
        confusion.plot(folder / f'confusion_{part.name}.png', f'{part.name}, step {state["step"]}')
        report[part.name] = score.summary()
        for label, values in score.summary().items():
            shown = '  '.join(f'{k} {v:.4f}' for k, v in values.items() if v is not None)
            print(f'{part.name:16s} {label:14s} {shown}')
    report['inference_ms'] = {
        'median': round(1e3 * float(np.median(spent)), 2),
        'p95': round(1e3 * float(np.quantile(spent, 0.95)), 2),
    }
    report['fps'] = round(1 / float(np.median(spent)), 1)
    write_json(folder / 'metrics.json', report)
    print(f'{PROTOCOL}\n{folder}: {report["inference_ms"]} ms a picture in torch')


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
