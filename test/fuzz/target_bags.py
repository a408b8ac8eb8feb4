"""Bags (MCAP, sqlite3, ROS 1): frames of the announced size, and every loss named in one line."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fuzzing import TEXTS, Case, Target, damaged
from mcap.writer import CompressionType
from mcap.writer import Writer as Mcap
from rosbags.rosbag1 import Writer as Ros1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Ros2
from rosbags.typesys import Stores, get_typestore

from seg_node.bags.bag import Bag
from seg_node.errors import InputError
from seg_node.sources import BagSource, open_source

_ROS2, _ROS1 = get_typestore(Stores.ROS2_JAZZY), get_typestore(Stores.ROS1_NOETIC)
_IMAGE, _COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
_INFO = 'sensor_msgs/msg/CameraInfo'
_COUNT, _T0 = 3, 1_700_000_000 * 10**9


def _sent(store: Any) -> list[tuple[str, str, bytes]]:
    """Topic, type and bytes of the messages of a small drive."""
    serialize = store.serialize_ros1 if store is _ROS1 else store.serialize_cdr
    pixels = np.random.default_rng(1).integers(0, 256, (8, 12, 3), np.uint8)
    jpeg = np.asarray(cv2.imencode('.jpg', pixels)[1]).ravel()
    made = []
    for index in range(_COUNT):
        time = store.types['builtin_interfaces/msg/Time'](_T0 // 10**9, index)
        more = {'seq': index} if store is _ROS1 else {}
        header = store.types['std_msgs/msg/Header'](stamp=time, frame_id='cam', **more)
        roi = store.types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
        image = store.types[_IMAGE](header, 8, 12, 'bgr8', 0, 36, pixels.reshape(-1))
        eye = np.eye(3).ravel()
        info = store.types[_INFO](
            header, 8, 12, 'plumb_bob', np.zeros(5), eye * 9, eye, np.zeros(12), 0, 0, roi
        )
        picture = store.types[_COMPRESSED](header, 'jpeg', jpeg)
        for topic, message in (
            ('/cam/image', image), ('/cam/camera_info', info), ('/cam/compressed', picture)
        ):  # fmt: skip
            kind = message.__msgtype__
            made.append((topic, kind, bytes(serialize(message, kind))))
    return made


def _mcap(path: Path, compression: CompressionType) -> bytes:
    numbers: dict[str, int] = {}
    with path.open('wb') as stream:
        writer = Mcap(stream, compression=compression, chunk_size=900)
        writer.start('ros2')
        for index, (topic, kind, raw) in enumerate(_sent(_ROS2)):
            if topic not in numbers:
                text = _ROS2.generate_msgdef(kind, ros_version=2)[0].encode()
                schema = writer.register_schema(kind, 'ros2msg', text)
                numbers[topic] = writer.register_channel(topic, 'cdr', schema)
            writer.add_message(numbers[topic], _T0 + index, raw, _T0 + index)
        writer.finish()
    return path.read_bytes()


def _sqlite(folder: Path) -> bytes:
    with Ros2(folder, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        _write(writer, _ROS2)
    return next(folder.glob('*.db3')).read_bytes()


def _ros1(path: Path) -> bytes:
    with Ros1(path) as writer:
        _write(writer, _ROS1)
    return path.read_bytes()


def _write(writer: Any, store: Any) -> None:
    known: dict[str, Any] = {}
    for index, (topic, kind, raw) in enumerate(_sent(store)):
        if topic not in known:
            known[topic] = writer.add_connection(topic, kind, typestore=store)
        writer.write(known[topic], _T0 + index, raw)


def _altered_rows(path: Path, rng: random.Random) -> None:
    """Values in the tables that no recorder writes; the file itself stays sound."""
    table, column = rng.choice((
        ('topics', 'name'), ('topics', 'type'), ('topics', 'serialization_format'),
        ('messages', 'timestamp'), ('messages', 'topic_id'), ('messages', 'data'),
        ('message_definitions', 'encoding'), ('message_definitions', 'encoded_message_definition'),
    ))  # fmt: skip
    value = rng.choice((None, 0, -1, 2**62, 1.5, b'\xff\xfe', '', *TEXTS))
    with (
        contextlib.closing(sqlite3.connect(path)) as database,
        contextlib.suppress(sqlite3.Error, UnicodeEncodeError),
        database,
    ):
        database.execute(f'UPDATE {table} SET {column} = ? WHERE rowid % 2 = 0', (value,))


def _lying_length(data: bytes, rng: random.Random) -> bytes:
    """A place that announces more than there is, as every format here has them."""
    out = bytearray(data)
    place = rng.randrange(max(1, len(out) - 8))
    value = rng.choice((0xFFFFFFFF, 0x7FFFFFFF, 1 << 20, 1 << 40, (1 << 64) - 1))
    code = '<Q' if value > 0xFFFFFFFF else '<I'
    struct.pack_into(code, out, place, value)
    return bytes(out)


def _read(path: Path) -> None:
    """As `segment` reads it: the camera is chosen, every frame decoded, every loss told."""
    lost: list[str] = []
    try:
        source = open_source(path)
        assert isinstance(source, BagSource)
        for item in source.frames(lambda error: lost.append(str(error))):
            assert item.frame.pixels.nbytes <= 1 << 20
            assert item.frame.bgr().ndim == 3 and item.frame.pixels.dtype == np.uint8
        assert source.rate is None or source.rate > 0.0
        source.camera_info()
    except InputError as error:
        lost.append(str(error))
    try:
        with Bag(path) as bag:
            for message in bag.messages([topic.name for topic in bag.topics]):
                assert isinstance(message.stamp_ns, int) and isinstance(message.frame_id, str)
            lost += bag.problems
    except InputError as error:
        lost.append(str(error))
    assert all(line and '\n' not in line for line in lost), lost


@contextlib.contextmanager
def opened() -> Iterator[Case]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = {
            '.db3': [_sqlite(folder / 'sqlite')],
            '.bag': [_ros1(folder / 'one.bag')],
            '.mcap': [_mcap(folder / f'{kind.name}.mcap', kind) for kind in CompressionType],
        }

        def case(rng: random.Random) -> None:
            suffix = rng.choice(list(whole))
            path = folder / f'case{suffix}'
            data = rng.choice(whole[suffix])
            if suffix == '.db3' and rng.random() < 0.5:
                path.write_bytes(data)
                _altered_rows(path, rng)
            else:
                data = _lying_length(data, rng) if rng.random() < 0.4 else damaged(data, rng)
                path.write_bytes(data)
            _read(path)

        yield case


TARGET = Target('bags', opened, short=120)
