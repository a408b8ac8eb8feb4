"""Integer counts of one frame: everything else is computed from their sums, exactly."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.classes import UNLABELED
from seg_node.errors import ConfigError

Array = npt.NDArray[np.uint8]
_EXACT_IN_FLOAT32 = 1 << 24


@dataclass(frozen=True)
class CountSpec:
    """Sizes of the counts: `classes` K, distance `bands` B (without the unknown one), paint ids.

    `tolerance_px`: radius in pixels of the disk within which paint counts as found.
    """

    classes: int
    bands: int
    markings: tuple[int, ...]
    tolerance_px: int

    def __post_init__(self) -> None:
        most = UNLABELED // self.classes**2 - 1
        if self.bands > most:
            raise ConfigError(f'--bands: expected at most {most} bands for {self.classes} classes')
        if not 0 <= self.tolerance_px <= 50:
            raise ConfigError(f'--tolerance: expected 0 to 50 pixels, got {self.tolerance_px}')


def confusion(truth: Array, mask: Array, band: Array | None, spec: CountSpec) -> npt.NDArray:
    """int64 (B + 1, K, K): pixels by band, true class and found class; the last band is unknown.

    `truth`: uint8 (H, W), 255 ignored; `mask`: uint8 (H, W) ids below K; `band`: uint8 (H, W) ids
    up to B, or None when every pixel's distance is unknown.
    """
    k = spec.classes
    # Band, truth and mask in one byte; saturating sums keep the ignored pixels at 255.
    code = cv2.LUT(truth, _times(k, k))
    cv2.add(code, mask, dst=code)
    if band is not None:
        cv2.add(code, cv2.LUT(band, _times(k * k, spec.bands + 1)), dst=code)
    counts = _histogram(np.asarray(code, np.uint8))
    found = np.zeros((spec.bands + 1, k, k), np.int64)
    if band is None:
        found[-1] = counts[: k * k].reshape(k, k)
    else:
        found[...] = counts[: found.size].reshape(found.shape)
    return found


@functools.cache
def _times(factor: int, count: int) -> Array:
    """uint8 (256): the first `count` ids times `factor`, the others 255."""
    table = np.full(256, UNLABELED, np.uint8)
    table[:count] = np.arange(count) * factor
    return table


def _histogram(codes: Array) -> npt.NDArray[np.int64]:
    """int64 (256): how often each value occurs."""
    if codes.size >= _EXACT_IN_FLOAT32:
        return np.bincount(codes.ravel(), minlength=256)
    counted = cv2.calcHist([codes], [0], None, [256], [0, 256])
    return counted.ravel().astype(np.int64)


@dataclass(frozen=True)
class LaneCounts:
    """Paint pixels: `true` in the labels, `found` in the mask, and how many of each are near
    (within the tolerance of) a pixel of the other.
    """

    true: int
    true_near: int
    found: int
    found_near: int


def lane_counts(truth: Array, mask: Array, spec: CountSpec) -> LaneCounts:
    """Paint found within `spec.tolerance_px`; pixels without a label count on neither side."""
    select = _selection(spec.markings)
    true = cv2.LUT(truth, select)
    found = cv2.LUT(mask, select)
    cv2.bitwise_and(found, _known(truth), dst=found)
    # Paint fills a part of the rows only.
    _, top, _, rows = cv2.boundingRect(cv2.bitwise_or(true, found))
    true, found = true[top : top + rows], found[top : top + rows]
    if not rows:
        return LaneCounts(0, 0, 0, 0)
    disk = _disk(spec.tolerance_px)
    near_found, near_true = cv2.dilate(found, disk), cv2.dilate(true, disk)
    count = cv2.countNonZero
    return LaneCounts(
        count(true),
        count(cv2.bitwise_and(true, near_found)),
        count(found),
        count(cv2.bitwise_and(found, near_true)),
    )


def _known(truth: Array) -> Array:
    """255 where there is a label. A table, because OpenCV takes tiny pictures for scalars."""
    return np.asarray(cv2.LUT(truth, _selection(tuple(range(UNLABELED)))), np.uint8)


@functools.cache
def _selection(ids: tuple[int, ...]) -> Array:
    table = np.zeros(256, np.uint8)
    table[list(ids)] = 255
    return table


@functools.cache
def _disk(radius: int) -> Array:
    axis = np.arange(-radius, radius + 1)
    return (axis[:, None] ** 2 + axis[None, :] ** 2 <= radius**2).astype(np.uint8)


@dataclass
class Flicker:
    """Counts of class changes between neighbouring frames of one model.

    `change`: the class differs from the frame before. `flip`: it differed in the frame before and
    is again what it was two frames ago, which motion seldom does. With labels, only pixels are
    compared whose labelled class stayed the same and is known.
    """

    needs_truth: bool
    _masks: list[Array] = field(default_factory=list)
    _truths: list[Array | None] = field(default_factory=list)

    def reset(self) -> None:
        """Forget the frames before: the next one is not their neighbour."""
        self._masks.clear()
        self._truths.clear()

    def add(self, mask: Array, truth: Array | None) -> tuple[int, int, int, int]:
        """(changed, compared, flipped, compared) pixels; keeps `mask` and `truth` themselves."""
        if self._masks and self._masks[-1].shape != mask.shape:
            self.reset()
        changed = self._pair(mask, truth)
        flipped = self._triple(mask, truth)
        self._masks = [*self._masks[-1:], mask]
        self._truths = [*self._truths[-1:], truth]
        return (*changed, *flipped)

    def _still(self, truths: list[Array | None]) -> Array | None:
        """255 where all `truths` agree and are known; None where there is nothing to compare."""
        first = truths[0]
        if any(truth is None for truth in truths) or first is None:
            return None
        still = _known(first)
        for other in truths[1:]:
            assert other is not None
            cv2.bitwise_and(still, np.asarray(cv2.compare(first, other, cv2.CMP_EQ)), dst=still)
        return still

    def _pair(self, mask: Array, truth: Array | None) -> tuple[int, int]:
        if not self._masks:
            return 0, 0
        differs = np.asarray(cv2.compare(mask, self._masks[-1], cv2.CMP_NE), np.uint8)
        return self._within(differs, [truth, self._truths[-1]])

    def _triple(self, mask: Array, truth: Array | None) -> tuple[int, int]:
        if len(self._masks) < 2:
            return 0, 0
        back = np.asarray(cv2.compare(mask, self._masks[0], cv2.CMP_EQ), np.uint8)
        cv2.bitwise_and(back, np.asarray(cv2.compare(mask, self._masks[1], cv2.CMP_NE)), dst=back)
        return self._within(back, [truth, *self._truths])

    def _within(self, pixels: Array, truths: list[Array | None]) -> tuple[int, int]:
        if not self.needs_truth:
            return cv2.countNonZero(pixels), pixels.size
        still = self._still(truths)
        if still is None:
            return 0, 0
        return cv2.countNonZero(cv2.bitwise_and(pixels, still)), cv2.countNonZero(still)
