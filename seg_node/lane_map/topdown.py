"""The lane map from above, as a picture with a grid in metres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.classes import ClassSet
from seg_node.lane_map.compare import TrueMarkings

Array = npt.NDArray[np.uint8]
Double = npt.NDArray[np.float64]
Colour = tuple[int, int, int]

_PAPER: Colour = (255, 255, 255)
_GRID: Colour = (228, 228, 228)
_INK: Colour = (60, 60, 60)
_TRACK: Colour = (200, 140, 60)
_TRUTH: Colour = (60, 60, 220)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class MapView:
    """What part of the world is drawn: `low`, `high` metres (x, y); `scale` pixels a metre.

    y (left, REP-103) points up in the picture.
    """

    low: tuple[float, float]
    high: tuple[float, float]
    scale: float
    margin: int = 60

    @classmethod
    def around(cls, points: Double, *, longest_px: int = 1600, border_m: float = 3.0) -> MapView:
        """The frame of `points` (N, 2), of at most `longest_px` and 40 pixels a metre."""
        if not len(points):
            points = np.zeros((1, 2))
        low, high = points.min(axis=0) - border_m, points.max(axis=0) + border_m
        scale = min(40.0, longest_px / float(max(high - low)))
        return cls((float(low[0]), float(low[1])), (float(high[0]), float(high[1])), scale)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        width, height = (math.ceil((h - w) * self.scale) for w, h in zip(self.low, self.high))
        return width + 2 * self.margin, height + 2 * self.margin

    def pixels(self, points: Double) -> npt.NDArray[np.int32]:
        """int32 (N, 2) pixels of `points` (N, 2+) metres."""
        x = (points[:, 0] - self.low[0]) * self.scale + self.margin
        y = (self.high[1] - points[:, 1]) * self.scale + self.margin
        return np.rint(np.stack([x, y], axis=1)).astype(np.int32)


def topdown(
    points: npt.NDArray[np.void],
    classes: ClassSet,
    frame: MapView | None = None,
    *,
    track: Double | None = None,
    title: str = '',
) -> Array:
    """uint8 (H, W, 3) BGR picture of map points (N,) of dtype `MAP_POINT`.

    track: float (M, 2+) metres, where the camera went.
    """
    xy = np.stack([points['x'], points['y']], axis=1).astype(np.float64)
    frame = frame or MapView.around(xy)
    picture = _paper(frame, title)
    if track is not None and len(track) > 1:
        cv2.polylines(picture, [frame.pixels(track)], False, _TRACK, 1, cv2.LINE_AA)
    at = frame.pixels(xy)
    side = max(1, round(0.05 * frame.scale))
    colours = _dark(classes.palette_bgr)[points['class']]
    for dx in range(side):
        for dy in range(side):
            u, v = at[:, 0] + dx - side // 2, at[:, 1] + dy - side // 2
            inside = (u >= 0) & (v >= 0) & (u < picture.shape[1]) & (v < picture.shape[0])
            picture[v[inside], u[inside]] = colours[inside]
    return picture


def draw_truth(
    truth: TrueMarkings, frame: MapView, title: str = '', half_width_m: float = 0.06
) -> Array:
    """uint8 (H, W, 3) BGR picture of the true markings."""
    paper = _paper(frame, title)
    picture = paper.copy()
    thickness = max(1, round(2 * half_width_m * frame.scale))
    for area in truth.areas:
        cv2.fillPoly(picture, [frame.pixels(np.asarray(area, float))], _TRUTH, cv2.LINE_AA)
    lines = [frame.pixels(np.asarray(line, float)) for line in truth.lines]
    cv2.polylines(picture, lines, False, _TRUTH, thickness, cv2.LINE_AA)
    # The truth goes on beyond the frame; its margin stays paper.
    inner = (slice(frame.margin, -frame.margin),) * 2
    paper[inner] = picture[inner]
    return paper


def beside(*pictures: Array) -> Array:
    """Pictures side by side, or one above the other where they are wide."""
    height, width = pictures[0].shape[:2]
    stacked = np.vstack(pictures) if width > 1.4 * height else np.hstack(pictures)
    return np.ascontiguousarray(stacked, np.uint8)


def _paper(frame: MapView, title: str) -> Array:
    width, height = frame.size
    picture = np.full((height, width, 3), _PAPER, np.uint8)
    step = _grid_step(frame.scale)
    left, right = frame.margin, width - frame.margin
    top, bottom = frame.margin, height - frame.margin
    for axis in (0, 1):
        first = math.ceil(frame.low[axis] / step)
        last = math.floor(frame.high[axis] / step)
        for value in (i * step for i in range(first, last + 1)):
            label = f'{value:g}'
            (w, h), _ = cv2.getTextSize(label, _FONT, 0.42, 1)
            if axis == 0:
                u = round((value - frame.low[0]) * frame.scale) + frame.margin
                cv2.line(picture, (u, top), (u, bottom), _GRID, 1)
                _text(picture, label, (u - w // 2, bottom + h + 6))
            else:
                v = round((frame.high[1] - value) * frame.scale) + frame.margin
                cv2.line(picture, (left, v), (right, v), _GRID, 1)
                _text(picture, label, (left - w - 6, v + h // 2))
    cv2.rectangle(picture, (left, top), (right, bottom), _INK, 1)
    _scale_bar(picture, step, frame.scale, (left, bottom + 44))
    if title:
        cv2.putText(picture, title, (left, top - 18), _FONT, 0.6, _INK, 1, cv2.LINE_AA)
    return picture


def _scale_bar(picture: Array, step: float, scale: float, at: tuple[int, int]) -> None:
    u, v = at
    end = u + round(step * scale)
    cv2.line(picture, (u, v), (end, v), _INK, 3)
    _text(picture, f'{step:g} m   ({1 / scale:.4g} m a pixel)', (end + 8, v + 5))


def _text(picture: Array, text: str, at: tuple[int, int]) -> None:
    cv2.putText(picture, text, at, _FONT, 0.42, _INK, 1, cv2.LINE_AA)


def _grid_step(scale: float) -> float:
    """A round number of metres that is at least 70 pixels."""
    metres = 70.0 / scale
    power = 10.0 ** math.floor(math.log10(metres))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= metres)


def _dark(palette: Array) -> Array:
    """Class colours that can be seen on white paper."""
    luma = palette.astype(np.float32) @ np.array([0.114, 0.587, 0.299], np.float32)
    factor = np.minimum(1.0, 110.0 / np.maximum(luma, 1.0))
    dark: Array = (palette * factor[:, None]).astype(np.uint8)
    return dark


def pair(
    points: npt.NDArray[np.void],
    classes: ClassSet,
    truth: TrueMarkings,
    *,
    track: Double | None = None,
    titles: Sequence[str] = ('lane map', 'truth'),
) -> Array:
    """The map beside the truth, in one frame."""
    xy = np.stack([points['x'], points['y']], axis=1).astype(np.float64)
    parts = [xy] if track is None else [xy, np.asarray(track, float)[:, :2]]
    frame = MapView.around(np.vstack(parts), longest_px=1200)
    return beside(
        topdown(points, classes, frame, track=track, title=titles[0]),
        draw_truth(truth, frame, titles[1]),
    )
