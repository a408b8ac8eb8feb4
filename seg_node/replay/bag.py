"""Bags of ROS 2 (MCAP, sqlite3) and ROS 1, read by rosbags; damaged ones as far as they go.

What is wrong with a bag that can still be read in part is kept in `Bag.problems`, one line each.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from seg_node.errors import InputError
from seg_node.replay import mcap_scan, ros1_scan

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
CAMERA_INFO_TYPE = 'sensor_msgs/msg/CameraInfo'
_STORAGE_SUFFIXES = ('.mcap', '.db3', '.bag')
_Scan = Callable[[Path], Iterator[mcap_scan.Found]]


@dataclass(frozen=True)
class Topic:
    """One topic: `type` as `package/msg/Name`, `count` of its messages (0: not known)."""

    name: str
    type: str
    count: int


@dataclass(frozen=True)
class BagMessage:
    """One serialized message; `log_ns` is the time at which it was recorded."""

    topic: str
    type: str
    log_ns: int
    raw: bytes
    ros1: bool

    @property
    def stamp_ns(self) -> int:
        """Header stamp in ns, or the log time where the header has none.

        Only for messages that begin with a header. In CDR the stamp follows the 4 bytes of the
        encapsulation, in ROS 1 the 4 bytes of `seq`.
        """
        little = self.ros1 or self.raw[1] & 1
        try:
            seconds, nanoseconds = struct.unpack_from('<iI' if little else '>iI', self.raw, 4)
        except struct.error:
            return self.log_ns
        return seconds * 10**9 + nanoseconds or self.log_ns

    @property
    def frame_id(self) -> str:
        """`frame_id` of the header, which follows the stamp in both formats."""
        little = self.ros1 or self.raw[1] & 1
        try:
            (length,) = struct.unpack_from('<I' if little else '>I', self.raw, 12)
        except struct.error:
            return ''
        return self.raw[16 : 16 + length].rstrip(b'\0').decode('utf-8', 'replace')


class _Reader(Protocol):
    topics: tuple[Topic, ...]

    def messages(self, topics: Sequence[str], start_ns: int | None) -> Iterator[BagMessage]: ...

    def deserialize(self, message: BagMessage) -> Any: ...

    def close(self) -> None: ...


class Bag:
    """An open bag; use it in a `with` block. Not thread-safe.

    Raises `InputError` with one line when nothing at `path` can be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.problems: list[str] = []
        self._reader = self._open()
        self.topics = self._reader.topics

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def topic(self, name: str) -> Topic | None:
        """The topic `name`, or None."""
        return next((topic for topic in self.topics if topic.name == name), None)

    def of_type(self, *types: str) -> tuple[Topic, ...]:
        """Topics of the given message types, in name order."""
        return tuple(t for t in sorted(self.topics, key=lambda t: t.name) if t.type in types)

    def messages(self, topics: Sequence[str], start_ns: int | None = None) -> Iterator[BagMessage]:
        """Messages of `topics` in the order of recording, from `start_ns` (log time) on.

        A bag that breaks off ends the iteration and adds a problem.
        """
        done = 0
        try:
            for message in self._reader.messages(topics, start_ns):
                yield message
                done += 1
        except GeneratorExit:
            raise
        except Exception as error:  # rosbags, apsw, zstd and lz4 share no base class
            self._complain(f'broken after {done} messages: {_line(error)}')

    def deserialize(self, message: BagMessage) -> Any:
        """The message as an object with the fields of its ROS type. Raises `InputError`."""
        try:
            return self._reader.deserialize(message)
        except Exception as error:  # as above
            raise InputError(
                f'{self.path}: {message.topic}: not a readable {message.type}: {_line(error)}'
            ) from None

    def _complain(self, problem: str) -> None:
        line = f'{self.path}: {problem}'
        if line not in self.problems:
            self.problems.append(line)

    def _open(self) -> _Reader:
        if not self.path.exists():
            raise InputError(f'{self.path}: no such bag')
        if self.path.is_file():
            return self._open_files([self.path])
        files = sorted(p for p in self.path.iterdir() if p.suffix in _STORAGE_SUFFIXES)
        if not (self.path / 'metadata.yaml').is_file():
            if not files:
                raise InputError(
                    f'{self.path}: expected a bag (metadata.yaml, .mcap, .db3, .bag), found none'
                )
            self._complain(f'metadata.yaml is missing, {len(files)} storage file(s) read directly')
            return self._open_files(files)
        try:
            return _RosbagsReader([self.path])
        except Exception as error:  # as above
            if not files:
                raise InputError(f'{self.path}: not a readable bag: {_line(error)}') from None
            if 'end magic' not in str(error):
                self._complain(f'{_line(error)}; storage files read directly')
            return self._open_files(files)

    def _open_files(self, files: list[Path]) -> _Reader:
        try:
            return _RosbagsReader(files)
        except Exception as error:  # as above
            reason = _line(error)
        for found in (mcap_scan, ros1_scan):
            if all(found.fits(file) for file in files):
                reader = _scan(files, found.scan, ros1=found is ros1_scan)
                count = sum(topic.count for topic in reader.topics)
                if count:
                    self._complain(f'{reason.rstrip(".")}; {count} messages could be recovered')
                    return reader
        raise InputError(f'{self.path}: not a readable bag: {reason}')


