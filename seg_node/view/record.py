"""The drives of an evaluation into one file of Rerun."""

from __future__ import annotations

from pathlib import Path

from seg_node.errors import InputError
from seg_node.pipeline import Segmenter
from seg_node.replay.plan import ReplayPlan
from seg_node.view.entities import DriveEntities, layout
from seg_node.view.frames import LineView, Note, plan_frames
from seg_node.view.sinks import recording_file


def record_drives(
    path: Path, plan: ReplayPlan, segmenter: Segmenter, lines: LineView | None, note: Note
) -> int:
    """Write every frame of the plan to FILE.rrd, a tab a drive; the number of frames.

    A bag that breaks off keeps what came before; `note` gets the line. Raises `InputError` where
    no frame at all could be shown.
    """
    several = len(plan.drives) > 1
    roots = [f'/drive_{i}' if several else '' for i in range(len(plan.drives))]
    truth = plan.scoring.names if plan.has_truth else ()
    number = 0
    with recording_file(path, layout(roots)) as recording:
        for index, root in enumerate(roots):
            classes = segmenter.runner.spec.classes
            entities = DriveEntities(recording, classes, root, truth)
            try:
                for frame in plan_frames(plan, index, segmenter, lines, note):
                    entities.add(frame)
                    number += 1
            except InputError as error:
                note(str(error))
        if not number:
            raise InputError(f'{path}: no frame could be shown')
    return number
