"""Lane lines for the verbs: options, recording for `segment`, evaluation for `replay`."""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.bags.bag import Bag
from seg_node.bags.drive_topics import DriveTopics
from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.rays import RayTable
from seg_node.camera.size import Size
from seg_node.class_map import load_class_map
from seg_node.classes import LANE, ClassSet
from seg_node.errors import ConfigError, InputError
from seg_node.files import write_atomic, write_json
from seg_node.images.frames import Frame
from seg_node.lane_lines.calibrate import SelfCalibration
from seg_node.lane_lines.estimator import (
    LaneLineEstimator,
    estimator_options,
    mount_over_ground,
)
from seg_node.lane_lines.evaluate import Boundary, LineScore, TrueLines
from seg_node.lane_lines.export import as_record, openlane, tusimple
from seg_node.lane_lines.from_bag import LineSteps, drive_lines
from seg_node.lane_lines.line import Double, LineKind
from seg_node.lane_lines.samples import RoadView, find_samples
from seg_node.lane_lines.stripes import find_stripes
from seg_node.opendrive import marked_edges
from seg_node.progress import track
from seg_node.rgbd import lane_ids
from seg_node.table import Table

Array = npt.NDArray[np.uint8]
FORMATS = ('json', 'tusimple', 'openlane')
_TRUE_KINDS: dict[str, LineKind] = {'solid': 'solid', 'broken': 'dashed'}


# -- segment ---------------------------------------------------------------------------------


def add_line_arguments(group: Any) -> None:
    """Declare what `segment --lanes` needs to know of a camera."""
    group.add_argument('--lanes', type=Path, metavar='FILE.json', help='lane lines of every frame')
    group.add_argument('--lanes-format', choices=FORMATS, default='json')
    group.add_argument('--fov', type=float, default=90.0, metavar='DEG', help='of the width')
    group.add_argument('--camera-height', type=float, default=1.5, metavar='M')
    group.add_argument(
        '--camera-pitch',
        type=float,
        metavar='DEG',
        help='nose down; default: by the vanishing point of the lines',
    )
    group.add_argument('--camera-yaw', type=float, metavar='DEG', help='to the left; likewise')


class LaneRecorder:
    """Takes the masks of a source one by one and writes their lane lines at the end."""

    def __init__(self, options: argparse.Namespace, classes: ClassSet) -> None:
        if not options.camera_height > 0.0 or not 5.0 <= options.fov <= 170.0:
            raise ConfigError(
                '--lanes: expected --camera-height above 0 m and --fov from 5 to 170 degrees, got '
                f'{options.camera_height:g} and {options.fov:g}'
            )
        self._options = options
        self._estimator_options = estimator_options(classes)
        self._estimator = LaneLineEstimator(self._estimator_options)
        self._calibration = SelfCalibration()
        self._angles = tuple(
            None if angle is None else math.radians(angle)
            for angle in (options.camera_pitch, options.camera_yaw)
        )
        self._view: RoadView | None = None
        self._intrinsics: Intrinsics | None = None
        self._records: list[dict[str, Any]] = []
        self._looked = False

    def add(self, name: str, mask: Array) -> None:
        """One frame's mask, uint8 (H, W) of class ids."""
        size = Size.of(mask)
        if self._view is None or self._view.rays.size != size:
            self._intrinsics = Intrinsics.pinhole(size, self._options.fov)
            self._look()
        assert self._view is not None and self._intrinsics is not None
        lines = self._estimator.step(mask, self._view)
        if None in self._angles:
            marks = self._estimator_options.classes
            self._calibration.add(find_stripes(mask, marks, self._view.rays))
            if not self._looked and self._calibration.result is not None:
                self._looked = True
                self._look()
        if self._options.lanes_format == 'tusimple':
            self._records.append(tusimple(name, lines, self._view, self._intrinsics))
        elif self._options.lanes_format == 'openlane':
            self._records.append(openlane(name, lines, self._view, self._intrinsics))
        else:
            self._records.append(as_record(name, lines))

    def write(self) -> str:
        """Write the file; what it says of the camera, in words."""
        path: Path = self._options.lanes
        angles = self._calibration.result if None in self._angles else None
        if self._options.lanes_format == 'json':
            calibration = None if angles is None else angles.as_dict()
            write_json(path, {'frames': self._records, 'self_calibration': calibration})
        else:
            with write_atomic(path) as temporary:
                text = ''.join(json.dumps(record) + '\n' for record in self._records)
                temporary.write_text(text, encoding='utf-8')
        if None not in self._angles:
            return f'lane lines in {path}'
        return f'lane lines in {path}; camera: {angles or "too few straight lines to calibrate"}'

    def _look(self) -> None:
        """Look at the road with the angles that are known by now."""
        assert self._intrinsics is not None
        angles = self._calibration.result
        pitch, yaw = self._angles
        if pitch is None:
            pitch = angles.pitch if angles else 0.0
        if yaw is None:
            yaw = angles.yaw if angles else 0.0
        mount = mount_over_ground(self._options.camera_height, pitch, yaw=yaw)
        self._view = RoadView(RayTable.of(self._intrinsics), mount)
        self._estimator.reset()


