"""Capture: drives turned into a labelled data set, a bag, or both."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from seg_node.errors import ConfigError, problems_line
from seg_node.files import write_json
from seg_node.progress import progress_bar
from seg_node_sim.client.bag import DriveBag
from seg_node_sim.client.dataset import DatasetWriter, assemble, clear_temporaries
from seg_node_sim.client.errors import ServerLost
from seg_node_sim.client.lane_types import LaneTypes
from seg_node_sim.client.plan import CaptureOptions, DrivePlan, drive_file, plan_drives
from seg_node_sim.client.remote import DriveProcess
from seg_node_sim.client.session import Address
from seg_node_sim.client.tags import numbering

_TRIES = 3
_WAIT_FOR_SERVER_S = 60.0


@dataclass(frozen=True)
class CaptureResult:
    """frames: all of the data set, also those of earlier runs; drives: those of this run."""

    frames: int
    drives: int


def capture(
    folder: Path | None,
    options: CaptureOptions,
    address: Address,
    bag: Path | None = None,
    say: Callable[[str], None] = print,
) -> CaptureResult:
    """Capture everything that is not there yet into `folder`, and all of it into `bag`.

    A drive that was interrupted is driven again from its start, with the same result. Raises
    `SegNodeError`; what is complete is listed in any case.
    """
    check_rig(options)
    drives = plan_drives(options, address)
    todo = drives
    if folder is not None:
        if bag is None:
            todo = tuple(d for d in drives if not drive_file(folder, d).is_file())
        _remember(folder, options)
        clear_temporaries(folder)
        if len(todo) < len(drives):
            say(f'{len(drives) - len(todo)} of {len(drives)} drives are there already')
    total = sum(d.frames for d in todo)
    try:
        with progress_bar() as progress, contextlib.ExitStack() as stack:
            task = progress.add_task('capture', total=total)
            writer = None
            if bag is not None:
                writer = stack.enter_context(DriveBag(bag, options.fps, options.sky_depth))
            for drive in todo:
                progress.update(task, description=f'{drive.name} {drive.split}')
                _drive_with_patience(
                    drive, folder, options, writer, lambda: progress.advance(task), say
                )
    finally:
        frames = assemble(folder, options, drives) if folder is not None else 0
    return CaptureResult(frames if folder is not None else total, len(todo))


def check_rig(options: CaptureOptions) -> None:
    """Raise `ConfigError` when the rig lacks a camera that the capture needs."""
    rig = options.rig
    if rig is None:
        return
    problems = []
    cameras = rig.of_kind('rgb')
    if not cameras:
        problems.append('expected a sensor.camera.rgb, found none')
    else:
        needed = {'semantic': True, 'depth': options.lane_types}
        problems += [
            f'{cameras[0].id}: expected a {kind} camera of the same pose, size and fov'
            for kind, required in needed.items()
            if required and rig.twin(cameras[0], kind) is None  # type: ignore[arg-type]
        ]
    if problems:
        raise ConfigError(problems_line('rig for a capture', problems))


def _remember(folder: Path, options: CaptureOptions) -> None:
    """Keep the options beside the data; refuse to mix two captures in one folder."""
    file = folder / 'capture.json'
    if file.is_file():
        try:
            before = CaptureOptions.model_validate(json.loads(file.read_text(encoding='utf-8')))
        except (ValueError, ValidationError):
            raise ConfigError(f'{file}: not the record of a capture') from None
        differ = [
            f'{name} was {getattr(before, name)!r}, now {getattr(options, name)!r}'
            for name in CaptureOptions.model_fields
            if getattr(before, name) != getattr(options, name)
        ]
        if differ:
            raise ConfigError(
                f'{folder}: holds another capture ({"; ".join(differ)}): '
                'choose another folder, or the same options to resume'
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f'{folder}: expected an empty folder or one of an earlier capture')
    write_json(file, options.model_dump(mode='json'))


def _drive_with_patience(
    drive: DrivePlan,
    folder: Path | None,
    options: CaptureOptions,
    bag: DriveBag | None,
    advance: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Drive; when the server goes away, wait for it and drive again from the start."""
    for attempt in range(1, _TRIES + 1):
        try:
            _drive(drive, folder, options, bag, advance)
            return
        except ServerLost as error:
            # What is in a bag already cannot be taken back.
            if attempt == _TRIES or bag is not None:
                raise
            say(f'{error}; drive {drive.name} begins again')


def _drive(
    drive: DrivePlan,
    folder: Path | None,
    options: CaptureOptions,
    bag: DriveBag | None,
    advance: Callable[[], None],
) -> None:
    with DriveProcess(drive.request, retry_s=_WAIT_FOR_SERVER_S) as process:
        assert process.ready is not None
        tags = numbering(process.ready.server_version)
        lane_types = LaneTypes(process.ready.xodr, tags) if options.lane_types else None
        writer = DatasetWriter(folder, options, tags, lane_types) if folder is not None else None
        if bag is not None:
            bag.begin_drive(drive.request.rig)
        lines = []
        number = 0
        for count, tick in enumerate(process):
            if count % options.every:
                continue
            if writer is not None:
                lines.append(writer.write(drive, number, tick))
            if bag is not None:
                bag.write(tick)
            number += 1
            advance()
            if number == drive.frames:
                break
    if writer is not None:
        writer.finish_drive(drive, lines)
