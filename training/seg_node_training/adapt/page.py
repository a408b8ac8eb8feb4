"""Before and after, side by side, on frames that were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.files import write_image
from seg_node.images.frames import Frame
from seg_node.images.overlay import paint
from seg_node.images.reading import read_bgr
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.pipeline import Segmenter

U8 = npt.NDArray[np.uint8]
WIDTH = 480


def side_by_side(before: Path, after: Path, frames: Sequence[Path], target: Path) -> None:
    """Write a sheet: a row a frame, its overlay by the model `before` and by `after`."""
    columns = []
    for title, model in (('before', before), ('after', after)):
        runner = load_model(model, RunOptions(pin=False)).runner
        segmenter = Segmenter(runner)
        shown = []
        for path in frames:
            picture = read_bgr(path)
            mask = segmenter(Frame(picture, 'bgr')).mask
            shown.append(_titled(paint(picture, mask, runner.spec.classes), title))
        columns.append(np.vstack(shown))
    write_image(target, np.hstack(columns))


def _titled(picture: U8, title: str) -> U8:
    height = round(picture.shape[0] * WIDTH / picture.shape[1])
    small = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
    cv2.putText(small, title, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 255), 2)
    return np.asarray(small, np.uint8)
