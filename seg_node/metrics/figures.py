"""From summed counts to figures: IoU, precision, recall, lanes with a tolerance, flicker."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Values:
    """`part / whole`, NaN where `whole` is 0."""
    numerator, denominator = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    out = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


def ious(confusion: Counts) -> Values:
    """(..., K) IoU of each class of (..., K, K) counts by true and found class; NaN: no pixel."""
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    return ratio(hit, confusion.sum(-1) + confusion.sum(-2) - hit)


def mean_iou(confusion: Counts) -> Values:
    """(...) mean of `ious` over the classes that occur, background included; NaN: no pixel."""
    values = ious(confusion)
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(-1), known.sum(-1))


def lane_iou(lane: Counts) -> Values:
    """(...) tolerant IoU of (..., 4) `LaneCounts`: near / (near + missed + false).

    near: labelled paint with found paint within the tolerance; missed: the rest of it; false:
    found paint without labelled paint within the tolerance. With tolerance 0 it is the IoU.
    """
    true, true_near, found, found_near = np.moveaxis(np.asarray(lane), -1, 0)
    return ratio(true_near, true + found - found_near)


def number(value: float | np.floating[Any] | Values) -> float | None:
    """A JSON number with 6 decimals; None for NaN."""
    plain = float(value)
    return None if math.isnan(plain) else round(plain, 6)


def class_table(confusion: Counts, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """IoU, precision, recall and labelled pixels of each class of (K, K) counts."""
    hit = np.diagonal(confusion)
    values = {
        'iou': ious(confusion),
        'precision': ratio(hit, confusion.sum(0)),
        'recall': ratio(hit, confusion.sum(1)),
    }
    return {
        name: {key: number(by_class[i]) for key, by_class in values.items()}
        | {'pixels': int(confusion[i].sum())}
        for i, name in enumerate(names)
    }


def summary(confusion: Counts, names: tuple[str, ...]) -> dict[str, Any]:
    """The figures of (K, K) counts."""
    class_ious = ious(confusion)
    return {
        'miou': number(mean_iou(confusion)),
        'miou_foreground': number(
            np.nanmean(class_ious[1:]) if np.any(~np.isnan(class_ious[1:])) else np.nan
        ),
        'accuracy': number(ratio(np.trace(confusion), confusion.sum())[()]),
        'classes': class_table(confusion, names),
    }


def lane_summary(lane: Counts, tolerance_px: int) -> dict[str, Any]:
    """Tolerant lane figures of (4,) counts, under a name that states the tolerance."""
    true, true_near, found, found_near = lane
    return {
        'name': lane_name(tolerance_px),
        'tolerance_px': tolerance_px,
        'iou': number(lane_iou(lane)[()]),
        'precision': number(ratio(found_near, found)[()]),
        'recall': number(ratio(true_near, true)[()]),
        'labelled_pixels': int(true),
    }


def lane_name(tolerance_px: int) -> str:
    """Name of the tolerant lane IoU, so that nobody takes it for the plain one."""
    return f'lane_iou_within_{tolerance_px}px'


def flicker_summary(flicker: Counts) -> dict[str, Any]:
    """Shares of changed and of flipped pixels of (4,) counts; None without neighbours."""
    return {
        'changed': number(ratio(flicker[0], flicker[1])[()]),
        'flipped': number(ratio(flicker[2], flicker[3])[()]),
    }
