"""Record a drive that other processes publish: this one listens, and counts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seg_node.cli.ros_process import ros_arguments
from seg_node.demo.outcome import Outcome
from seg_node.demo.sources import Feed
from seg_node.errors import InputError
from seg_node.progress import track
from seg_node.ros.bag_writer import BagWriter
from seg_node.ros.recorder import Recorder
from seg_node.ros.session import ensure_running, node_process, spinning

_FIRST_FRAME_S = 60.0
_NEXT_FRAME_S = 5.0


@dataclass(frozen=True)
class Drive:
    """What to record: `frames` whole sets at about `rate` a second, into `folder`."""

    folder: Path
    frames: int
    rate: float
    feed: Feed
    model: Path | None


def record(drive: Drive) -> dict[str, Any]:
    """Run the node on the drive's topics and record; the figures of `demo.json`.

    Raises `InputError` when no frame or no mask comes.
    """
    with contextlib.ExitStack() as stack:
        bag = stack.enter_context(BagWriter(drive.folder / 'drive.mcap'))
        recorder = Recorder(drive.feed.topics, bag.write)
        stack.enter_context(spinning(recorder))
        check_node = stack.enter_context(_node(drive))

        def check() -> None:
            check_node()
            drive.feed.check()

        recorder.wait_ready(check=check)
        outcome = stack.enter_context(
            Outcome(drive.folder, drive.rate, drive.feed.truth, drive.frames)
        )
        started = time.monotonic()
        for found in track(_sets(recorder, drive.frames), 'demo', drive.frames):
            outcome.add(found)
        seconds = time.monotonic() - started
        if not outcome.frames:
            raise InputError(f'demo: no mask came; the logs are in {drive.folder}')
        counts = recorder.settled_counts(outcome.frames)
        figures = outcome.figures(recorder.diagnostics, counts)
        figures['frames_per_s'] = round(outcome.frames / seconds, 2)
    return figures


def _sets(recorder: Recorder, count: int) -> Iterator[Any]:
    first = next(recorder.sets(_FIRST_FRAME_S), None)
    if first is None:
        return
    yield first
    for _, found in zip(range(count - 1), recorder.sets(_NEXT_FRAME_S)):
        yield found


@contextlib.contextmanager
def _node(drive: Drive) -> Iterator[Callable[[], None]]:
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