class _RosbagsReader:
    """A bag that rosbags can open."""

    def __init__(self, paths: list[Path]) -> None:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore

        self._reader = AnyReader(paths, default_typestore=get_typestore(Stores.ROS2_JAZZY))
        self._reader.open()
        self._ros1 = not self._reader.is2
        found: dict[str, Topic] = {}
        for connection in self._reader.connections:
            known = found.get(connection.topic)
            count = connection.msgcount + (known.count if known else 0)
            found[connection.topic] = Topic(connection.topic, connection.msgtype, count)
        self.topics = tuple(found.values())

    def messages(self, topics: Sequence[str], start_ns: int | None) -> Iterator[BagMessage]:
        wanted = [c for c in self._reader.connections if c.topic in topics]
        if not wanted:
            return
        for connection, log_ns, raw in self._reader.messages(wanted, start=start_ns):
            yield BagMessage(connection.topic, connection.msgtype, log_ns, raw, self._ros1)

    def deserialize(self, message: BagMessage) -> Any:
        return self._reader.deserialize(message.raw, message.type)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._reader.close()


class _ScanningReader:
    """Files without their end: records one after the other, as far as they go."""

    def __init__(
        self,
        files: list[Path],
        scan: _Scan,
        ros1: bool,
        topics: tuple[Topic, ...],
        typestore: Any,
    ) -> None:
        self._files = files
        self._scan = scan
        self._ros1 = ros1
        self._typestore = typestore
        self.topics = topics

    def messages(self, topics: Sequence[str], start_ns: int | None) -> Iterator[BagMessage]:
        for file in self._files:
            for found in self._scan(file):
                if found.topic in topics and (start_ns is None or found.log_ns >= start_ns):
                    kind = found.schema.name
                    yield BagMessage(found.topic, kind, found.log_ns, found.data, self._ros1)

    def deserialize(self, message: BagMessage) -> Any:
        if self._ros1:
            return self._typestore.deserialize_ros1(message.raw, message.type)
        return self._typestore.deserialize_cdr(message.raw, message.type)

    def close(self) -> None:
        """Files are open only while they are read."""


def _scan(files: list[Path], scan: _Scan, ros1: bool) -> _ScanningReader:
    """Topics and message types of damaged files, found by reading them once."""
    from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

    typestore = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_JAZZY)
    topics: dict[str, Topic] = {}
    for file in files:
        for found in scan(file):
            name, schema = found.topic, found.schema
            if name not in topics and schema.name not in typestore.fielddefs:
                parsed = (
                    get_types_from_msg(schema.text, schema.name)
                    if schema.encoding == 'ros2msg'
                    else get_types_from_idl(schema.text)
                )
                known = typestore.fielddefs
                typestore.register({k: v for k, v in parsed.items() if k not in known})
            before = topics[name].count if name in topics else 0
            topics[name] = Topic(name, schema.name, before + 1)
    return _ScanningReader(files, scan, ros1, tuple(topics.values()), typestore)


def _line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