# -- replay ----------------------------------------------------------------------------------


def read_boundaries(path: Path) -> list[Boundary]:
    """True lane boundaries of an OpenDRIVE map. Raises `InputError`."""

    def kind(written: str) -> LineKind:
        return 'double' if '_' in written else _TRUE_KINDS.get(written, 'unknown')

    return [Boundary(edge.key, edge.points, kind(edge.kind)) for edge in marked_edges(path)]


def evaluate_lines(
    bags: Sequence[Path],
    masker: Callable[[Frame], Array],
    classes: ClassSet,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Lane lines of the drives, scored against `--true-lines` where it is given.

    `options`: of `replay`. Gives figures by bag; frames with their lines where there is no truth.
    """
    truth = TrueLines(read_boundaries(options.true_lines)) if options.true_lines else None
    mount: Double | None = None
    if options.camera_height is not None:
        mount = mount_over_ground(
            options.camera_height,
            math.radians(options.camera_pitch),
            math.radians(options.camera_roll),
        )
    steps = LineSteps(masker, estimator_options(classes), mount)
    labels = next((t for t in options.ground_truth if t.startswith('/')), '')
    figures: dict[str, Any] = {}
    for path in bags:
        with Bag(path) as bag:
            topics = DriveTopics.find(
                bag, next(iter(options.topic), ''), options.depth, labels=labels
            )
            count = bag.topic(topics.image)
            frames = itertools.islice(drive_lines(bag, topics, steps), options.limit)
            figures[str(path)] = score_lines(
                track(frames, 'lane lines', options.limit or (count.count if count else None)),
                truth,
                options.class_map,
            )
    return figures


def score_lines(frames: Iterator[Any], truth: TrueLines | None, class_map: str) -> dict[str, Any]:
    """Figures of the frames of a drive; without `truth` their lines. Raises `InputError`."""
    score = LineScore()
    records = []
    to_ids = load_class_map('carla_0_9_14' if class_map == 'auto' else class_map).apply_ids
    lanes = lane_ids(LANE)
    placed = 0
    for frame in frames:
        if truth is None:
            records.append(as_record(str(frame.stamp_ns), frame.lines))
            continue
        if frame.pose is None:
            continue
        placed += 1
        samples = None
        if frame.labels is not None:
            samples = find_samples(to_ids(frame.labels.pixels), lanes, frame.view)
        score.add(frame.lines, truth.near(frame.pose), samples)
        score.times_ms.append(frame.line_ms)
    if truth is None:
        return {'frames': records}
    if not placed:
        raise InputError('--true-lines: expected odometry that says where the vehicle is')
    return score.as_dict()


def print_lines(figures: dict[str, Any]) -> None:
    """A table of what `evaluate_lines` found; nothing where there was no truth."""
    table = Table('lane lines against the map, metres')
    table.columns('drive')
    table.numbers('at', 'median', 'p95', 'n', 'both', 'false', 'type', 'switches')
    scored = {name: drive for name, drive in figures.items() if 'lateral_error_m' in drive}
    for name, drive in scored.items():
        for index, (at, error) in enumerate(drive['lateral_error_m'].items()):
            shares = ['', '', '', '']
            if index == 0:
                values = (drive[k] for k in ('both_boundaries', 'false_lines', 'type_accuracy'))
                shares = ['' if v is None else f'{v:.3f}' for v in values]
                shares.append(str(drive['id_switches']))
            numbers = (f'{error["median"]:.3f}', f'{error["p95"]:.3f}', str(error['n']))
            table.row(Path(name).name if index == 0 else '', f'{at} m', *numbers, *shares)
    if scored:
        table.print()
