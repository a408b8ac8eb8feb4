"""Pictures from a file, a folder, a video or a bag, as one kind of stream."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from seg_node.errors import InputError
from seg_node.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, list_images
from seg_node.frames import Frame, decode, decode_compressed
from seg_node.replay.bag import IMAGE_TYPES, Bag, Topic

_RATE_MESSAGES = 30


@dataclass(frozen=True)
class SourceFrame:
    """One picture: `name` for output files (no suffix), `time_s` from the start of the source."""

    name: str
    time_s: float
    frame: Frame


class Source(Protocol):
    """A finite stream of pictures that can be read again from the start."""

    @property
    def count(self) -> int | None:
        """Number of pictures where it is known without reading them all."""

    @property
    def rate(self) -> float | None:
        """Pictures a second where the source knows."""

    def __iter__(self) -> Iterator[SourceFrame]:
        """From the first picture to the last. Raises `InputError` for one that is broken."""


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
        for index in range(self.count):
            yield self.read(index)

    def read(self, index: int) -> SourceFrame:
        """The picture `index`; raises `InputError` when it is broken: the others still work.

        Its name is the file's without the suffix, or with it where two files share a stem.
        """
        path = self.paths[index]
        name = path.stem if self._stems[path.stem] == 1 else path.name
        return SourceFrame(name, index / (self.rate or 1.0), Frame(read_bgr(path), 'bgr'))

    @cached_property
    def _stems(self) -> Counter[str]:
        return Counter(path.stem for path in self.paths)


def read_bgr(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """uint8 (H, W, 3) BGR of a picture file. Raises `InputError` when it cannot be read."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f'{path}: cannot be read: {error.strerror or error}') from None
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if pixels is None:
        raise InputError(f'{path}: expected a picture, cannot decode {data.size} bytes')
    return np.asarray(pixels, np.uint8)


@dataclass(frozen=True)
class VideoSource:
    """A video file, read by PyAV (FFmpeg)."""

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
        import av

        rate = self.rate or 25.0
        with _opened(self.path) as container:
            frames = container.decode(video=0)
            index = 0
            while True:
                try:
                    decoded = next(frames, None)
                except av.FFmpegError as error:
                    raise InputError(f'{self.path}: broken after frame {index}: {error}') from None
                if decoded is None:
                    break
                time_s = decoded.time if decoded.time is not None else index / rate
                pixels = decoded.to_ndarray(format='bgr24')
                yield SourceFrame(
                    f'{self.path.stem}_{index:06d}', float(time_s), Frame(pixels, 'bgr')
                )
                index += 1


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
    """The first (or the named) camera topic of a ROS 1 or ROS 2 bag."""

    path: Path
    topic: str | None = None

    @property
    def count(self) -> int | None:
        """Number of messages on the topic, where the bag says."""
        with Bag(self.path) as bag:
            return _camera(bag, self.topic).count or None

    @property
    def rate(self) -> float | None:
        """Pictures a second, by the median gap between the first ones."""
        with Bag(self.path) as bag:
            messages = bag.messages([_camera(bag, self.topic).name])
            times = [m.log_ns for m in itertools.islice(messages, _RATE_MESSAGES)]
        gap = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        return 1e9 / gap if gap > 0 else None

    def __iter__(self) -> Iterator[SourceFrame]:
        with Bag(self.path) as bag:
            camera = _camera(bag, self.topic)
            unpack = decode_compressed if camera.type == IMAGE_TYPES[1] else decode
            first = last = None
            repeated = 0
            for message in bag.messages([camera.name]):
                stamp = message.log_ns
                frame = unpack(bag.deserialize(message))
                first = stamp if first is None else first
                repeated = repeated + 1 if stamp == last else 0
                last = stamp
                name = f'{stamp}_{repeated}' if repeated else f'{stamp}'
                yield SourceFrame(name, (stamp - first) / 1e9, frame)
            if bag.problems:  # what could be read has been given
                raise InputError(bag.problems[0])

    def camera_info(self) -> Any | None:
        """The first CameraInfo beside the camera topic; None where the bag has none."""
        with Bag(self.path) as bag:
            # `/camera` of `/camera/image_raw` and of `/camera/image_raw/compressed`.
            name = _camera(bag, self.topic).name.removesuffix('/compressed')
            wanted = f'{name.rpartition("/")[0]}/camera_info'
            found = next(bag.messages([wanted]), None)
            return None if found is None else bag.deserialize(found)


def _camera(bag: Bag, name: str | None) -> Topic:
    cameras = bag.of_type(*IMAGE_TYPES)
    if name is None and cameras:
        # Depth and label images are not cameras; names are the only hint a bag gives.
        likely = [c for c in cameras if not any(w in c.name for w in ('depth', 'semantic'))]
        return (likely or cameras)[0]
    for camera in cameras:
        if camera.name == name:
            return camera
    found = ', '.join(c.name for c in cameras) or 'none'
    raise InputError(f'{bag.path}: expected camera topic {name or "of any name"}, found {found}')


def is_bag(path: Path) -> bool:
    """Whether `path` looks like a bag: an MCAP, db3 or ROS 1 file, or a folder with metadata."""
    if path.is_dir():
        return (path / 'metadata.yaml').is_file() or any(path.glob('*.mcap'))
    return path.suffix in ('.mcap', '.db3', '.bag')


def open_source(path: str | Path, topic: str | None = None) -> Source:
    """The pictures at `path`: a picture, a folder of them, a video or a bag.

    Raises `InputError` when there is nothing of the kind.
    """
    given = Path(path)
    if not given.exists():
        raise InputError(f'{given}: no such file or folder')
    if is_bag(given):
        return BagSource(given, topic)
    if given.is_dir():
        return ImageSource(tuple(list_images(given)))
    if given.suffix.lower() in IMAGE_SUFFIXES:
        return ImageSource((given,))
    if given.suffix.lower() in VIDEO_SUFFIXES:
        return VideoSource(given)
    raise InputError(
        f'{given}: expected a picture, a video, a bag or a folder, got a {given.suffix or "file"}'
    )
