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
        most = (256 - self.classes) // self.classes**2 - 1
        if self.bands > most:
            raise ConfigError(f'--bands: expected at most {most} bands for {self.classes} classes')
        if not 0 <= self.tolerance_px <= 50:
            raise ConfigError(f'--tolerance: expected 0 to 50 pixels, got {self.tolerance_px}')


def confusion(
    truth: Array, mask: Array, band: Array | None, spec: CountSpec
) -> npt.NDArray[np.int64]:
    """int64 (B + 1, K, K): pixels by band, true class and found class; the last band is unknown.

    `truth`: uint8 (H, W), 255 ignored; `mask`: uint8 (H, W) ids below K; `band`: uint8 (H, W) ids
    up to B, or None when every pixel's distance is unknown.
    """
    k = spec.classes
    # Band, truth and mask in one byte. Ignored pixels become 255 k mod 256 = 256 - k, and sums
    # saturate, so that they stay above every code that is counted.
    code = np.multiply(truth, np.uint8(k))
    cv2.add(code, mask, dst=code)
    if band is not None:
        cv2.add(code, np.multiply(band, np.uint8(k * k)), dst=code)
    counts = _histogram(np.asarray(code, np.uint8))
    by_band = np.zeros((spec.bands + 1, k, k), np.int64)
    if band is None:
        by_band[-1] = counts[: k * k].reshape(k, k)
    else:
        by_band[...] = counts[: by_band.size].reshape(by_band.shape)
    return by_band


def pair_counts(truth: Array, mask: Array, classes: int) -> npt.NDArray[np.int64]:
    """int64 (K, K): pixels by true class and class of the mask, for up to 255 `classes`.

    `truth`: uint8 (H, W), ids from K up (255 too) are not counted; `mask`: uint8 (H, W) below K.
    Up to 15 classes by `confusion`, whose codes have a byte.
    """
    if classes * (classes + 1) <= 256:
        known = np.where(truth < classes, truth, np.uint8(UNLABELED))
        (counts,) = confusion(known, mask, None, CountSpec(classes, 0, (), 0))
        return np.asarray(counts, np.int64)
    kept = truth < classes
    pairs = truth[kept].astype(np.intp) * classes + mask[kept]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def _histogram(codes: Array) -> npt.NDArray[np.int64]:
    """int64 (256): how often each value occurs."""
    if codes.size >= _EXACT_IN_FLOAT32:
        return np.bincount(codes.ravel(), minlength=256).astype(np.int64)
    counted = cv2.calcHist([codes], [0], None, [256], [0, 256])
    return np.asarray(counted, np.float32).ravel().astype(np.int64)


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
    true = _where(truth, spec.markings)
    found = cv2.bitwise_and(_where(mask, spec.markings), _known(truth))
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
    """255 where there is a label, else 0."""
    return _as_mask(truth != UNLABELED)


def _where(ids: Array, class_ids: tuple[int, ...]) -> Array:
    """255 where the id is one of `class_ids`, else 0."""
    match = ids == class_ids[0]
    for other in class_ids[1:]:
        match |= ids == other
    return _as_mask(match)


def _as_mask(flags: npt.NDArray[np.bool_]) -> Array:
    return np.multiply(flags.view(np.uint8), np.uint8(255))


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
    _truth: Array | None = None
    _still: Array | None = None
    """255 where the last two labels agree and are known."""

    def reset(self) -> None:
        """Forget the frames before: the next one is not their neighbour."""
        self._masks.clear()
        self._truth = self._still = None

    def add(self, mask: Array, truth: Array | None) -> tuple[int, int, int, int]:
        """(changed, compared, flipped, compared) pixels; keeps `mask` and `truth` themselves."""
        if self._masks and self._masks[-1].shape != mask.shape:
            self.reset()
        still = self._agreement(truth)
        changed = flipped = (0, 0)
        if self._masks:
            differs = np.asarray(cv2.compare(mask, self._masks[-1], cv2.CMP_NE), np.uint8)
            changed = self._within(differs, still)
        if len(self._masks) == 2:
            both = still
            if still is not None and self._still is not None:
                both = np.asarray(cv2.bitwise_and(still, self._still), np.uint8)
            flipped = self._within(self._flips(mask), None if self._still is None else both)
        self._masks = [*self._masks[-1:], mask]
        self._truth, self._still = truth, still
        return (*changed, *flipped)

    def _agreement(self, truth: Array | None) -> Array | None:
        if truth is None or self._truth is None:
            return None
        agree = np.asarray(cv2.compare(truth, self._truth, cv2.CMP_EQ), np.uint8)
        cv2.bitwise_and(agree, _known(truth), dst=agree)
        return agree

    def _flips(self, mask: Array) -> Array:
        back = np.asarray(cv2.compare(mask, self._masks[0], cv2.CMP_EQ), np.uint8)
        cv2.bitwise_and(back, np.asarray(cv2.compare(mask, self._masks[1], cv2.CMP_NE)), dst=back)
        return back

    def _within(self, pixels: Array, still: Array | None) -> tuple[int, int]:
        if not self.needs_truth:
            return cv2.countNonZero(pixels), pixels.size
        if still is None:
            return 0, 0
        return cv2.countNonZero(cv2.bitwise_and(pixels, still)), cv2.countNonZero(still)
