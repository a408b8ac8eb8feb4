"""What is shown of a frame, from bags, videos and folders."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from seg_node.bags.bag import Bag
from seg_node.bags.channel import BagMessage
from seg_node.bags.drive_topics import DriveTopics
from seg_node.bags.joining import LOOK_AHEAD_NS
from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.rays import RayTable
from seg_node.camera.size import Size
from seg_node.errors import ConfigError, FrameError, InputError
from seg_node.images.frames import Frame
from seg_node.lane_lines.estimator import (
    EstimatorOptions,
    LaneLineEstimator,
    estimator_options,
    mount_over_ground,
)
from seg_node.lane_lines.from_bag import DrivenFrame, LineSteps, drive_lines
from seg_node.lane_lines.line import Double
from seg_node.lane_lines.samples import RoadView
from seg_node.metrics.counts import confusion
from seg_node.metrics.figures import ious
from seg_node.pipeline import Segmentation, Segmenter
from seg_node.replay.plan import RecordedDrive, ReplayPlan
from seg_node.replay.reading import DrivePart, PartReader
from seg_node.replay.truth import Coding
from seg_node.sources import Source
from seg_node.timing import Stopwatch

Array = npt.NDArray[np.uint8]
Note = Callable[[str], None]
"""Takes a line about something that is not shown."""


@dataclass(frozen=True)
class ViewFrame:
    """One frame.

    time_ns: its stamp, or the time from the start of a video. mask: uint8 (H, W) class ids.
    confidence: uint8 (H, W), 255 x probability; None without scores. milliseconds: by stage.
    driven: lane lines and pose, where the camera's place is known. truth: uint8 (H, W) evaluation
    ids, 255 ignored. iou: by evaluation class, of the classes that occur.
    """

    time_ns: int
    picture: Frame
    mask: Array
    confidence: Array | None
    milliseconds: Mapping[str, float]
    driven: DrivenFrame | None = None
    truth: Array | None = None
    iou: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LineView:
    """How lane lines are found. mount: optical frame -> `base_link`, (4, 4); None: by the bag's
    `/tf_static`, and no lines for pictures without a bag. fov_deg: of a camera without a
    camera_info, degrees of the width.
    """

    estimator: EstimatorOptions
    mount: Double | None = None
    fov_deg: float = 90.0


def line_view(
    segmenter: Segmenter,
    height: float | None,
    angles_deg: tuple[float, float],
    fov: float = 90.0,
) -> LineView | None:
    """How lane lines are found, by the options; None for a model without lane markings.

    angles_deg: pitch and roll of a camera `height` metres above a flat road. Raises `ConfigError`
    for an impossible height.
    """
    try:
        estimator = estimator_options(segmenter.runner.spec.classes)
    except ConfigError:
        return None
    mount = None
    if height is not None:
        if not height > 0.0:
            raise ConfigError(f'--camera-height: expected above 0 m, got {height:g}')
        mount = mount_over_ground(height, *map(math.radians, angles_deg))
    return LineView(estimator, mount, fov)


class _Watched:
    """A segmenter that remembers its last answer and what it took."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._last: tuple[Frame, Segmentation, Stopwatch] | None = None

    def __call__(self, frame: Frame) -> Array:
        watch = Stopwatch()
        answer = self._segmenter(frame, watch)
        self._last = frame, answer, watch
        return answer.mask

    def view(self, time_ns: int, driven: DrivenFrame | None = None) -> ViewFrame:
        """The last answer; copied, for the segmenter's memory is used again."""
        assert self._last is not None
        frame, answer, watch = self._last
        confidence = answer.confidence()
        return ViewFrame(
            time_ns,
            frame,
            answer.mask.copy(),
            None if confidence is None else confidence.copy(),
            dict(watch.stages),
            driven,
        )


def source_frames(
    source: Source, segmenter: Segmenter, lines: LineView | None, broken: Callable[..., None]
) -> Iterator[ViewFrame]:
    """Frames of pictures, a folder or a video; lines where `lines` says how the camera stands."""
    watched = _Watched(segmenter)
    estimator = None
    if lines is not None and lines.mount is not None:
        estimator = LaneLineEstimator(lines.estimator)
    view: RoadView | None = None
    for item in source.frames(broken):
        try:
            mask = watched(item.frame)
        except FrameError as error:
            broken(InputError(f'{item.origin or item.name}: {error}'))
            continue
        time_ns, driven = round(item.time_s * 1e9), None
        if estimator is not None and lines is not None and lines.mount is not None:
            size = Size.of(mask)
            if view is None or view.rays.size != size:
                rays = RayTable.of(Intrinsics.pinhole(size, lines.fov_deg))
                view = RoadView(rays, lines.mount)
            lines_of_frame = estimator.step(mask, view)
            assert estimator.samples is not None
            driven = DrivenFrame(time_ns, lines_of_frame, view, size, estimator.samples)
        yield watched.view(time_ns, driven)


