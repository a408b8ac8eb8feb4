"""Evaluate models on every frame of recorded drives: bags of ROS 2 (MCAP, sqlite3) or ROS 1.

No ROS is needed. With --ground-truth the masks are scored; without it, flicker, areas and times
are reported. Exit status: 0 everything was evaluated; 3 something could not be (each case one line
on stderr, and in the report), the rest was; 1 nothing could.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from seg_node.bags.writer import check_bag_name
from seg_node.cli.model_options import run_options
from seg_node.errors import ConfigError
from seg_node.files import write_json
from seg_node.images.video import check_video_name
from seg_node.model.loader import default_model, load_model
from seg_node.model.runner import BACKENDS, DEVICES, PRECISIONS
from seg_node.pipeline import Segmenter
from seg_node.prerequisites import require_rerun
from seg_node.replay.distance import Bands
from seg_node.replay.engines import ENGINES
from seg_node.replay.evaluation import Evaluation, Execution, describe_models, evaluate
from seg_node.replay.plan import ReplayModel, ReplayRequest, make_plan
from seg_node.replay.realtime import Realtime, play, problems
from seg_node.replay.report import build_report
from seg_node.replay.scoring import SCORES
from seg_node.replay.table import print_report
from seg_node.ros_process import require_rclpy
from seg_node.view.frames import line_view

EVALUATED_IN_PART = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('bags', type=Path, nargs='+', metavar='BAG', help='bag file or folder')
    parser.add_argument(
        '--topic',
        action='append',
        default=[],
        help='camera, may be repeated; a * stands for the cameras of a rig, as in /rig/*/image; '
        'default: by what the pictures are',
    )
    parser.add_argument('--start', type=float, default=0.0, metavar='S', help='seconds to skip')
    parser.add_argument('--duration', type=float, metavar='S', help='seconds to evaluate')
    parser.add_argument('--limit', type=int, metavar='N', help='frames of each drive at most')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures')
    _truth_arguments(parser.add_argument_group('ground truth'))
    _report_arguments(parser.add_argument_group('report'))
    _model_arguments(parser.add_argument_group('models'))
    _realtime_arguments(parser.add_argument_group('real time'))
    work = parser.add_argument_group('work')
    work.add_argument('--workers', type=int, default=1, help='processes, or workers of an engine')
    work.add_argument('--shards', type=int, help='parts of each drive; default: one a worker')
    work.add_argument('--engine', choices=ENGINES, default='processes')
    work.add_argument('--address', help='of a Dask or Ray cluster; default: one on this machine')
    work.add_argument('--resume', action='store_true', help='go on where a run was interrupted')
    work.add_argument('--work-dir', type=Path, help='records of the run; default: in --report')
    work.add_argument('--measure-rate', action='store_true', help='time the network alone as well')


def _truth_arguments(group: Any) -> None:
    group.add_argument(
        '--ground-truth',
        action='append',
        default=[],
        metavar='TOPIC|FOLDER',
        help='label images: a topic of the bag, or PNGs named by stamp or frame number; a * is '
        'what stands for that of --topic',
    )
    group.add_argument(
        '--class-map',
        default='auto',
        help='auto, ids, lane_types, a shipped map (carla_0_9_14, …) or a YAML file',
    )
    group.add_argument(
        '--score', choices=SCORES, default='auto', help='road: road or marking counts as road'
    )
    group.add_argument('--tolerance', type=int, default=2, metavar='PX', help='of the lane IoU')
    group.add_argument('--sync-tolerance', type=float, default=1.0, metavar='MS')
    group.add_argument('--depth', default='auto', metavar='TOPIC', help='auto, none or a topic')
    group.add_argument('--camera-height', type=float, metavar='M', help='bands by a flat ground')
    group.add_argument('--camera-pitch', type=float, default=0.0, metavar='DEG', help='downwards')
    group.add_argument('--camera-roll', type=float, default=0.0, metavar='DEG', help='rightwards')
    group.add_argument(
        '--lane-lines', action='store_true', help='lane lines of every frame, into --json'
    )
    group.add_argument(
        '--true-lines',
        type=Path,
        metavar='FILE.xodr|TOWN',
        help='OpenDRIVE map of the drive, or town of the embedded world: lane lines are scored '
        'against it',
    )
    group.add_argument('--bands', default='10,20,40', metavar='M,M,…', help='edges of the bands')


def _report_arguments(group: Any) -> None:
    group.add_argument('--report', type=Path, metavar='DIR', help='report.html and report.json')
    group.add_argument(
        '--mcap', type=Path, metavar='FILE', help='bag with masks, overlays, figures'
    )
    group.add_argument('--video', type=Path, metavar='FILE.mp4', help='overlay video')
    group.add_argument(
        '--rerun', type=Path, metavar='FILE.rrd', help='the frames as `view` shows them'
    )


def _realtime_arguments(group: Any) -> None:
    group.add_argument(
        '--realtime', action='store_true', help='also play into a running seg_node and compare'
    )
    group.add_argument('--rate', type=float, default=1.0, help='times the recorded pace')
    group.add_argument('--wait', type=float, default=20.0, metavar='S', help='for the node')
    group.add_argument('--image-topic', default='/image', help='what the node subscribes')
    group.add_argument('--mask-topic', default='/seg_node/mask', help='what the node publishes')


def _model_arguments(group: Any) -> None:
    group.add_argument(
        '--model',
        type=Path,
        nargs='+',
        action='extend',
        default=[],
        help='model files (.onnx), compared with the first; default: the shipped one',
    )
    group.add_argument('--backend', choices=BACKENDS, default='auto')
    group.add_argument('--precision', choices=PRECISIONS, default='int8')
    group.add_argument('--device', choices=DEVICES, default='cpu')
    group.add_argument(
        '--threads', type=int, default=0, help='0: the cores, shared by the workers'
    )
    group.add_argument(
        '--streams',
        type=int,
        default=0,
        help='frames in the network at a time; 0: as suits the cores; 1: latency as in the node',
    )
    group.add_argument('--no-cache', action='store_true', help='compile the models anew')


def run(options: argparse.Namespace) -> int:
    """Evaluate, print, write what was asked for."""
    execution = Execution(
        options.engine,
        options.workers,
        options.workers if options.shards is None else options.shards,
        options.address,
        options.resume,
        options.streams,
    )
    if options.rerun:
        require_rerun()
    # Not after hours of evaluation.
    if options.video:
        check_video_name(options.video)
    if options.mcap:
        check_bag_name(options.mcap)
    plan = make_plan(_request(options))
    for drive in plan.drives:
        print(f'{drive.bag}: camera: {drive.choice}')
    models = describe_models(_choices(options), plan, options.measure_rate)
    with _work_folder(options) as work:
        evaluation = evaluate(plan, models, work, execution)
        report = build_report(evaluation)
        if options.realtime:
            _realtime(options, evaluation, report)
        if options.lane_lines or options.true_lines:
            report['lane_lines'] = _lane_lines(options)
        print_report(report)  # first: a disk that is full must not take the figures with it
        if options.json:
            write_json(options.json, report)
        _extras(options, evaluation, report)
        for problem in report['problems']:
            print(f'error: {problem}', file=sys.stderr)
        if not report['frames']['evaluated']:
            return 1
        return EVALUATED_IN_PART if report['problems'] else 0


def _realtime(options: argparse.Namespace, evaluation: Evaluation, report: dict[str, Any]) -> None:
    """Play the drives into the running node; what came of it goes into the report."""
    require_rclpy()
    from seg_node.ros.replay_client import replay_client

    settings = Realtime(options.image_topic, options.mask_topic, options.rate, options.wait)
    report['realtime'] = play(evaluation, settings, replay_client)
    report['problems'] += problems(report['realtime'])
    report['complete'] = not report['problems']


def _lane_lines(options: argparse.Namespace) -> dict[str, Any]:
    """Lane lines of the drives, by the first model."""
    from seg_node.cli.lane_lines import evaluate_lines, print_lines

    choice = _choices(options)[0]
    runner = load_model(choice.path, choice.options).runner
    segmenter = Segmenter(runner)
    figures = evaluate_lines(
        options.bags, lambda frame: segmenter(frame).mask, runner.spec.classes, options
    )
    print_lines(figures)
    return figures


def _extras(options: argparse.Namespace, evaluation: Evaluation, report: dict[str, Any]) -> None:
    if options.report:
        from seg_node.replay.page import write_report

        write_report(options.report, evaluation, report)
    if options.mcap or options.video:
        from seg_node.replay.annotate import annotate

        annotate(evaluation, options.mcap, options.video, report['frames']['rate_hz'])
    if options.rerun:
        _rerun(options, evaluation)


def _rerun(options: argparse.Namespace, evaluation: Evaluation) -> None:
    """The frames once more, by the first model, for the viewer."""
    from seg_node.view.record import record_drives

    choice = _choices(options)[0]
    segmenter = Segmenter(load_model(choice.path, choice.options).runner)
    angles = (options.camera_pitch, options.camera_roll)
    lines = line_view(segmenter, options.camera_height, angles)
    number = record_drives(options.rerun, evaluation.plan, segmenter, lines, _note)
    print(f'{number} frames in {options.rerun}: rerun {options.rerun}')


def _note(what: str) -> None:
    print(f'note: {what}', file=sys.stderr)


def _request(options: argparse.Namespace) -> ReplayRequest:
    return ReplayRequest(
        bags=tuple(options.bags),
        topics=tuple(options.topic),
        ground_truth=tuple(options.ground_truth),
        class_map=options.class_map,
        score=options.score,
        depth=options.depth,
        bands=Bands.parse(options.bands),
        camera_height_m=options.camera_height,
        camera_pitch_deg=options.camera_pitch,
        camera_roll_deg=options.camera_roll,
        tolerance_px=options.tolerance,
        sync_tolerance_ms=options.sync_tolerance,
        start_s=options.start,
        duration_s=options.duration,
        limit=options.limit,
    )


def _choices(options: argparse.Namespace) -> tuple[ReplayModel, ...]:
    settings = run_options(options)
    if not settings.threads:
        settings = replace(settings, threads=max(1, settings.thread_count // options.workers))
    paths = options.model or [default_model()]
    stems = Counter(path.stem for path in paths)
    seen: Counter[str] = Counter()
    choices = []
    for path in paths:
        seen[path.stem] += 1
        label = path.stem if stems[path.stem] == 1 else f'{path.stem} #{seen[path.stem]}'
        choices.append(ReplayModel(path, settings, label))
    return tuple(choices)


@contextlib.contextmanager
def _work_folder(options: argparse.Namespace) -> Iterator[Path]:
    """Where the records of the run are kept; removed when it ended well."""
    chosen = options.work_dir or (options.report / '.replay' if options.report else None)
    if chosen is None:
        if options.resume:
            raise ConfigError('--resume: needs the --report or --work-dir of the run before')
        with tempfile.TemporaryDirectory(prefix='seg_node_replay_') as folder:
            yield Path(folder)
        return
    try:
        yield chosen
    except KeyboardInterrupt:
        print(f'records are in {chosen}: --resume goes on from there', file=sys.stderr)
        raise
    for path in (*chosen.glob('shard_*'), chosen / 'plan.json'):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        chosen.rmdir()
