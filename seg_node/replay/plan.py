"""What is evaluated: topics, labels, distances and selection, settled before the first frame."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import radians
from pathlib import Path

from seg_node.bags.bag import CAMERA_INFO_TYPE, IMAGE_TYPES, Bag
from seg_node.bags.camera import (
    BagCamera,
    camera_info_beside,
    choose_camera,
    choose_depth,
    decode_image,
)
from seg_node.bags.channel import BagMessage
from seg_node.camera.camera_info import calibration_of
from seg_node.camera.ground import GroundPlane, GroundView
from seg_node.errors import ConfigError, InputError, SegNodeError
from seg_node.images.frames import Frame
from seg_node.metrics.counts import CountSpec
from seg_node.model.runner import RunOptions
from seg_node.replay.distance import Bands
from seg_node.replay.scoring import Score, Scoring, choose_scoring
from seg_node.replay.truth import Coding, LabelFolder, choose_coding
from seg_node.topic_pattern import TopicPattern

_SAMPLES = 8
"""Label pictures that are looked at to find the class map."""


@dataclass(frozen=True)
class ReplayRequest:
    """What a person asked for; see the verb's help for the meaning and the units."""

    bags: tuple[Path, ...]
    topics: tuple[str, ...] = ()
    ground_truth: tuple[str, ...] = ()
    class_map: str = 'auto'
    score: Score = 'auto'
    depth: str = 'auto'
    bands: Bands = field(default_factory=lambda: Bands((10.0, 20.0, 40.0)))
    camera_height_m: float | None = None
    camera_pitch_deg: float = 0.0
    camera_roll_deg: float = 0.0
    tolerance_px: int = 2
    sync_tolerance_ms: float = 1.0
    start_s: float = 0.0
    duration_s: float | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f'--limit: expected at least 1 frame, got {self.limit}')
        if self.start_s < 0 or (self.duration_s is not None and self.duration_s <= 0):
            raise ConfigError('--start, --duration: expected seconds from 0 on and above 0')
        if self.sync_tolerance_ms < 0:
            raise ConfigError(
                f'--sync-tolerance: expected 0 or more, got {self.sync_tolerance_ms}'
            )
        patterns = [name for name in (*self.topics, *self.ground_truth) if '*' in name]
        for name in patterns:
            TopicPattern.of(name)
        if patterns and not any('*' in topic for topic in self.topics):
            raise ConfigError(f'--ground-truth {patterns[0]}: expected a --topic with a * as well')
        if len(self.ground_truth) > 1 and len(self.ground_truth) != max(1, len(self.topics)):
            raise ConfigError(
                f'--ground-truth: expected one, or one for each of {len(self.topics)} --topic, '
                f'got {len(self.ground_truth)}'
            )


@dataclass(frozen=True)
class ReplayModel:
    """A model file, how it is run, and the name that tells it apart in the report."""

    path: Path
    options: RunOptions
    label: str


@dataclass(frozen=True)
class RecordedDrive:
    """One camera topic of one bag: the frames of a drive, in order.

    `start_ns`, `end_ns`: log times of the selection (None: open). `count`: frames that the bag
    says it has.
    """

    bag: Path
    camera: str
    count: int
    truth_topic: str | None = None
    truth_folder: LabelFolder | None = None
    depth_topic: str | None = None
    ground: GroundView | None = None
    distance: str = 'unknown'
    start_ns: int | None = None
    end_ns: int | None = None
    others: tuple[str, ...] = ()
    choice: str = ''
    """The camera in words: what it is and what else it could have been."""

    @property
    def has_truth(self) -> bool:
        """Whether the drive has labels."""
        return self.truth_topic is not None or self.truth_folder is not None


@dataclass(frozen=True)
class ReplayPlan:
    """Everything that decides the figures; the same plan gives the same figures."""

    drives: tuple[RecordedDrive, ...]
    coding: Coding | None
    scoring: Scoring
    spec: CountSpec
    bands: Bands
    tolerance_ns: int
    limit: int | None
    problems: tuple[str, ...] = ()

    @property
    def has_truth(self) -> bool:
        """Whether any labels are scored."""
        return self.coding is not None


def make_plan(request: ReplayRequest) -> ReplayPlan:
    """Look into the bags and settle what is to be done.

    A bag or topic that cannot be used is left out and named in `problems`; raises `InputError`
    when nothing is left.
    """
    drives: list[RecordedDrive] = []
    samples: list[Frame] = []
    problems: list[str] = []
    for path in request.bags:
        try:
            with Bag(path) as bag:
                for drive in _drives_of(bag, request, problems):
                    drives.append(drive)
                    if len(samples) < _SAMPLES:
                        samples += _label_samples(bag, drive, _SAMPLES - len(samples))
                problems += [p for p in bag.problems if p not in problems]
        except InputError as error:
            problems.append(str(error))
    if not drives:
        raise InputError(problems[0] if problems else 'expected a bag, got none')
    coding = None
    if any(drive.has_truth for drive in drives):
        coding = choose_coding(request.class_map, samples)
    scoring = choose_scoring(coding, request.score)
    return ReplayPlan(
        drives=tuple(drives),
        coding=coding,
        scoring=scoring,
        spec=CountSpec(
            len(scoring.names), len(request.bands), scoring.markings, request.tolerance_px
        ),
        bands=request.bands,
        tolerance_ns=round(request.sync_tolerance_ms * 1e6),
        limit=request.limit,
        problems=tuple(problems),
    )