def plan_frames(
    plan: ReplayPlan, index: int, segmenter: Segmenter, lines: LineView | None, note: Note
) -> Iterator[ViewFrame]:
    """Frames of drive `index` of a plan, with its truth; lines where the bag places the camera.

    What cannot be shown is told to `note` once. Raises `InputError` for a bag that breaks off.
    """
    watched, score = _Watched(segmenter), _FrameScore(plan, segmenter)
    if lines is not None:
        drive = plan.drives[index]
        with Bag(drive.bag) as bag:
            driven: Iterator[DrivenFrame] = iter(())
            first = None
            try:
                driven = _driven(bag, plan, drive, watched, lines)
                first = next(driven, None)
            except InputError as error:
                note(f'lane lines and path are not shown: {error}')
            if first is not None:
                truth = _FrameTruth(plan, drive, note)
                for number, frame in enumerate(itertools.chain((first,), driven)):
                    shown = watched.view(frame.stamp_ns, frame)
                    yield score(shown, truth.of(frame, number, shown.picture))
                return
    reader = PartReader(plan, DrivePart(index, stop=plan.limit))
    for item in reader:
        if item.frame is None:
            note('; '.join(text for _, text in item.remarks))
            continue
        try:
            watched(item.frame)
        except FrameError as error:
            note(f'frame {item.number}: {error}')
            continue
        yield score(watched.view(item.stamp), item.truth)
    for problem in reader.problems:
        note(problem)


def _driven(
    bag: Bag, plan: ReplayPlan, drive: RecordedDrive, watched: _Watched, lines: LineView
) -> Iterator[DrivenFrame]:
    topics = DriveTopics.find(
        bag, drive.camera, drive.depth_topic or 'none', labels=drive.truth_topic or ''
    )

    def selected(messages: Iterable[BagMessage]) -> Iterator[BagMessage]:
        """The camera's messages of the drive's part of the bag, and all that go with them."""
        start, end = drive.start_ns, drive.end_ns
        for message in messages:
            if end is not None and message.log_ns >= end + LOOK_AHEAD_NS:
                return
            before = start is not None and message.log_ns < start
            after = end is not None and message.log_ns >= end
            if message.topic != drive.camera or not (before or after):
                yield message

    steps = LineSteps(watched, lines.estimator, lines.mount)
    return itertools.islice(drive_lines(bag, topics, steps, selected), plan.limit)


class _FrameScore:
    """IoU of one frame by the plan's evaluation classes."""

    def __init__(self, plan: ReplayPlan, segmenter: Segmenter) -> None:
        self._plan = plan
        self._table, _ = plan.scoring.model_lut(segmenter.runner.spec.classes)

    def __call__(self, frame: ViewFrame, truth: Array | None) -> ViewFrame:
        if truth is None:
            return frame
        mask = np.take(self._table, frame.mask)
        counts = confusion(truth, mask, None, self._plan.spec).sum(0)
        class_ious = {
            n: float(v) for n, v in zip(self._plan.scoring.names, ious(counts)) if v == v
        }
        return ViewFrame(
            frame.time_ns,
            frame.picture,
            frame.mask,
            frame.confidence,
            frame.milliseconds,
            frame.driven,
            truth,
            class_ious,
        )


class _FrameTruth:
    """Evaluation ids of a frame whose lines were found, from a topic or a folder."""

    def __init__(self, plan: ReplayPlan, drive: RecordedDrive, note: Note) -> None:
        self._drive, self._tolerance, self._note = drive, plan.tolerance_ns, note
        self._coding: Coding | None = None
        if plan.coding is not None:
            self._coding = plan.coding.then(plan.scoring.truth_lut())

    def of(self, frame: DrivenFrame, number: int, picture: Frame) -> Array | None:
        """uint8 (H, W), or None where the frame has no labels of its size."""
        if self._coding is None:
            return None
        try:
            label = frame.labels
            folder = self._drive.truth_folder
            if folder is not None:
                path = folder.find((frame.stamp_ns,), number, self._tolerance)
                label = None if path is None else folder.read(path)
            if label is None:
                return None
            if (label.width, label.height) != (picture.width, picture.height):
                raise InputError(
                    f'ground truth: expected {picture.width}x{picture.height} as the picture '
                    f'has, got {label.width}x{label.height}'
                )
            return self._coding.labels(label)
        except InputError as error:
            self._note(str(error))
            return None
