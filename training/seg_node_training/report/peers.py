"""A network of others on our evaluation sets, in our protocol, for the list of models.

`python -m seg_node_training.report.peers MODEL.xml --sidecar config/MODEL.xml.yaml -o
models/peers.json` adds its figures to the file; the list is written anew by `report.index`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from seg_node.files import write_json
from seg_node_training.command import run_command
from seg_node_training.config import Recipe, load_recipe
from seg_node_training.evaluate.network import Scorer
from seg_node_training.evaluate.sets import U8, evaluate_sets, figures
from seg_node_training.teach.teacher import Teacher, open_teacher


def as_scorer(teacher: Teacher) -> Scorer:
    """Planes uint8 (2, H, W), road with markings and marking, of one look at the picture."""

    def score(image: U8) -> U8:
        return np.ascontiguousarray(teacher.once(image))

    return score


def protocol(width: int, height: int, data: str | None) -> Recipe:
    """The default recipe's evaluation sets, seen at a peer's own size (pixels)."""
    recipe = load_recipe('light_unet')
    seen = recipe.input.model_copy(update={'width': width, 'height': height})
    sets = recipe.data.model_copy(update={'root': data} if data else {})
    return recipe.model_copy(update={'input': seen, 'data': sets})


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument('model', type=Path, help='OpenVINO IR, or ONNX with its sidecar')
    arguments.add_argument('--sidecar', type=Path, help='of an IR; default: MODEL.xml.yaml')
    arguments.add_argument('--size', default='896x512', help="the peer's input, WIDTHxHEIGHT")
    arguments.add_argument('--licence', required=True)
    arguments.add_argument('--data', help="root of the data sets; default: the recipe's")
    arguments.add_argument('-o', '--out', type=Path, required=True, help='models/peers.json')
    return arguments


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, and add to the file."""
    width, height = (int(part) for part in arguments.size.split('x'))
    recipe = protocol(width, height, arguments.data)
    teacher = open_teacher(arguments.model, arguments.sidecar)
    measured = figures(evaluate_sets(as_scorer(teacher), recipe, recipe.data.evaluate))
    known = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
    known[teacher.name] = {
        'input': arguments.size,
        'licence': arguments.licence,
        'metrics': measured,
    }
    write_json(arguments.out, known)
    for key, value in measured.items():
        print(f'{key:32s} {value:.4f}')


if __name__ == '__main__':
    raise SystemExit(run_command(parser, run))
