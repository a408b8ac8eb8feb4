"""The list of a folder's models, `README.md`, from what the files say of themselves.

`python -m seg_node_training.report.index models`
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from seg_node.errors import ModelError
from seg_node.files import write_atomic
from seg_node.model.loader import default_model
from seg_node.model.spec import ModelSpec
from seg_node_training.command import run_command
from seg_node_training.report.card import card_path


def read_spec(path: Path) -> tuple[ModelSpec, tuple[int, int]]:
    """What a model file says of itself, and its input as (width, height)."""
    graph = onnx.load(path)
    spec = ModelSpec.from_metadata(str(path), {p.key: p.value for p in graph.metadata_props})
    _, height, width, _ = (d.dim_value for d in graph.graph.input[0].type.tensor_type.shape.dim)
    return spec, (width, height)


def index_text(folder: Path) -> str:
    """The page: a row for each int8 file of `folder`, the default first.

    Raises `ModelError` where there is none.
    """
    default = default_model().name
    paths = sorted(folder.glob('*_int8.onnx'), key=lambda path: (path.name != default, path.name))
    if not paths:
        raise ModelError(f'{folder}: no *_int8.onnx to list')
    specs = {path: read_spec(path) for path in paths}
    keys = list(dict.fromkeys(k for spec, _ in specs.values() for k in spec.metrics['int8']))
    rows = [
        f'| file | input | MiB | {" | ".join(key.replace("/", " ") for key in keys)} |',
        f'|---|---|---|{"---|" * len(keys)}',
    ]
    for path, (spec, (width, height)) in specs.items():
        name = f'[`{path.name}`]({card_path(path).name})'
        rows.append(
            f'| {name}{" (default)" if path.name == default else ""} | {width}x{height} '
            f'| {path.stat().st_size / 2**20:.1f} | {_figures(spec.metrics["int8"], keys)} |'
        )
    for name, peer in _peers(folder).items():
        rows.append(
            f'| {name} ({peer["licence"]}; not in this repository) | {peer["input"]} | '
            f'| {_figures(peer["metrics"], keys)} |'
        )
    return '\n'.join(
        [
            '# Models',
            '',
            'IoU of each int8 file on photos that it was not trained on; its card says how it was '
            'measured, what it learnt from and how it is made again. '
            '`model: models/NAME_int8.onnx` takes one; `*_fp32.onnx` is the same network before '
            'quantization. Networks of others were measured by '
            '`python -m seg_node_training.report.peers`.',
            '',
            *rows,
            '',
            'Written by `python -m seg_node_training.report.index models`.',
            '',
        ]
    )


def _figures(metrics: Mapping[str, float], keys: Sequence[str]) -> str:
    values = (metrics.get(key) for key in keys)
    return ' | '.join('–' if value is None else f'{value:.3f}' for value in values)


def _peers(folder: Path) -> dict[str, dict[str, Any]]:
    """What `report.peers` has measured of networks of others, by name."""
    path = folder / 'peers.json'
    known: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else {}
    return known


def write_index(folder: Path) -> Path:
    """Write `README.md` into `folder`; its path."""
    path = folder / 'README.md'
    with write_atomic(path) as temporary:
        temporary.write_text(index_text(folder), encoding='utf-8')
    return path


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument('folder', type=Path)
    return arguments


def run(arguments: argparse.Namespace) -> None:
    """Write the page and say where."""
    print(write_index(arguments.folder))


if __name__ == '__main__':
    raise SystemExit(run_command(parser, run))
