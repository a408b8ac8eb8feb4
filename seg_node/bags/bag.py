"""Bags of ROS 2 (MCAP, sqlite3) and ROS 1; what cannot be read is named, and the rest is read.

Only what is asked for is opened: a channel in another encoding, or with a definition that is none,
is no obstacle to the others. What is wrong with a bag that can still be read in part is kept in
`Bag.problems`, one line each.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from seg_node.bags import mcap_records, ros1_scan, sqlite_file
from seg_node.bags.channel import READABLE, BagMessage, Storage, Topic
from seg_node.bags.scanned_file import ScannedFile
from seg_node.errors import InputError, first_line
from seg_node.yaml_files import read_mapping

IMAGE_TYPE = 'sensor_msgs/msg/Image'
COMPRESSED_TYPE = 'sensor_msgs/msg/CompressedImage'
IMAGE_TYPES = (IMAGE_TYPE, COMPRESSED_TYPE)
CAMERA_INFO_TYPE = 'sensor_msgs/msg/CameraInfo'
STORAGE_SUFFIXES = ('.mcap', '.db3', '.bag')


def is_bag(path: Path) -> bool:
    """Whether `path` is a bag by its name: a storage file, or a folder with metadata or such."""
    if path.is_dir():
        return (path / 'metadata.yaml').is_file() or bool(_storage_files(path))
    return path.suffix.lower() in STORAGE_SUFFIXES


class Bag:
    """An open bag; use it in a `with` block. Not thread-safe.

    Raises `InputError` with one line when nothing at `path` can be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.problems: list[str] = []
        self._storages = self._open()
        self.topics = self._count_topics()

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        for storage in self._storages:
            storage.close()

    def topic(self, name: str) -> Topic | None:
        """The topic `name`, or None."""
        return next((topic for topic in self.topics if topic.name == name), None)

    def of_type(self, *types: str) -> tuple[Topic, ...]:
        """Readable topics of the given message types, in name order."""
        return tuple(t for t in self.topics if t.type in types and t.encoding in READABLE)

    def messages(self, topics: Sequence[str], start_ns: int | None = None) -> Iterator[BagMessage]:
        """Messages of `topics` in the order of recording, from `start_ns` (log time) on.

        Where a file breaks off, or gives fewer messages than it promised, that is a problem.
        """
        done: Counter[str] = Counter()
        parts = (self._of_storage(storage, topics, start_ns) for storage in self._storages)
        for message in heapq.merge(*parts, key=lambda message: message.log_ns):
            yield message
            done[message.topic] += 1
        if start_ns is None:
            for topic in self.topics:
                if topic.name in topics and done[topic.name] < topic.count:
                    read = f'{done[topic.name]} of {topic.count} messages could be read'
                    self._complain(f'{topic.name}: {read}')

    def _of_storage(
        self, storage: Storage, topics: Sequence[str], start_ns: int | None
    ) -> Iterator[BagMessage]:
        done = 0
        try:
            for message in storage.messages(topics, start_ns, self._complain):
                yield message
                done += 1
        except GeneratorExit:
            raise
        except Exception as error:  # rosbags, sqlite3, zstd and lz4 share no base class
            self._complain(f'broken after {done} messages: {first_line(error)}')

    def deserialize(self, message: BagMessage) -> Any:
        """The message as an object with the fields of its ROS type. Raises `InputError`."""
        from seg_node.bags.typestore import deserialized

        try:
            return deserialized(message.channel, message.raw)
        except Exception as error:  # as above
            raise InputError(
                f'{self.path}: {message.topic}: not a readable {message.type} at '
                f'{message.log_ns}: {first_line(error)}'
            ) from None

    def _complain(self, problem: str) -> None:
        line = f'{self.path}: {problem}'
        if line not in self.problems:
            self.problems.append(line)

    def _count_topics(self) -> tuple[Topic, ...]:
        counts: Counter[str] = Counter()
        kinds: dict[str, tuple[str, str]] = {}
        for storage in self._storages:
            for channel, count in storage.channels:
                counts[channel.topic] += count
                kinds.setdefault(channel.topic, (channel.type, channel.encoding))
        return tuple(
            Topic(name, kind, counts[name], encoding)
            for name, (kind, encoding) in sorted(kinds.items())
        )

    def _open(self) -> list[Storage]:
        if not self.path.exists():
            raise InputError(f'{self.path}: no such bag')
        if self.path.is_file():
            return self._open_files([self.path])
        files = _storage_files(self.path)
        if not (self.path / 'metadata.yaml').is_file():
            if not files:
                raise InputError(
                    f'{self.path}: expected a bag (metadata.yaml, .mcap, .db3, .bag), found none'
                )
            self._complain(f'metadata.yaml is missing, {len(files)} storage file(s) read directly')
            return self._open_files(files)
        return self._open_folder(files)

    def _open_folder(self, files: list[Path]) -> list[Storage]:
        """The files that metadata.yaml names; all there are where it cannot be used."""
        try:
            facts = read_mapping(self.path / 'metadata.yaml')['rosbag2_bagfile_information']
            named = [self.path / Path(name).name for name in facts['relative_file_paths']]
            compressed = str(facts.get('compression_mode') or 'none').lower() != 'none'
        except Exception as error:  # whatever a YAML file may hold
            self._complain(f'metadata.yaml: {first_line(error)}; storage files read directly')
            return self._open_files(files)
        if compressed:
            from seg_node.bags.rosbags_file import RosbagsFile

            try:
                return [RosbagsFile(self.path)]
            except Exception as error:  # as above
                raise InputError(f'{self.path}: not a readable bag: {first_line(error)}') from None
        for missing in (file for file in named if not file.is_file()):
            self._complain(f'{missing.name} is missing')
        return self._open_files([file for file in named if file.is_file()] or files)

    def _open_files(self, files: list[Path]) -> list[Storage]:
        opened: list[Storage] = []
        refused = []
        for file in files:
            try:
                opened.append(self._open_file(file))
            except InputError as error:
                refused.append(str(error))
        if not opened:
            raise InputError(refused[0] if refused else f'{self.path}: expected a bag, got none')
        for problem in refused:
            self._complain(problem)
        return opened

    def _open_file(self, path: Path) -> Storage:
        try:
            return _reader_of(path)(path)
        except OSError as error:
            raise InputError(f'{path}: cannot be read: {error.strerror or error}') from None
        except mcap_records.NoIndex:  # such a file is whole
            reason = ''
        except Exception as error:  # as above
            reason = first_line(error)
        try:
            scanned = ScannedFile(path)
        except Exception:  # as above
            raise InputError(f'{path}: not a readable bag: {reason or "it is empty"}') from None
        if reason:
            count = sum(count for _, count in scanned.channels)
            self._complain(f'{reason}; {count} messages could be recovered')
        return scanned


def _storage_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in STORAGE_SUFFIXES)


def _reader_of(path: Path) -> Callable[[Path], Storage]:
    """The reader for what the file is by its first bytes. Raises `ValueError` for another kind."""
    with path.open('rb') as stream:
        head = stream.read(16)
    if not head:
        raise ValueError('the file is empty')
    if head.startswith(mcap_records.MAGIC):
        from seg_node.bags.mcap_file import McapFile

        return McapFile
    if head.startswith(ros1_scan.MAGIC):
        from seg_node.bags.rosbags_file import RosbagsFile

        return RosbagsFile
    if head == sqlite_file.MAGIC:
        return sqlite_file.SqliteFile
    raise ValueError('expected the magic bytes of an MCAP, a sqlite3 or a ROS 1 bag')
