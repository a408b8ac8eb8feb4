"""Look at a drive with its masks: a video, a folder, a picture or a bag, in the viewer Rerun.

Picture, mask, confidence and times of every frame; lane lines in 3-D and the vehicle's path where
a bag has camera_info, /tf_static and odometry, or where --camera-height says how the camera
stands; IoU with --ground-truth. Opens a window; --save writes a file instead, --web serves a page
on this machine alone, until Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from seg_node.bags.bag import is_bag
from seg_node.cli.model_options import add_model_arguments, run_options
from seg_node.errors import ConfigError, InputError
from seg_node.model.loader import load_model
from seg_node.pipeline import Segmenter
from seg_node.progress import track
from seg_node.replay.plan import ReplayPlan, ReplayRequest, make_plan
from seg_node.ros_process import require_rclpy
from seg_node.sources import open_source
from seg_node.view.frames import ViewFrame, line_view, plan_frames, source_frames

if TYPE_CHECKING:
    from seg_node.view.entities import DriveEntities
    from seg_node.view.sinks import Viewer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('input', type=Path, nargs='?', help='picture, folder, video or bag')
    parser.add_argument('--topic', help='camera topic of a bag; default: by what the pictures are')
    parser.add_argument('--start', type=float, default=0.0, metavar='S', help='of a bag, to skip')
    parser.add_argument('--limit', type=int, metavar='N', help='frames at most')
    parser.add_argument(
        '--ground-truth', metavar='TOPIC|FOLDER', help='label images of a bag, as in replay'
    )
    parser.add_argument('--class-map', default='auto', help='of the labels, as in replay')
    live = parser.add_argument_group('a running node')
    live.add_argument(
        '--ros', action='store_true', help='what a running node publishes, until Ctrl-C or --limit'
    )
    live.add_argument('--node', default='/seg_node', help='its full name')
    live.add_argument('--odometry', default='/odom', metavar='TOPIC', help='for path and pose')
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        '--save', type=Path, metavar='FILE.rrd', help='write a file, open no window'
    )
    where.add_argument('--web', action='store_true', help='a page on 127.0.0.1, no window')
    parser.add_argument('--web-port', type=int, default=9090, help='of that page')
    lines = parser.add_argument_group('lane lines')
    lines.add_argument('--camera-height', type=float, metavar='M', help='above a flat road')
    lines.add_argument('--camera-pitch', type=float, default=0.0, metavar='DEG', help='nose down')
    lines.add_argument(
        '--fov', type=float, default=90.0, metavar='DEG', help='of the width, without a bag'
    )
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Show it; 1 when something could not be read."""
    if options.ros == (options.input is not None):
        what = 'nothing beside --ros' if options.ros else 'a picture, a folder, a video or a bag'
        raise ConfigError(f'INPUT: expected {what}')
    if options.limit is not None and options.limit < 1:
        raise ConfigError(f'--limit: expected at least 1 frame, got {options.limit}')
    if not 5.0 <= options.fov <= 170.0:
        raise ConfigError(f'--fov: expected 5 to 170 degrees, got {options.fov:g}')
    # Only here: everything else works without Rerun.
    from seg_node.view.entities import DriveEntities, layout
    from seg_node.view.sinks import recording_file, viewer

    if options.ros:
        require_rclpy()
    broken_frames: list[str] = []
    plan = None if options.ros else _plan(options)
    source = None if plan or options.ros else open_source(options.input)
    segmenter = Segmenter(load_model(options.model, run_options(options)).runner)
    classes = segmenter.runner.spec.classes
    with contextlib.ExitStack() as stack:
        shown = None
        if options.save:
            recording = stack.enter_context(recording_file(options.save, layout()))
        else:
            port = options.web_port if options.web else None
            recording, shown = stack.enter_context(viewer(layout(), port))
            if shown.page:
                print(f'see {shown.page} (Ctrl-C ends it)', flush=True)
        truth_names = plan.scoring.names if plan and plan.has_truth else ()
        entities = DriveEntities(recording, classes, truth_names=truth_names)

        if options.ros:
            number = _live(options, entities, shown)
            print(f'{number} frames' + (f' in {options.save}' if options.save else ' shown'))
            return 0

        def broken(error: InputError) -> None:
            broken_frames.append(str(error))
            print(f'error: {error}', file=sys.stderr)

        lines = line_view(
            segmenter, options.camera_height, (options.camera_pitch, 0.0), options.fov
        )
        if plan is not None:
            frames = plan_frames(plan, 0, segmenter, lines, note)
            count = plan.drives[0].count or None
        else:
            assert source is not None
            frames = source_frames(source, segmenter, lines, broken)
            count = source.count
        frames = itertools.islice(frames, options.limit)
        number = _show(track(frames, 'view', count), entities.add, broken)
        if not number:
            raise InputError(f'{options.input}: no frame could be shown')
        if shown is not None:
            print(f'{number} frames shown', flush=True)
            shown.wait()
    if options.save:
        print(f'{number} frames in {options.save}: rerun {options.save}')
    return 1 if broken_frames else 0


def _live(options: argparse.Namespace, entities: DriveEntities, shown: Viewer | None) -> int:
    """Show a running node until Ctrl-C, `--limit` frames or the viewer's end; the frames."""
    from seg_node.ros.view_client import live_view

    with live_view(options.node, options.odometry) as client:
        client.show(entities)
        print(f'{options.node}: {client.topics.image} and {client.topics.mask}', flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while options.limit is None or client.frames < options.limit:
                if shown is not None and shown.process.poll() is not None:
                    break
                time.sleep(0.05)
        return client.frames


def note(what: str) -> None:
    """Say what is not shown."""
    print(f'note: {what}', file=sys.stderr)


def _plan(options: argparse.Namespace) -> ReplayPlan | None:
    """Of a bag; None for other inputs."""
    path: Path = options.input
    if not (path.exists() and is_bag(path)):
        if options.ground_truth:
            raise ConfigError('--ground-truth: expected a bag as the input')
        return None
    plan = make_plan(
        ReplayRequest(
            (path,),
            (options.topic,) if options.topic else (),
            (options.ground_truth,) if options.ground_truth else (),
            options.class_map,
            start_s=options.start,
            limit=options.limit,
        )
    )
    print(f'camera: {plan.drives[0].choice}')
    for problem in plan.problems:
        note(problem)
    return plan


def _show(
    frames: Iterable[ViewFrame],
    add: Callable[[ViewFrame], None],
    broken: Callable[[InputError], None],
) -> int:
    """Number of frames shown; a source that breaks off keeps what came before."""
    number = 0
    try:
        for frame in frames:
            add(frame)
            number += 1
    except InputError as error:
        if not number:
            raise
        broken(error)
    return number
