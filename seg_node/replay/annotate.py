"""The drive once more with its masks: a bag for Foxglove or RViz, and a video.

The masks are computed again, which gives the same bits; the figures come from the records.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.errors import FrameError, InputError
from seg_node.overlay import paint
from seg_node.pipeline import Segmenter
from seg_node.progress import track
from seg_node.replay.evaluation import Evaluation
from seg_node.replay.figures import lane_iou, lane_name, mean_iou, ratio
from seg_node.replay.journal import EVALUATED, WITH_TRUTH
from seg_node.replay.reading import Item, Part, PartReader
from seg_node.video import video_writer

Array = npt.NDArray[np.uint8]
_JPEG_QUALITY = 85
_CAPTION_BGR = (255, 255, 255)


@dataclass(frozen=True)
class Annotated:
    """One frame with the first model's mask, the picture painted with it, and its figures."""

    drive: int
    item: Item
    mask: Array
    overlay: Array
    figures: dict[str, float]


def annotate(
    evaluation: Evaluation, mcap: Path | None, video: Path | None, rate: float | None
) -> None:
    """Write the annotated bag and the overlay video; each is whole or not there."""
    with contextlib.ExitStack() as stack:
        sinks: list[Callable[[Annotated], None]] = []
        if mcap is not None:
            sinks.append(stack.enter_context(_bag_sink(mcap, len(evaluation.plan.drives))))
        if video is not None:
            append = stack.enter_context(video_writer(video, rate or 10.0))
            sinks.append(_video_sink(append))
        for frame in track(_annotated(evaluation), 'annotate', len(evaluation.book)):
            for sink in sinks:
                sink(frame)


def _annotated(evaluation: Evaluation) -> Iterator[Annotated]:
    facts = evaluation.models[0]
    segmenter = Segmenter(facts.runner)
    records = _records(evaluation)
    for index in range(len(evaluation.plan.drives)):
        for item in PartReader(evaluation.plan, Part(index, stop=evaluation.plan.limit)):
            record = next(records, None)
            if record is None:
                return
            if item.frame is None or record['status'] != EVALUATED:
                continue
            with contextlib.suppress(FrameError):
                mask = segmenter(item.frame).mask
                overlay = paint(item.frame.bgr(), mask, facts.runner.spec.classes)
                yield Annotated(index, item, mask, overlay, _figures(evaluation, record))


def _records(evaluation: Evaluation) -> Iterator[np.void]:
    for chunk in evaluation.book.chunks():
        yield from chunk


def _figures(evaluation: Evaluation, record: np.void) -> dict[str, float]:
    """Figures of one frame that exist, by topic name."""
    row = record['models'][0]
    flicker = row['flicker'].astype(np.int64)
    found = {
        'changed': float(ratio(flicker[0], flicker[1])[()]),
        'latency_ms': float(row['ms'].sum()),
    }
    if record['truth'] == WITH_TRUTH:
        found['miou'] = float(mean_iou(row['confusion'].sum(0, dtype=np.int64))[()])
        if evaluation.plan.spec.markings:
            name = lane_name(evaluation.plan.spec.tolerance_px)
            found[name] = float(lane_iou(row['lane'].astype(np.int64))[()])
    return {name: value for name, value in found.items() if not np.isnan(value)}


def _video_sink(append: Callable[[Array], None]) -> Callable[[Annotated], None]:
    size: list[tuple[int, int]] = []

    def sink(frame: Annotated) -> None:
        picture = frame.overlay
        if not size:
            size.append((picture.shape[1], picture.shape[0]))
        if size[0] != (picture.shape[1], picture.shape[0]):
            picture = np.asarray(cv2.resize(picture, size[0]), np.uint8)
        scores = (f'{n} {v:.2f}' for n, v in frame.figures.items() if n != 'latency_ms')
        caption = f'{frame.item.number}   ' + '   '.join(scores)
        place, font = (10, size[0][1] - 12), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(picture, caption, place, font, 0.5, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(picture, caption, place, font, 0.5, _CAPTION_BGR, 1, cv2.LINE_AA)
        append(picture)

    return sink


@contextlib.contextmanager
def _bag_sink(path: Path, drives: int) -> Iterator[Callable[[Annotated], None]]:
    """Topics `/seg_node/mask`, `overlay/compressed`, `labels` and `metrics/*`.

    Below `/drive_N` where there are several drives.
    """
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    if path.suffix != '.mcap':
        raise InputError(f'{path}: expected a name that ends in .mcap')
    store = get_typestore(Stores.ROS2_JAZZY)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.annotated-') as folder:
        bag = Path(folder) / path.stem
        writer = Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP)
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        with writer:
            yield _Topics(writer, store, drives).write
        shutil.move(bag / f'{path.stem}.mcap', path)


class _Topics:
    """Connections of the annotated bag, made when they are first used."""

    def __init__(self, writer: Any, store: Any, drives: int) -> None:
        self._writer = writer
        self._store = store
        self._several = drives > 1
        self._connections: dict[str, Any] = {}

    def write(self, frame: Annotated) -> None:
        """Write one frame at its log time, with its stamp in the headers."""
        root = f'/drive_{frame.drive}/seg_node' if self._several else '/seg_node'
        self._put(f'{root}/mask', frame, self._image(frame, frame.mask))
        if frame.item.truth is not None:
            self._put(f'{root}/labels', frame, self._image(frame, frame.item.truth))
        _, jpeg = cv2.imencode('.jpg', frame.overlay, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
        compressed = self._type('sensor_msgs/msg/CompressedImage')
        self._put(
            f'{root}/overlay/compressed',
            frame,
            compressed(header=self._header(frame), format='jpeg', data=jpeg.ravel()),
        )
        number = self._type('std_msgs/msg/Float64')
        for name, value in frame.figures.items():
            self._put(f'{root}/metrics/{name}', frame, number(data=value))

    def _type(self, name: str) -> Any:
        return self._store.types[name]

    def _header(self, frame: Annotated) -> Any:
        seconds, nanoseconds = divmod(frame.item.stamp, 10**9)
        stamp = self._type('builtin_interfaces/msg/Time')(sec=seconds, nanosec=nanoseconds)
        return self._type('std_msgs/msg/Header')(stamp=stamp, frame_id=frame.item.frame_id)

    def _image(self, frame: Annotated, plane: Array) -> Any:
        return self._type('sensor_msgs/msg/Image')(
            header=self._header(frame),
            height=plane.shape[0],
            width=plane.shape[1],
            encoding='mono8',
            is_bigendian=0,
            step=plane.shape[1],
            data=np.ascontiguousarray(plane).ravel(),
        )

    def _put(self, topic: str, frame: Annotated, message: Any) -> None:
        kind = message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._store
            )
        raw = self._store.serialize_cdr(message, kind)
        self._writer.write(self._connections[topic], frame.item.log, raw)
