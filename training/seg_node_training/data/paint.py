"""Where there is paint: teacher's line regions against what the picture itself shows."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from seg_node_training.data.targets import UNKNOWN

U8 = npt.NDArray[np.uint8]


def brighter_than_flanks(image: U8, horizon: float = 0.4) -> npt.NDArray[np.bool_]:
    """bool (H, W): pixels brighter than the road on both sides of them (dark-light-dark).

    `image` is uint8 (H, W, 3) BGR. The flanks lie half a line's neighbourhood to the left and
    right, wider towards the bottom, where lines are wider: the dark-light-dark test of lane
    detection (Veit et al. 2008 compare it with others), on the mean of red and green, because
    yellow paint is dark in blue. A pixel must exceed both flanks by 12 of 255 and by a fifth.
    """
    height, width = image.shape[:2]
    light = (image[..., 1].astype(np.float32) + image[..., 2]) / 2
    down = np.clip((np.arange(height) / height - horizon) / (1 - horizon), 0, 1)
    reach = np.maximum(2, (0.012 + 0.113 * down) * width / 2).astype(np.intp)
    summed = np.zeros((height, width + 1), np.float64)
    np.cumsum(light, axis=1, out=summed[:, 1:])
    columns = np.arange(width)[None]
    rows = np.arange(height)[:, None]
    half = (reach // 2)[:, None]
    low, high = np.clip(columns - half, 0, width), np.clip(columns + half + 1, 0, width)
    mean = ((summed[rows, high] - summed[rows, low]) / (high - low)).astype(np.float32)
    left = mean[rows, np.clip(columns - reach[:, None], 0, width - 1)]
    right = mean[rows, np.clip(columns + reach[:, None], 0, width - 1)]
    flank = np.maximum(left, right)
    brighter: npt.NDArray[np.bool_] = (light - flank > 12) & ((light + 8) > 1.2 * (flank + 8))
    return brighter


def bright_on_road(image: U8, road: U8) -> npt.NDArray[np.bool_]:
    """bool (H, W): much brighter than the road, and inside its convex hull.

    `road`: uint8 (H, W) road target. A teacher that was taught lane lines and drivable area calls
    the bars of a crossing, arrows and words neither; what they are must then stay open.
    """
    sure = (road > 127) & (road != UNKNOWN)
    points = cv2.findNonZero(sure.astype(np.uint8))
    if points is None:
        return np.zeros(road.shape, bool)
    hull = np.zeros(road.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    light = image[..., 1:].astype(np.float32).mean(2)
    usual = float(np.median(light[sure]))
    bright: npt.NDArray[np.bool_] = (hull > 0) & (light > 1.25 * usual + 10)
    return bright


def lane_target(image: U8, teacher_paint: U8, road: U8 | None) -> U8:
    """uint8 (H, W) lane-marking target (0..254 probability, 255 unknown) from a teacher's paint.

    `teacher_paint`: uint8 (H, W), 255 paint, 128 line without contrast, 0 none. `road`: uint8
    (H, W) road target, or None. Paint stays paint; a line without contrast is unknown; and so is
    anything on the road that looks like paint but that the teacher did not call a line (arrows,
    words, crossings): calling it background would teach the network to look away.
    """
    target = np.zeros(teacher_paint.shape, np.uint8)
    target[teacher_paint == 128] = UNKNOWN
    bright = brighter_than_flanks(image)
    if road is not None:
        # A little inside the road: kerbs and verges at its edge are bright as well.
        inside = cv2.erode((road > 127).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        target[bright & inside] = UNKNOWN
    target[teacher_paint == 255] = 254
    return target
