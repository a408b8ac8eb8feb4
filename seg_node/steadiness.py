"""Masks that hold still: a pixel changes its class only where the scores say so clearly.

A threshold with hysteresis (Schmitt 1938), each pixel's last decision as its state. Nothing is
averaged over time, so nothing lags: a clear score changes the class in its own frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.decide import Decider

Array = npt.NDArray[np.uint8]

LONGEST_GAP_NS = 500_000_000
"""Frames further apart than half a second, or going back in time, are no neighbours."""


class Hysteresis:
    """The state of one camera. Not thread-safe.

    Args:
        decider: the thresholds, which may change at any time.
        margin: 1 to 127 scores (probability x 255). A class that a pixel has stays down to
            `margin` under its threshold, one that it has not begins `margin` above it.
    """

    def __init__(self, decider: Decider, margin: int) -> None:
        self.margin = margin
        self._decider = decider
        self._before: tuple[Array, ...] = ()
        """255 where the last frame had the class."""
        self._steadied: tuple[Array, ...] = ()
        self._mark = np.empty((0, 0), np.uint8)
        self._stamp_ns: int | None = None

    def __call__(self, planes: Sequence[Array], stamp_ns: int | None = None) -> tuple[Array, ...]:
        """The planes with the margin in them, for the decision rule as it is.

        Shape:
            K planes uint8 (h, w) as the network gives them, to the same; they are this object's
            memory, valid until its next call.

        `stamp_ns`: the frame's time; without it, frames come one after the other.
        """
        shape = planes[0].shape
        known = len(self._before) == len(planes) and self._before[0].shape == shape
        if not known:
            self._before, self._steadied = (
                tuple(np.empty(shape, np.uint8) for _ in planes) for _ in range(2)
            )
            self._mark = np.empty(shape, np.uint8)
        fresh = not known or not self._is_next(stamp_ns)
        self._stamp_ns = stamp_ns
        thresholds, levels = self._decider.thresholds, self._decider.levels
        easier = self._decider.levels_of(tuple(max(t - self.margin, 1) for t in thresholds))
        harder = self._decider.levels_of(tuple(min(t + self.margin, 255) for t in thresholds))
        for index, plane in enumerate(planes):
            had, steadied = self._before[index], self._steadied[index]
            level = levels[index]
            if fresh:
                np.copyto(steadied, plane)
            else:
                cv2.min(had, level - easier[index], dst=self._mark)
                cv2.add(plane, self._mark, dst=steadied)
                cv2.bitwise_not(had, dst=had)
                cv2.min(had, harder[index] - level, dst=self._mark)
                cv2.subtract(steadied, self._mark, dst=steadied)
            cv2.threshold(steadied, level - 1, 255, cv2.THRESH_BINARY, dst=had)
        return self._steadied

    def _is_next(self, stamp_ns: int | None) -> bool:
        if stamp_ns is None or self._stamp_ns is None:
            return True
        return 0 < stamp_ns - self._stamp_ns <= LONGEST_GAP_NS
