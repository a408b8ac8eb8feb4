"""Scores enlarged to camera size and decided there, only where a decision is open.

Most of a picture is far from any threshold. Linear interpolation never exceeds its neighbours, so
outside the box of pixels that reach a class's threshold the class cannot appear: only that box is
enlarged. The mask is the one that enlarging everything would give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.camera.geometry import Geometry
from seg_node.decide import Decider

Array = npt.NDArray[np.uint8]
Span = tuple[int, int]


class Enlarger:
    """Makes the camera-sized mask of one geometry; owns its memory. Not thread-safe."""

    def __init__(self, geometry: Geometry, decider: Decider, classes: int) -> None:
        self.geometry = geometry
        self.decider = decider
        shape = (geometry.source.height, geometry.source.width)
        self._mask = np.empty(shape, np.uint8)
        self._plane = np.empty(shape, np.uint8)
        self._present = np.empty(shape, np.uint8)
        self._full = tuple(np.empty(shape, np.uint8) for _ in range(classes))

    def planes(self, scores: Sequence[Array]) -> tuple[Array, ...]:
        """All of K planes as the network gives them, uint8 (h, w), as scores at camera size
        (H, W)."""
        to_source = self.geometry.to_source
        large = tuple(to_source(plane, out) for plane, out in zip(scores, self._full))
        code = self.decider.code
        if code is None:
            return large
        return tuple(code.scores(k, plane, plane) for k, plane in enumerate(large))

    def mask(self, scores: Sequence[Array]) -> Array:
        """uint8 (H, W): class ids of K score planes, uint8 (h, w)."""
        if self.decider.head == 'softmax':
            return self.decider(self.planes(scores), self._mask)
        self._mask[...] = 0
        for class_id, (plane, threshold) in enumerate(zip(scores, self.decider.levels), 1):
            self._paint(class_id, self.geometry.crop(plane), threshold)
        return self._mask

    def nearest(self, mask: Array) -> Array:
        """uint8 (H, W): a network-sized mask of class ids, enlarged by nearest neighbour."""
        return self.geometry.to_source(mask, self._mask, nearest=True)

    def _paint(self, class_id: int, plane: Array, threshold: int) -> None:
        _, reached = cv2.threshold(plane, threshold - 1, 255, cv2.THRESH_BINARY)
        left, top, width, height = cv2.boundingRect(reached)
        if not width:
            return
        size = self.geometry.source
        (x0, x1), (u0, u1) = _aligned((left, left + width), plane.shape[1], size.width)
        (y0, y1), (v0, v1) = _aligned((top, top + height), plane.shape[0], size.height)
        target = self._plane[: v1 - v0, : u1 - u0]
        cv2.resize(plane[y0:y1, x0:x1], (u1 - u0, v1 - v0), dst=target)
        present = self._present[: v1 - v0, : u1 - u0]
        cv2.threshold(target, threshold - 1, class_id, cv2.THRESH_BINARY, dst=present)
        # Later classes are painted over earlier ones: the id is the largest that is present.
        box = self._mask[v0:v1, u0:u1]
        cv2.max(box, present, dst=box)


def _aligned(span: Span, small: int, large: int) -> tuple[Span, Span]:
    """`span` of `small` pixels, grown by one, and its place among `large` pixels.

    Grown further until both ends fall on whole pixels of both, so that resizing the part gives the
    same pixels as resizing the whole.
    """
    step = small // math.gcd(small, large)
    start = max(0, span[0] - 1) // step * step
    end = min(small, -(-(span[1] + 1) // step) * step)
    return (start, end), (start * large // small, end * large // small)
