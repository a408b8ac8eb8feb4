"""Bags of every kind, written on the spot: pictures, and channels that nobody here can read."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mcap.writer import Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Rosbag2Writer
from rosbags.typesys import Stores, get_typestore

T0 = 1_700_000_000 * 10**9
ROS2, ROS1 = get_typestore(Stores.ROS2_JAZZY), get_typestore(Stores.ROS1_NOETIC)
IMAGE = 'sensor_msgs/msg/Image'


@dataclass(frozen=True)
class Sent:
    """Messages of one channel: payloads, 50 ms apart from `first` on."""

    topic: str
    payloads: tuple[bytes, ...]
    kind: str = IMAGE
    encoding: str = 'cdr'
    schema: str = 'ros2msg'
    text: str | None = None


def header(store: Any, stamp: int) -> Any:
    seconds, nanoseconds = divmod(stamp, 10**9)
    time = store.types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    seq = {'seq': 0} if store is ROS1 else {}
    return store.types['std_msgs/msg/Header'](stamp=time, frame_id='cam', **seq)


def image(stamp: int, pixels: np.ndarray, encoding: str, store: Any = ROS2) -> bytes:
    """A serialized Image."""
    flat = np.ascontiguousarray(pixels)
    message = store.types[IMAGE](
        header=header(store, stamp),
        height=flat.shape[0],
        width=flat.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=int(np.prod(flat.shape[1:])) * flat.itemsize,
        data=flat.reshape(-1).view(np.uint8),
    )
    serialize = store.serialize_ros1 if store is ROS1 else store.serialize_cdr
    return bytes(serialize(message, IMAGE))


def camera_info(stamp: int) -> bytes:
    """A serialized CameraInfo."""
    roi = ROS2.types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    message = ROS2.types['sensor_msgs/msg/CameraInfo'](
        header(ROS2, stamp), 32, 64, 'plumb_bob', np.zeros(5), np.eye(3).ravel() * 9,
        np.eye(3).ravel(), np.zeros(12), 0, 0, roi,
    )  # fmt: skip
    return bytes(ROS2.serialize_cdr(message, 'sensor_msgs/msg/CameraInfo'))


def pixels_of(kind: str, seed: int = 0) -> tuple[np.ndarray, str]:
    """A picture and its encoding: what such a camera or such an output shows."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, (32, 64, 3), np.uint8)
    if kind == 'depth':
        return random.integers(500, 9000, (32, 64), np.uint16), '16UC1'
    if kind == 'metres':
        return random.uniform(1, 50, (32, 64)).astype(np.float32), '32FC1'
    if kind == 'mask':
        return random.integers(0, 3, (32, 64), np.uint8), 'mono8'
    if kind == 'tags':
        tags = np.zeros((32, 64, 4), np.uint8)
        tags[..., 2] = random.integers(1, 25, (32, 64))
        return tags, 'bgra8'
    if kind == 'grey':
        return noise[..., 0], 'mono8'
    return noise, 'bgr8'


def pictures(topic: str, kind: str = 'colour', count: int = 3, **fields: Any) -> Sent:
    """`count` pictures of one kind."""
    made = (image(T0 + i * 50_000_000, *pixels_of(kind, i)) for i in range(count))
    return Sent(topic, tuple(made), **fields)


def infos(topic: str) -> Sent:
    """One CameraInfo."""
    return Sent(topic, (camera_info(T0),), 'sensor_msgs/msg/CameraInfo')


def write_mcap(path: Path, *sent: Sent, profile: str = 'ros2') -> Path:
    """An MCAP with an index, by the library of the format's authors."""
    with path.open('wb') as stream:
        writer = Writer(stream, chunk_size=8192)
        writer.start(profile, 'test')
        for one in sent:
            text = one.text
            if text is None:
                kind = one.kind if one.kind.count('/') == 2 else IMAGE
                text, _ = ROS2.generate_msgdef(kind, ros_version=2)
            schema = writer.register_schema(one.kind, one.schema, text.encode())
            channel = writer.register_channel(one.topic, one.encoding, schema)
            for index, payload in enumerate(one.payloads):
                stamp = T0 + index * 50_000_000
                writer.add_message(channel, stamp, payload, stamp)
        writer.finish()
    return path


def write_sqlite(folder: Path, *sent: Sent) -> Path:
    """A sqlite3 bag whose definitions then get the languages that were asked for."""
    with Rosbag2Writer(folder, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        for one in sent:
            connection = writer.add_connection(one.topic, one.kind, typestore=ROS2)
            for index, payload in enumerate(one.payloads):
                writer.write(connection, T0 + index * 50_000_000, payload)
    with sqlite3.connect(next(folder.glob('*.db3'))) as database:
        for one in sent:
            database.execute(
                'UPDATE topics SET serialization_format = ? WHERE name = ?',
                (one.encoding, one.topic),
            )
            if one.text is not None:
                database.execute(
                    'UPDATE message_definitions SET encoding = ?, encoded_message_definition = ? '
                    'WHERE topic_type = ?',
                    (one.schema, one.text, one.kind),
                )
    database.close()
    return folder


@pytest.fixture
def make():
    """The builders above."""
    return SimpleNamespace(
        T0=T0,
        ROS1=ROS1,
        ROS2=ROS2,
        Sent=Sent,
        image=image,
        infos=infos,
        pictures=pictures,
        pixels_of=pixels_of,
        sqlite=write_sqlite,
        mcap=write_mcap,
    )
