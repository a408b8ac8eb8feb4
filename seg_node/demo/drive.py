"""Record a drive that other processes publish: this one listens, and counts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seg_node.classes import ClassSet
from seg_node.demo.outcome import DemoOutcome
from seg_node.demo.sources import Feed
from seg_node.errors import InputError
from seg_node.progress import track
from seg_node.ros.bag_writer import BagThread
from seg_node.ros.recorder import DriveRecorder
from seg_node.ros.session import ensure_running, node_process, spinning
from seg_node.ros_process import ros_arguments

_FIRST_FRAME_S = 60.0
_NEXT_FRAME_S = 5.0


@dataclass(frozen=True)
class DemoDrive:
    """What to record: `frames` whole sets at about `rate` a second, into `folder`.

    `classes`: of the model's masks.
    """

    folder: Path
    frames: int
    rate: float
    feed: Feed
    model: Path | None
    classes: ClassSet


def record(drive: DemoDrive) -> dict[str, Any]:
    """Run the node on the drive's topics and record; the figures of `demo.json`.

    Raises `InputError` when no frame or no mask comes.
    """
    with contextlib.ExitStack() as stack:
        bag = stack.enter_context(BagThread(drive.folder / 'drive.mcap'))
        recorder = DriveRecorder(drive.feed.topics, bag.write)
        stack.enter_context(spinning(recorder))
        check_node = stack.enter_context(_node(drive))

        def check() -> None:
            check_node()
            drive.feed.check()

        recorder.wait_ready(check=check)
        outcome = stack.enter_context(
            DemoOutcome(drive.folder, drive.rate, drive.feed.truth, drive.classes, drive.frames)
        )
        started = time.monotonic()
        for frame_set in track(_sets(recorder, drive.frames), 'demo', drive.frames):
            outcome.add(frame_set)
        seconds = time.monotonic() - started
        if not outcome.frames:
            raise InputError(f'demo: no mask came; the logs are in {drive.folder}')
        counts = recorder.settled_counts(outcome.frames)
        figures = outcome.figures(recorder.diagnostics, counts)
        figures['frames_per_s'] = round(outcome.frames / seconds, 2)
    return figures


def _sets(recorder: DriveRecorder, count: int) -> Iterator[Any]:
    first = next(recorder.sets(_FIRST_FRAME_S), None)
    if first is None:
        return
    yield first
    for _, frame_set in zip(range(count - 1), recorder.sets(_NEXT_FRAME_S)):
        yield frame_set


@contextlib.contextmanager
def _node(drive: DemoDrive) -> Iterator[Callable[[], None]]:
    arguments = ros_arguments(
        {
            'model': str(drive.model) if drive.model else None,
            'use_sim_time': drive.feed.simulated_time,
        }
    )
    arguments += ['-r', f'image:={drive.feed.topics.image}']
    arguments += ['-r', f'camera_info:={drive.feed.topics.camera_info}']
    log = drive.folder / 'seg_node.log'
    with node_process('seg_node.ros.node', arguments, log) as process:
        yield partial(ensure_running, process, log)
