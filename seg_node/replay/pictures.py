"""The frames worth looking at: read and segmented once more, which gives the same masks."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.classes import LANE, LANE_TYPES, UNLABELED, ClassSet
from seg_node.images.overlay import paint
from seg_node.pipeline import Segmenter
from seg_node.replay.evaluation import Evaluation
from seg_node.replay.reading import DrivePart, Item, PartReader

Array = npt.NDArray[np.uint8]
_PICTURE_WIDTH = 480
_JPEG_QUALITY = 78
# Blue and orange are told apart by colour-blind people as well; grey is right.
_FALSE_BGR, _MISSED_BGR, _RIGHT_BGR = (40, 130, 255), (255, 90, 40), (120, 200, 90)


@dataclass(frozen=True)
class Picture:
    """One frame: JPEGs as `data:` addresses by view (camera, mask of a model, labels, errors)."""

    drive: int
    number: int
    views: dict[str, str]


def pictures(evaluation: Evaluation, chosen: Sequence[dict[str, Any]]) -> list[Picture]:
    """Views of the wanted frames (`drive`, `number` of the gallery), in their order."""
    by_place: dict[tuple[int, int], Picture] = {}
    segmenters = [Segmenter(facts.runner) for facts in evaluation.models]
    for drive in sorted({entry['drive'] for entry in chosen}):
        entries = sorted({(e['number'], e['log']) for e in chosen if e['drive'] == drive})
        for number, log in entries:
            item = _frame(evaluation, drive, number, log)
            if item is not None and item.frame is not None:
                views = _views(evaluation, segmenters, item)
                by_place[drive, number] = Picture(drive, number, views)
    keys = [(entry['drive'], entry['number']) for entry in chosen]
    return [by_place[key] for key in keys if key in by_place]


def _frame(evaluation: Evaluation, drive: int, number: int, log: int) -> Item | None:
    """One frame by itself; reading begins at its log time."""
    there = _first_at(evaluation, drive, log, number)
    part = DrivePart(drive, number, number + 1, log, there)
    reader: Iterator[Item] = iter(PartReader(evaluation.plan, part))
    return next((item for item in reader if item.number == number), None)


def _first_at(evaluation: Evaluation, drive: int, log: int, number: int) -> int:
    """Number of the first frame that was recorded at `log`, seldom another than `number`."""
    same = evaluation.book.column(lambda c: c['number'][(c['drive'] == drive) & (c['log'] == log)])
    return int(same.min()) if same.size else number


def _views(evaluation: Evaluation, segmenters: Sequence[Segmenter], item: Item) -> dict[str, str]:
    assert item.frame is not None
    bgr = item.frame.bgr()
    scoring = evaluation.plan.scoring
    classes = evaluation_classes(scoring.names)
    views: dict[str, str] = {}
    for facts, segmenter in zip(evaluation.models, segmenters):
        answer = segmenter(item.frame).mask
        mask = np.asarray(cv2.LUT(answer, scoring.model_lut(facts.runner.spec.classes)[0]))
        name = 'mask' if len(segmenters) == 1 else f'mask of {facts.choice.label}'
        views[name] = data_address(paint(bgr, mask, classes))
        if item.truth is not None and 'errors' not in views:
            errors = _errors(bgr, item.truth, mask)
            views['errors'] = data_address(errors)
    if item.truth is not None:
        labels = np.where(item.truth == UNLABELED, 0, item.truth).astype(np.uint8)
        views['labels'] = data_address(paint(bgr, labels, classes))
    views['camera'] = data_address(bgr)
    return views


def _errors(bgr: Array, truth: Array, mask: Array) -> Array:
    """The picture in grey, with what is right, false and missed of the foreground painted."""
    grey = cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    known = truth != UNLABELED
    painted = grey.copy()
    painted[known & (mask == truth) & (truth != 0)] = _RIGHT_BGR
    painted[known & (mask != truth) & (mask != 0)] = _FALSE_BGR
    painted[known & (mask != truth) & (truth != 0) & (mask == 0)] = _MISSED_BGR
    return np.asarray(cv2.addWeighted(grey, 0.45, painted, 0.55, 0.0), np.uint8)


def evaluation_classes(names: tuple[str, ...]) -> ClassSet:
    """Colours for the evaluation classes: those of the class sets of the same names."""
    known = dict(zip(LANE_TYPES.names, LANE_TYPES.colours)) | dict(zip(LANE.names, LANE.colours))
    return ClassSet(names, tuple(known.get(name, (200, 60, 200)) for name in names))


def data_address(bgr: Array) -> str:
    """A picture as a `data:` address, JPEG, at the width of the report."""
    height = max(1, round(bgr.shape[0] * _PICTURE_WIDTH / bgr.shape[1]))
    small = cv2.resize(bgr, (_PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode('.jpg', small, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    return 'data:image/jpeg;base64,' + base64.b64encode(jpeg.tobytes()).decode()
