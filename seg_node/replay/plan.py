"""What is evaluated: topics, labels, distances and selection, settled before the first frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from seg_node.errors import ConfigError, InputError, SegNodeError
from seg_node.frames import Frame, decode, decode_compressed
from seg_node.model.runner import RunOptions
from seg_node.replay.bag import CAMERA_INFO_TYPE, IMAGE_TYPES, Bag, BagMessage, Topic
from seg_node.replay.counts import CountSpec
from seg_node.replay.distance import Bands, GroundPlane, intrinsics_of
from seg_node.replay.scoring import Score, Scoring, choose_scoring
from seg_node.replay.truth import Coding, LabelFolder, choose_coding

_NOT_CAMERAS = ('depth', 'semantic', 'label', 'mask', 'seg', 'disparity', 'instance', 'truth')
_SAMPLES = 8
"""Label pictures that are looked at to find the class map."""


@dataclass(frozen=True)
class Request:
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
        if len(self.ground_truth) > 1 and len(self.ground_truth) != max(1, len(self.topics)):
            raise ConfigError(
                f'--ground-truth: expected one, or one for each of {len(self.topics)} --topic, '
                f'got {len(self.ground_truth)}'
            )


@dataclass(frozen=True)
class ModelChoice:
    """A model file, how it is run, and the name that tells it apart in the report."""

    path: Path
    options: RunOptions
    label: str


@dataclass(frozen=True)
class Drive:
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
    ground: GroundPlane | None = None
    distance: str = 'unknown'
    start_ns: int | None = None
    end_ns: int | None = None
    others: tuple[str, ...] = ()

    @property
    def has_truth(self) -> bool:
        return self.truth_topic is not None or self.truth_folder is not None


@dataclass(frozen=True)
class Plan:
    """Everything that decides the figures; the same plan gives the same figures."""

    drives: tuple[Drive, ...]
    coding: Coding | None
    scoring: Scoring
    spec: CountSpec
    bands: Bands
    tolerance_ns: int
    limit: int | None
    problems: tuple[str, ...] = ()

    @property
    def has_truth(self) -> bool:
        return self.coding is not None


def make_plan(request: Request) -> Plan:
    """Look into the bags and settle what is to be done.

    A bag or topic that cannot be used is left out and named in `problems`; raises `InputError`
    when nothing is left.
    """
    drives: list[Drive] = []
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
    return Plan(
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


def _drives_of(bag: Bag, request: Request, problems: list[str]) -> list[Drive]:
    cameras = _cameras(bag, request, problems)
    drives = []
    for index, camera in enumerate(cameras):
        first = next(bag.messages([camera.name]), None)
        if first is None:
            problems.append(f'{bag.path}: {camera.name}: expected pictures, the topic is empty')
            continue
        start = None if not request.start_s else first.log_ns + round(request.start_s * 1e9)
        end = (
            None
            if request.duration_s is None
            else (start or first.log_ns) + round(request.duration_s * 1e9)
        )
        drive = Drive(bag.path, camera.name, camera.count, start_ns=start, end_ns=end)
        if not request.topics:
            drive = replace(drive, others=_other_cameras(bag, request, camera.name))
        drive = _with_truth(bag, drive, request, index, problems)
        drives.append(_with_distance(bag, drive, request, problems))
    return drives


def _cameras(bag: Bag, request: Request, problems: list[str]) -> list[Topic]:
    images = bag.of_type(*IMAGE_TYPES)
    listed = ', '.join(topic.name for topic in images) or 'none'
    if request.topics:
        found = [topic for topic in images if topic.name in request.topics]
        missing = [name for name in request.topics if bag.topic(name) not in found]
        problems += [
            f'{bag.path}: expected image topic {name}, found {listed}' for name in missing
        ]
        return sorted(found, key=lambda topic: request.topics.index(topic.name))
    likely = _likely_cameras(images, request)
    if not likely:
        others = ', '.join(f'{t.name} ({t.type})' for t in bag.topics[:6]) or 'no topic at all'
        problems.append(f'{bag.path}: expected an image topic, found {others}')
    return likely[:1]


def _likely_cameras(images: Sequence[Topic], request: Request) -> list[Topic]:
    """Camera topics first: depth and label images are told apart by their names only."""
    taken = {*request.ground_truth, request.depth}
    images = [t for t in images if t.name not in taken]
    likely = [t for t in images if not any(word in t.name.lower() for word in _NOT_CAMERAS)]
    found = likely or images
    return [t for t in found if t.count] or found


def _other_cameras(bag: Bag, request: Request, used: str) -> tuple[str, ...]:
    found = _likely_cameras(bag.of_type(*IMAGE_TYPES), request)
    return tuple(topic.name for topic in found if topic.name != used)


def _with_truth(
    bag: Bag, drive: Drive, request: Request, index: int, problems: list[str]
) -> Drive:
    if not request.ground_truth:
        return drive
    given = request.ground_truth[index if len(request.ground_truth) > 1 else 0]
    topic = bag.topic(given)
    if topic is not None and topic.type in IMAGE_TYPES:
        return replace(drive, truth_topic=given)
    folder = Path(given)
    if folder.is_dir():
        return replace(drive, truth_folder=LabelFolder.open(folder))
    listed = ', '.join(t.name for t in bag.of_type(*IMAGE_TYPES))
    problems.append(
        f'{bag.path}: ground truth {given}: expected a folder or an image topic of {listed}'
    )
    return drive


def _with_distance(bag: Bag, drive: Drive, request: Request, problems: list[str]) -> Drive:
    if request.depth not in ('auto', 'none'):
        if bag.topic(request.depth) is not None:
            return replace(drive, depth_topic=request.depth, distance=f'depth {request.depth}')
        problems.append(f'{bag.path}: --depth {request.depth}: no such topic')
    elif request.depth == 'auto' and request.camera_height_m is None:
        found = _depth_of(bag, drive.camera)
        if found is not None:
            return replace(drive, depth_topic=found, distance=f'depth {found}')
    if request.camera_height_m is None:
        return drive
    info = _camera_info(bag, drive.camera)
    if info is None:
        problems.append(f'{bag.path}: ground plane: expected a camera_info beside {drive.camera}')
        return drive
    try:
        plane = GroundPlane(
            intrinsics_of(bag.deserialize(info)), request.camera_height_m, request.camera_pitch_deg
        )
    except InputError as error:
        problems.append(f'{bag.path}: {info.topic}: {error}')
        return drive
    how = f'flat ground {request.camera_height_m:g} m below, pitch {request.camera_pitch_deg:g}°'
    return replace(drive, ground=plane, distance=f'{how}, {info.topic}')


def _depth_of(bag: Bag, camera: str) -> str | None:
    """The depth topic that shares most of its name with the camera."""
    depths = [t.name for t in bag.of_type(IMAGE_TYPES[0]) if 'depth' in t.name.lower()]

    def shared(name: str) -> int:
        return sum(a == b for a, b in zip(name.split('/'), camera.split('/')))

    return max(sorted(depths), key=shared, default=None)


def _camera_info(bag: Bag, camera: str) -> BagMessage | None:
    base = camera.removesuffix('/compressed').rpartition('/')[0]
    infos = [t.name for t in bag.of_type(CAMERA_INFO_TYPE)]
    name = next((n for n in infos if n.rpartition('/')[0] == base), None)
    if name is None and len(infos) == 1:
        name = infos[0]
    return None if name is None else next(bag.messages([name]), None)


def _label_samples(bag: Bag, drive: Drive, count: int) -> list[Frame]:
    if drive.truth_folder is not None:
        return drive.truth_folder.samples(count)
    if drive.truth_topic is None:
        return []
    found: list[Frame] = []
    for message in bag.messages([drive.truth_topic], drive.start_ns):
        try:
            found.append(decode_image(bag, message))
        except SegNodeError:
            continue  # counted when its turn comes
        if len(found) >= count:
            break
    return found


def decode_image(bag: Bag, message: BagMessage) -> Frame:
    """The picture of an Image or CompressedImage message. Raises `InputError` (`FrameError`)."""
    content = bag.deserialize(message)
    compressed = message.type.endswith('CompressedImage')
    return decode_compressed(content) if compressed else decode(content)
