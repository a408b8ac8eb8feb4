"""Pictures from a file, a folder, a video or a bag, as one kind of stream."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from seg_node.bags.bag import Bag, is_bag
from seg_node.bags.camera import BagCamera, choose_camera, decode_image
from seg_node.errors import InputError
from seg_node.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, list_images
from seg_node.images.frames import Frame
from seg_node.images.reading import read_bgr, turned

_RATE_MESSAGES = 30
Broken = Callable[[InputError], None]
"""What is done about a picture that cannot be read."""


@dataclass(frozen=True)
class SourceFrame:
    """One picture: `name` for output files (no suffix), `time_s` from the start of the source.

    `origin`: its file, where it has one of its own.
    """

    name: str
    time_s: float
    frame: Frame
    origin: str = ''


class Source(Protocol):
    """A finite stream of pictures that can be read again from the start."""

    @property
    def count(self) -> int | None:
        """Number of pictures where it is known without reading them all."""

    @property
    def rate(self) -> float | None:
        """Pictures a second where the source knows."""

    def frames(self, broken: Broken) -> Iterator[SourceFrame]:
        """From the first picture to the last; one that is broken is told to `broken` and left
        out, and so is an end that comes before its time.
        """

    def __iter__(self) -> Iterator[SourceFrame]:
        """As `frames`, but raises `InputError` for one that is broken."""


def _raise(error: InputError) -> None:
    raise error


@dataclass(frozen=True)
class ImageSource:
    """Picture files in name order, read by OpenCV."""

    paths: tuple[Path, ...]
    rate: float | None = None

    @property
    def count(self) -> int:
        """Number of files."""
        return len(self.paths)

    def __iter__(self) -> Iterator[SourceFrame]:
        return self.frames(_raise)

    def frames(self, broken: Broken) -> Iterator[SourceFrame]:
        """See `Source`."""
        for index in range(self.count):
            try:
                yield self.read(index)
            except InputError as error:
                broken(error)

    def read(self, index: int) -> SourceFrame:
        """The picture `index`; raises `InputError` when it is broken: the others still work.

        Its name is the file's without the suffix, or with it where two files share a stem.
        """
        path = self.paths[index]
        name = path.stem if self._stems[path.stem] == 1 else path.name
        return SourceFrame(
            name, index / (self.rate or 1.0), Frame(read_bgr(path), 'bgr'), str(path)
        )

    @cached_property
    def _stems(self) -> Counter[str]:
        return Counter(path.stem for path in self.paths)


@dataclass(frozen=True)
class VideoSource:
    """A video file, read by PyAV (FFmpeg), turned as its container says."""

    path: Path

    @property
    def count(self) -> int | None:
        """Number of frames where the container says."""
        import av

        with _opened(self.path) as container:
            assert isinstance(container, av.container.InputContainer)
            return container.streams.video[0].frames or None

    @property
    def rate(self) -> float | None:
        """Average frames a second."""
        with _opened(self.path) as container:
            average: Fraction | None = container.streams.video[0].average_rate
            return float(average) if average else None

    def __iter__(self) -> Iterator[SourceFrame]:
        return self.frames(_raise)

    def frames(self, broken: Broken) -> Iterator[SourceFrame]:
        """See `Source`."""
        import av

        rate = self.rate or 25.0
        promised = self.count
        index = 0
        with _opened(self.path) as container:
            packets = container.demux(video=0)
            while True:
                try:
                    packet = next(packets, None)
                    decoded = [] if packet is None else packet.decode()
                except av.FFmpegError as error:
                    broken(InputError(f'{self.path}: broken after frame {index}: {error}'))
                    continue
                if packet is None:
                    break
                for frame in decoded:
                    time_s = frame.time if frame.time is not None else index / rate
                    pixels = turned(frame.to_ndarray(format='bgr24'), frame.rotation)
                    yield SourceFrame(
                        f'{self.path.stem}_{index:06d}', float(time_s), Frame(pixels, 'bgr')
                    )
                    index += 1
        if promised is not None and index < promised:
            broken(InputError(f'{self.path}: expected {promised} frames, got {index}'))


def _opened(path: Path):  # type: ignore[no-untyped-def]
    import av

    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise InputError(f'{path}: not a readable video: {error}') from None
    if not container.streams.video:
        container.close()
        raise InputError(f'{path}: expected a video stream, found none')
    return container


@dataclass(frozen=True)
class BagSource:
    """The camera (or the named topic) of a ROS 1 or ROS 2 bag."""

    path: Path
    topic: str | None = None

    @cached_property
    def camera(self) -> BagCamera:
        """Which topic is read. Raises `InputError`."""
        with Bag(self.path) as bag:
            return choose_camera(bag, self.topic)

    @property
    def count(self) -> int | None:
        """Number of messages on the topic, where the bag says."""
        return self.camera.topic.count or None

    @cached_property
    def rate(self) -> float | None:
        """Pictures a second, by the median gap between the first ones."""
        with Bag(self.path) as bag:
            messages = bag.messages([self.camera.topic.name])
            times = [m.log_ns for m in itertools.islice(messages, _RATE_MESSAGES)]
        gap = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        return 1e9 / gap if gap > 0 else None

    def __iter__(self) -> Iterator[SourceFrame]:
        return self.frames(_raise)

    def frames(self, broken: Broken) -> Iterator[SourceFrame]:
        """See `Source`."""
        name = self.camera.topic.name
        first: int | None = None
        names: Counter[int] = Counter()
        with Bag(self.path) as bag:
            for message in bag.messages([name]):
                stamp = message.log_ns
                first = stamp if first is None else first
                names[stamp] += 1
                try:
                    frame = decode_image(bag, message)
                except InputError as error:
                    broken(InputError(f'{self.path}: {name}: frame {stamp}: {error}'))
                    continue
                repeated = names[stamp] - 1
                yield SourceFrame(
                    f'{stamp}_{repeated}' if repeated else f'{stamp}', (stamp - first) / 1e9, frame
                )
            for problem in bag.problems:
                broken(InputError(problem))

    def camera_info(self) -> Any | None:
        """The first CameraInfo beside the camera topic; None where the bag has none."""
        if self.camera.info is None:
            return None
        with Bag(self.path) as bag:
            message = next(bag.messages([self.camera.info]), None)
            return None if message is None else bag.deserialize(message)


def open_source(path: str | Path, topic: str | None = None) -> Source:
    """The pictures at `path`: a picture, a folder of them, a video or a bag.

    Raises `InputError` when there is nothing of the kind.
    """
    source = Path(path)
    if not source.exists():
        raise InputError(f'{source}: no such file or folder')
    if is_bag(source):
        return BagSource(source, topic)
    if source.is_dir():
        return ImageSource(tuple(list_images(source)))
    if source.suffix.lower() in IMAGE_SUFFIXES:
        return ImageSource((source,))
    if source.suffix.lower() in VIDEO_SUFFIXES:
        return VideoSource(source)
    raise InputError(
        f'{source}: expected a picture, a video, a bag or a folder, '
        f'got a {source.suffix or "file"}'
    )
