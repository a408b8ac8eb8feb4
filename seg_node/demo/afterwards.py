"""What is made of a recorded demo drive: the lane map and the evaluation report."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

from seg_node.classes import ClassSet
from seg_node.errors import InputError
from seg_node.lane_lines.estimator import estimator_options
from seg_node.lane_map.drive import DriveMap, map_drive
from seg_node.model.loader import default_model, load_model
from seg_node.model.runner import RunOptions, default_cache_dir
from seg_node.pipeline import Segmenter
from seg_node.prerequisites import no_rerun
from seg_node.replay.evaluation import Execution, describe_models, evaluate
from seg_node.replay.page import write_report
from seg_node.replay.plan import ReplayModel, ReplayPlan, ReplayRequest, make_plan
from seg_node.replay.report import build_report
from seg_node.rig_file import camera_mounts
from seg_node.share import share_dir
from seg_node.transforms import Pose, optical_mount
from seg_node.view.frames import LineView

BAG = 'drive.mcap'
_SEMANTIC = '/carla/ego_vehicle/semantic_front/image'
_RGB = '/carla/ego_vehicle/rgb_front/image'


def model_classes(model: Path | None) -> ClassSet:
    """Of the model's masks. Raises `ModelError` for one that cannot be run."""
    return load_model(model, _options()).runner.spec.classes


def map_lanes(folder: Path, model: Path | None, xodr: str | None) -> dict[str, float]:
    """Draw the drive's lane map; its errors against the markings of an OpenDRIVE text.

    What it says goes to `lane-map.log`. Raises `SegNodeError` when it could not be drawn.
    """
    work = folder / 'lane_map'
    truth = None
    if xodr is not None:
        truth = folder / 'town.xodr'
        truth.write_text(xodr, encoding='utf-8')
    drive = DriveMap(
        folder / BAG, work, _RGB, mount=camera_mount(), truth=truth, model=model, run=_options()
    )
    with (folder / 'lane-map.log').open('w', encoding='utf-8') as log:
        figures = map_drive(drive, lambda line: print(line, file=log))
    (work / 'lane_map.png').replace(folder / 'lane_map.png')
    return dict(figures.get('lane_map', {}))


def report(folder: Path, model: Path | None) -> None:
    """Evaluate the drive frame by frame into `report.html` and `report.json`.

    Raises `InputError` when not one frame could be evaluated.
    """
    path, plan = model or default_model(), _plan(folder)
    models = describe_models((ReplayModel(path, _options(), path.stem),), plan)
    with tempfile.TemporaryDirectory(prefix='seg_node_replay_') as work:
        evaluation = evaluate(plan, models, Path(work), Execution())
        evaluated: dict[str, Any] = build_report(evaluation)
        write_report(folder, evaluation, evaluated)
    if not evaluated['frames']['evaluated']:
        raise InputError(
            f'{folder / BAG}: no frame could be evaluated: {evaluated["problems"][:1]}'
        )


def view(folder: Path, model: Path | None) -> str:
    """Write the drive for Rerun, `drive.rrd`; the line to print, also where Rerun is missing."""
    if line := no_rerun():
        return f'no drive.rrd: {line}'
    from seg_node.view.record import record_drives

    segmenter = Segmenter(load_model(model, _options()).runner)
    x, y, z, *angles = camera_mount()
    mount = optical_mount(Pose.of_euler(x, y, z, *map(math.radians, angles)))
    lines = LineView(estimator_options(segmenter.runner.spec.classes), mount)
    path = folder / 'drive.rrd'
    notes: list[str] = []
    number = record_drives(path, _plan(folder), segmenter, lines, notes.append)
    return '; '.join([f'{number} frames for Rerun: rerun {path}', *notes])


def _plan(folder: Path) -> ReplayPlan:
    return make_plan(
        ReplayRequest(
            (folder / BAG,), (_RGB,), ground_truth=(_SEMANTIC,), class_map='carla_0_9_14'
        )
    )


def _options() -> RunOptions:
    return RunOptions(cache_dir=default_cache_dir())


def camera_mount() -> tuple[float, ...]:
    """x, y, z (m), roll, pitch, yaw (degrees) of the shipped rig's front camera (REP-103)."""
    return tuple(camera_mounts(share_dir() / 'config' / 'rig.json')['rgb_front'].values())
