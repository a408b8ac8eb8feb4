"""What a demo run leaves: the overlay video, a bag, and `demo.json`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.class_map import ClassMap
from seg_node.classes import LANE, ClassSet
from seg_node.files import write_image
from seg_node.images.frames import decode
from seg_node.images.overlay import paint
from seg_node.images.video import video_writer
from seg_node.metrics.counts import CountSpec, confusion
from seg_node.replay.scoring import choose_scoring
from seg_node.ros.recorder import FrameSet
from seg_node.timing import STAGES, percentiles

_PICTURES = 4
"""Overlays kept as single pictures."""


class DemoOutcome:
    """Takes whole frame sets one by one; a context manager that closes the video.

    truth: what the source's exact tags mean, where it has them. classes: of the masks; more than
    road and markings are scored as these two.
    """

    def __init__(
        self,
        folder: Path,
        rate: float,
        truth: ClassMap | None,
        classes: ClassSet,
        expected: int,
    ) -> None:
        self._folder = folder
        self._truth = truth
        self._classes = classes
        self._scored = choose_scoring(None, 'all').model_lut(classes)[0]
        self._latency_ms: list[float] = []
        self._confusion = np.zeros((len(LANE), len(LANE)), np.int64)
        self._spec = CountSpec(len(LANE), 0, (LANE.id_of('lane_marking'),), 0)
        self._stack = contextlib.ExitStack()
        self._append = self._stack.enter_context(video_writer(folder / 'overlay.mp4', rate))
        self._keep_every = max(1, expected // _PICTURES)

    def __enter__(self) -> DemoOutcome:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def add(self, frame_set: FrameSet) -> None:
        """Count one set and append its overlay to the video."""
        frame = decode(frame_set.messages['image'])
        mask = decode(frame_set.messages['mask']).pixels
        painted = paint(frame.bgr(), mask, self._classes)
        self._append(painted)
        if len(self._latency_ms) % self._keep_every == self._keep_every // 2:
            write_image(self._folder / f'overlay_{len(self._latency_ms):05d}.jpg', painted)
        self._latency_ms.append(frame_set.latency_ms)
        if self._truth is not None:
            tags = decode(frame_set.messages['truth']).pixels
            truth = self._truth.apply_ids(np.ascontiguousarray(tags))
            scored = np.asarray(cv2.LUT(mask, self._scored), np.uint8)
            self._confusion += confusion(truth, scored, None, self._spec)[-1]

    @property
    def frames(self) -> int:
        """Sets so far."""
        return len(self._latency_ms)

    def figures(self, diagnostics: Mapping[str, str], counts: Mapping[str, int]) -> dict[str, Any]:
        """The content of `demo.json`.

        `latency_ms`: from a frame's arrival at a reader to its mask's arrival at the same reader.
        `stages_ms`: medians inside the node. `iou`: against exact truth, where there is one.
        """
        figures: dict[str, Any] = {
            **counts,
            'frames_recorded': self.frames,
            'latency_ms': percentiles(self._latency_ms),
            'stages_ms': {s: float(diagnostics.get(f'{s}_ms_p50', 0.0)) for s in STAGES},
            'model': diagnostics.get('model', ''),
            'backend': diagnostics.get('backend', ''),
            'precision': diagnostics.get('precision', ''),
        }
        if self._truth is not None:
            figures['iou'] = class_iou(self._confusion)
        return figures


def class_iou(counts: npt.NDArray[np.int64]) -> dict[str, float | None]:
    """IoU of road and lane marking from a confusion matrix (truth by row); None where unseen."""
    hit = np.diag(counts)
    union = counts.sum(0) + counts.sum(1) - hit
    return {
        name: round(float(hit[i] / union[i]), 4) if union[i] else None
        for i, name in enumerate(LANE.names)
        if i
    }
