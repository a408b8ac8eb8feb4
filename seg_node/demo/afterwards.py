"""What is made of a recorded demo drive: the lane map and the evaluation report.

Both go through the front door, as a user would do it with a bag of his own.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seg_node.cli import main
from seg_node.errors import SegNodeError
from seg_node.share import share_dir

BAG = 'drive.mcap'
_SEMANTIC = '/carla/ego_vehicle/semantic_front/image'
_RGB = '/carla/ego_vehicle/rgb_front/image'


def map_lanes(folder: Path, model: Path | None, xodr: str | None) -> dict[str, float]:
    """Draw the drive's lane map; its errors against the markings of an OpenDRIVE text.

    Raises `SegNodeError` that names the log when it could not be drawn.
    """
    work = folder / 'lane_map'
    arguments = [str(folder / BAG), '-o', str(work), '--image', _RGB]
    arguments += ['--mount', *map(str, camera_mount()), *_model(model)]
    arguments += ['--json', str(work / 'figures.json')]
    if xodr is not None:
        truth = folder / 'town.xodr'
        truth.write_text(xodr, encoding='utf-8')
        arguments += ['--truth', str(truth)]
    _run('lane-map', arguments, folder)
    (work / 'lane_map.png').replace(folder / 'lane_map.png')
    figures = json.loads((work / 'figures.json').read_text(encoding='utf-8'))
    return dict(figures.get('lane_map', {}))


def report(folder: Path, model: Path | None) -> None:
    """Evaluate the drive frame by frame into `report.html` and `report.json`."""
    arguments = [str(folder / BAG), '--topic', _RGB, '--ground-truth', _SEMANTIC]
    arguments += ['--class-map', 'carla_0_9_14', '--report', str(folder), *_model(model)]
    _run('replay', arguments, folder)


def camera_mount() -> tuple[float, ...]:
    """x, y, z (m), roll, pitch, yaw (degrees) of the shipped rig's front camera (REP-103)."""
    rig = json.loads((share_dir() / 'config' / 'rig.json').read_text(encoding='utf-8'))
    sensors = [s for thing in rig['objects'] for s in thing.get('sensors', ())]
    place = next(s['spawn_point'] for s in sensors if s['id'] == 'rgb_front')
    return tuple(float(place[k]) for k in ('x', 'y', 'z', 'roll', 'pitch', 'yaw'))


def _model(model: Path | None) -> Sequence[Any]:
    return () if model is None else ('--model', str(model))


def _run(verb: str, arguments: Sequence[str], folder: Path) -> None:
    log = folder / f'{verb}.log'
    with log.open('w', encoding='utf-8') as out, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(out))
        status = main([verb, *arguments])
    if status not in (0, 3):  # 3: evaluated in part, as the report says
        lines = log.read_text(encoding='utf-8').strip().splitlines()
        raise SegNodeError(f'{verb}: {lines[-1] if lines else "failed"}; see {log}')
