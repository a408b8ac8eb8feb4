"""Bags written on the spot, with frames whose masks and labels are known."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

T0 = 1_700_000_000 * 10**9
STEP = 50_000_000
SIZE = (32, 64)
ROS2, ROS1 = get_typestore(Stores.ROS2_JAZZY), get_typestore(Stores.ROS1_NOETIC)

# The contract model answers road for green and lane_marking for red; with a threshold of 255 it
# finds none of this paint.
BGR_OF_CLASS = np.array([[90, 0, 0], [0, 250, 0], [0, 0, 250]], np.uint8)


def scene(index: int) -> np.ndarray:
    """uint8 (32, 64) class ids of frame `index`: a road with a marking that moves along it."""
    mask = np.zeros(SIZE, np.uint8)
    mask[16:] = 1
    column = 8 + (3 * index) % 40
    mask[18:30, column : column + 6] = 2
    return mask


def picture(mask: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) BGR of which the contract model makes `mask`."""
    return BGR_OF_CLASS[mask]


@dataclass
class Message:
    """One image message to be written; `stamp` ns of the header, `log` ns of the bag."""

    topic: str
    pixels: np.ndarray
    encoding: str
    stamp: int
    log: int
    kind: str = 'sensor_msgs/msg/Image'


@dataclass
class BagWriter:
    """Writes messages as ROS 2 (mcap, sqlite3) or ROS 1 (bag)."""

    folder: Path
    messages: list[Message] = field(default_factory=list)

    def add(
        self, topic: str, pixels: np.ndarray, encoding: str, stamp: int, log: int | None = None
    ) -> None:
        """Add one Image."""
        self.messages.append(
            Message(topic, pixels, encoding, stamp, stamp if log is None else log)
        )

    def write(self, name: str, storage: str = 'mcap') -> Path:
        """Write everything in order of log time; the path to give to the verb.

        `storage`: mcap, sqlite3, or ros1 with the compression of its chunks: `ros1 lz4`.
        """
        ordered = sorted(self.messages, key=lambda message: message.log)
        path = self.folder / name
        if storage.startswith('ros1'):
            return self._write1(path.with_suffix('.bag'), ordered, storage[5:])
        plugin = StoragePlugin.MCAP if storage == 'mcap' else StoragePlugin.SQLITE3
        with Writer(path, version=9, storage_plugin=plugin) as writer:
            self._write(writer, ordered, ROS2, ROS2.serialize_cdr)
        return path

    def _write1(self, path: Path, ordered: Sequence[Message], compression: str) -> Path:
        writer = Writer1(path)
        writer.chunk_threshold = 64 * 1024
        if compression:
            writer.set_compression(Writer1.CompressionFormat[compression.upper()])
        with writer:
            self._write(writer, ordered, ROS1, ROS1.serialize_ros1)
        return path

    @staticmethod
    def _write(writer: Any, ordered: Sequence[Message], store: Any, serialize: Any) -> None:
        connections: dict[str, Any] = {}
        for sent in ordered:
            if sent.topic not in connections:
                connections[sent.topic] = writer.add_connection(
                    sent.topic, sent.kind, typestore=store
                )
            message = image(store, sent.pixels, sent.encoding, sent.stamp)
            writer.write(connections[sent.topic], sent.log, serialize(message, sent.kind))


def image(store: Any, pixels: np.ndarray, encoding: str, stamp: int) -> Any:
    """A rosbags Image of either ROS."""
    types = store.types
    seconds, nanoseconds = divmod(stamp, 10**9)
    time = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    given = {'stamp': time, 'frame_id': 'camera_optical'}
    if store is ROS1:
        given['seq'] = 0
    flat = np.ascontiguousarray(pixels)
    return types['sensor_msgs/msg/Image'](
        header=types['std_msgs/msg/Header'](**given),
        height=flat.shape[0],
        width=flat.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=int(np.prod(flat.shape[1:])) * flat.itemsize,
        data=flat.reshape(-1).view(np.uint8),
    )


@pytest.fixture
def bag_writer(tmp_path: Path):
    """An empty `BagWriter` in the test's folder."""
    return BagWriter(tmp_path)


@pytest.fixture
def drive(tmp_path: Path):
    """Builds a labelled drive; `wrong` columns at the left of the road are labelled background."""

    def build(
        frames: int = 12, storage: str = 'mcap', name: str = 'drive', wrong: int = 0
    ) -> Path:
        writer = BagWriter(tmp_path)
        for index in range(frames):
            mask = scene(index)
            label = mask.copy()
            label[:, :wrong] = 0
            stamp = T0 + index * STEP
            writer.add('/camera/image_raw', picture(mask), 'bgr8', stamp)
            writer.add('/camera/labels', label, 'mono8', stamp, stamp + 1000)
        return writer.write(name, storage)

    return build


@pytest.fixture
def replay(contract_model: Path, monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path):
    """Runs the verb in this process: (exit status, report or None, stderr)."""
    import json

    from seg_node.cli import main

    monkeypatch.setitem(os.environ, 'XDG_CACHE_HOME', str(tmp_path / 'cache'))

    def call(*arguments: object, model: Path | None = contract_model):
        out = tmp_path / 'figures.json'
        out.unlink(missing_ok=True)
        chosen = ['--model', str(model)] if model else []
        status = main(['replay', *map(str, arguments), *chosen, '--json', str(out)])
        report = json.loads(out.read_text()) if out.exists() else None
        return status, report, capsys.readouterr().err

    return call