def _drives_of(bag: Bag, request: ReplayRequest, problems: list[str]) -> list[RecordedDrive]:
    drives = []
    for camera, truth in _cameras(bag, request, problems):
        name = camera.topic.name
        first = next(bag.messages([name]), None)
        if first is None:
            problems.append(f'{bag.path}: {name}: expected pictures, the topic is empty')
            continue
        start = None if not request.start_s else first.log_ns + round(request.start_s * 1e9)
        end = (
            None
            if request.duration_s is None
            else (start or first.log_ns) + round(request.duration_s * 1e9)
        )
        drive = RecordedDrive(
            bag.path,
            camera.topic.name,
            camera.topic.count,
            start_ns=start,
            end_ns=end,
            others=camera.others,
            choice=str(camera),
        )
        drive = _with_truth(bag, drive, truth, problems)
        drives.append(_with_distance(bag, drive, request, problems))
    return drives


def _cameras(
    bag: Bag, request: ReplayRequest, problems: list[str]
) -> list[tuple[BagCamera, str | None]]:
    """The cameras that are asked for, each with its ground truth (topic or folder; None: none)."""
    chosen: list[tuple[BagCamera, str | None]] = []
    taken = {*request.ground_truth, request.depth}
    truths = request.ground_truth or (None,)
    for index, name in enumerate(request.topics or (None,)):
        truth = truths[index if len(truths) > 1 else 0]
        try:
            for topic, part in _topics(bag, name):
                of_topic = truth.replace('*', part) if truth and part else truth
                chosen.append((choose_camera(bag, topic, taken), of_topic))
        except InputError as error:
            problems.append(str(error))
    return chosen


def _topics(bag: Bag, name: str | None) -> list[tuple[str | None, str]]:
    """The topic, or all that match a pattern, each with what stands for its `*`."""
    if name is None or '*' not in name:
        return [(name, '')]
    pattern = TopicPattern.of(name)
    images = sorted(topic.name for topic in bag.of_type(*IMAGE_TYPES))
    matching = [(topic, part) for topic in images if (part := pattern.part(topic))]
    if not matching:
        listed = ', '.join(images) or 'none'
        raise InputError(f'{bag.path}: expected camera topics {name}, found {listed}')
    return list(matching)


def _with_truth(
    bag: Bag, drive: RecordedDrive, source: str | None, problems: list[str]
) -> RecordedDrive:
    if source is None:
        return drive
    topic = bag.topic(source)
    if topic is not None and topic.type in IMAGE_TYPES:
        return replace(drive, truth_topic=source)
    folder = Path(source)
    if folder.is_dir():
        return replace(drive, truth_folder=LabelFolder.open(folder))
    listed = ', '.join(t.name for t in bag.of_type(*IMAGE_TYPES))
    problems.append(
        f'{bag.path}: ground truth {source}: expected a folder or an image topic of {listed}'
    )
    return drive


def _with_distance(
    bag: Bag, drive: RecordedDrive, request: ReplayRequest, problems: list[str]
) -> RecordedDrive:
    if request.depth not in ('auto', 'none'):
        if bag.topic(request.depth) is not None:
            return replace(drive, depth_topic=request.depth, distance=f'depth {request.depth}')
        problems.append(f'{bag.path}: --depth {request.depth}: no such topic')
    elif request.depth == 'auto' and request.camera_height_m is None:
        depth_topic = choose_depth(bag, drive.camera)
        if depth_topic is not None:
            return replace(drive, depth_topic=depth_topic, distance=f'depth {depth_topic}')
    if request.camera_height_m is None:
        return drive
    info = _camera_info(bag, drive.camera)
    if info is None:
        problems.append(f'{bag.path}: ground plane: expected a camera_info beside {drive.camera}')
        return drive
    try:
        pitch, roll = radians(request.camera_pitch_deg), radians(request.camera_roll_deg)
        plane = GroundPlane(request.camera_height_m, pitch, roll)
        ground = GroundView(calibration_of(bag.deserialize(info)), plane)
    except InputError as error:
        problems.append(f'{bag.path}: {info.topic}: {error}')
        return drive
    how = f'flat ground {request.camera_height_m:g} m below, pitch {request.camera_pitch_deg:g}°'
    if request.camera_roll_deg:
        how += f', roll {request.camera_roll_deg:g}°'
    return replace(drive, ground=ground, distance=f'{how}, {info.topic}')


def _camera_info(bag: Bag, camera: str) -> BagMessage | None:
    name = camera_info_beside(bag, camera)
    infos = [t.name for t in bag.of_type(CAMERA_INFO_TYPE)]
    if name is None and len(infos) == 1:
        name = infos[0]
    return None if name is None else next(bag.messages([name]), None)


def _label_samples(bag: Bag, drive: RecordedDrive, count: int) -> list[Frame]:
    if drive.truth_folder is not None:
        return drive.truth_folder.samples(count)
    if drive.truth_topic is None:
        return []
    samples: list[Frame] = []
    for message in bag.messages([drive.truth_topic], drive.start_ns):
        try:
            samples.append(decode_image(bag, message))
        except SegNodeError:
            continue  # counted when its turn comes
        if len(samples) >= count:
            break
    return samples
