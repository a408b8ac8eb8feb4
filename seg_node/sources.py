"""Pictures from a file, a folder, a video or a bag, as one kind of stream."""

from __future__ import annotations

import contextlib
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
    """The first (or the named) camera topic of a ROS 1 or ROS 2 bag, read by rosbags."""

    path: Path
    topic: str | None = None

    @property
    def count(self) -> int:
        """Number of messages on the topic."""
        with _reader(self.path) as reader:
            return int(_camera(reader, self.path, self.topic).msgcount)

    @property
    def rate(self) -> float | None:
        """Messages a second over the whole bag."""
        with _reader(self.path) as reader:
            seconds = reader.duration / 1e9
            count = _camera(reader, self.path, self.topic).msgcount
            return (count - 1) / seconds if count > 1 and seconds > 0 else None

    def __iter__(self) -> Iterator[SourceFrame]:
        with _reader(self.path) as reader:
            connection = _camera(reader, self.path, self.topic)
            first = last = None
            repeated = 0
            for _, stamp, raw in reader.messages(connections=[connection]):
                message = reader.deserialize(raw, connection.msgtype)
                compressed = connection.msgtype.endswith('CompressedImage')
                frame = decode_compressed(message) if compressed else decode(message)
                first = stamp if first is None else first
                repeated = repeated + 1 if stamp == last else 0
                last = stamp
                name = f'{stamp}_{repeated}' if repeated else f'{stamp}'
                yield SourceFrame(name, (stamp - first) / 1e9, frame)

    def camera_info(self) -> Any | None:
        """The first CameraInfo beside the camera topic; None where the bag has none."""
        with _reader(self.path) as reader:
            camera = _camera(reader, self.path, self.topic)
            wanted = f'{_camera_namespace(camera.topic)}/camera_info'
            found = [c for c in reader.connections if c.topic == wanted]
            for connection, _, raw in reader.messages(connections=found) if found else ():
                return reader.deserialize(raw, connection.msgtype)
        return None


def _camera_namespace(topic: str) -> str:
    """`/camera` of `/camera/image_raw` and of `/camera/image_raw/compressed`."""
    return topic.removesuffix('/compressed').rpartition('/')[0]


@contextlib.contextmanager
def _reader(path: Path) -> Iterator[Any]:
    """An open reader; what breaks while it is read is an `InputError` that names the bag."""
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore

    try:
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            yield reader
    except InputError:
        raise
    except Exception as error:  # what the readers raise for broken files shares no base
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f'{path}: not a readable bag: {reason[:200]}') from None


def _camera(reader, path: Path, topic: str | None):  # type: ignore[no-untyped-def]
    kinds = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
    cameras = [c for c in reader.connections if c.msgtype in kinds]
    if topic is None and cameras:
        # Depth and label images are not cameras; names are the only hint a bag gives.
        likely = [c for c in cameras if not any(w in c.topic for w in ('depth', 'semantic'))]
        return (likely or cameras)[0]
    for connection in cameras:
        if connection.topic == topic:
            return connection
    found = ', '.join(c.topic for c in cameras) or 'none'
    raise InputError(f'{path}: expected camera topic {topic or "of any name"}, found {found}')


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
