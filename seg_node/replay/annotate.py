"""The drive once more with its masks: a bag for Foxglove or RViz, and a video.

The masks are computed again, which gives the same bits; the figures come from the records.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.bags.writer import McapWriter
from seg_node.errors import FrameError
from seg_node.images.overlay import paint
from seg_node.images.video import video_writer
from seg_node.metrics.figures import lane_iou, lane_name, mean_iou, ratio
from seg_node.pipeline import Segmenter
from seg_node.progress import track
from seg_node.replay.evaluation import Evaluation
from seg_node.replay.journal import EVALUATED, WITH_TRUTH
from seg_node.replay.reading import DrivePart, Item, PartReader

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
        for item in PartReader(evaluation.plan, DrivePart(index, stop=evaluation.plan.limit)):
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
    figures = {
        'changed': float(ratio(flicker[0], flicker[1])[()]),
        'latency_ms': float(row['ms'].sum()),
    }
    if record['truth'] == WITH_TRUTH:
        figures['miou'] = float(mean_iou(row['confusion'].sum(0, dtype=np.int64))[()])
        if evaluation.plan.spec.markings:
            name = lane_name(evaluation.plan.spec.tolerance_px)
            figures[name] = float(lane_iou(row['lane'].astype(np.int64))[()])
    return {name: value for name, value in figures.items() if not np.isnan(value)}


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
    with McapWriter(path) as bag:
        yield _Topics(bag, drives).write


class _Topics:
    """Topics of the annotated bag."""

    def __init__(self, bag: McapWriter, drives: int) -> None:
        self._bag = bag
        self._types = bag.types
        self._several = drives > 1

    def write(self, frame: Annotated) -> None:
        """Write one frame at its log time, with its stamp in the headers."""
        root = f'/drive_{frame.drive}/seg_node' if self._several else '/seg_node'
        messages = {'mask': self._image(frame, frame.mask)}
        if frame.item.truth is not None:
            messages['labels'] = self._image(frame, frame.item.truth)
        _, jpeg = cv2.imencode('.jpg', frame.overlay, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
        compressed = self._types['sensor_msgs/msg/CompressedImage']
        messages['overlay/compressed'] = compressed(self._header(frame), 'jpeg', jpeg.ravel())
        for name, value in frame.figures.items():
            messages[f'metrics/{name}'] = self._types['std_msgs/msg/Float64'](value)
        for name, message in messages.items():
            self._bag.put(f'{root}/{name}', frame.item.log, message)

    def _header(self, frame: Annotated) -> Any:
        stamp = self._types['builtin_interfaces/msg/Time'](*divmod(frame.item.stamp, 10**9))
        return self._types['std_msgs/msg/Header'](stamp, frame.item.frame_id)

    def _image(self, frame: Annotated, plane: Array) -> Any:
        height, width = plane.shape
        data = np.ascontiguousarray(plane).ravel()
        image = self._types['sensor_msgs/msg/Image']
        return image(self._header(frame), height, width, 'mono8', 0, width, data)
