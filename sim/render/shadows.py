"""Maps of the ground round the camera: the sun's shadows, and the light of lamps and head lamps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from seg_node_sim.render.scenery import Scenery
from seg_node_sim.scene import Body

NEAR_SIZE, NEAR_SCALE = 1024, 10.0  # texels, texels per metre
FAR_SIZE, FAR_SCALE = 512, 1.6
BEAM_SIZE, BEAM_SCALE = 384, 3.0
LAMP_CELL = 1.0  # metres
SLACK = 12.0  # metres the camera may move before the still shadows are drawn anew
FIXED = 4  # fractional bits of cv2's coordinates


@dataclass(frozen=True)
class Windows:
    """near, far: uint8 shadow maps, 255 dark. where: float64 (8,), see `shade.sunlit`."""

    near: np.ndarray
    far: np.ndarray
    where: np.ndarray


class Shadows:
    """Draws shadows of still and moving things; keeps those of still things while it can."""

    def __init__(self, scenery: Scenery, parked: Sequence[Body], seed: int) -> None:
        self._scenery = scenery
        self._parked = list(parked)
        self._rng_seed = seed
        self._key: tuple[object, ...] | None = None
        self._still: tuple[np.ndarray, np.ndarray] | None = None
        self._boxes = [_bounds(outline) for outline, _, _ in scenery.casters]

    def windows(
        self,
        sun: tuple[float, float, float],
        strength: float,
        at: tuple[float, float],
        bodies: Sequence[Body],
    ) -> Windows:
        """Shadow maps round `at`. With weak sun only the dark under vehicles stays."""
        centre = (round(at[0] / SLACK) * SLACK, round(at[1] / SLACK) * SLACK)
        key = (centre, sun, strength > 0.02)
        if self._key != key or self._still is None:
            self._still = self._draw_still(sun, strength > 0.02, centre)
            self._key = key
        near, far = self._still[0].copy(), self._still[1]
        low = _corner(centre, NEAR_SIZE, NEAR_SCALE)
        for body in bodies:
            if math.hypot(body.pose.x - centre[0], body.pose.y - centre[1]) < 60.0:
                _draw_body(near, body, sun, low, NEAR_SCALE, strength > 0.02)
        where = np.zeros(8)
        where[0:3] = (*low, NEAR_SCALE)
        where[3:6] = (*_corner(centre, FAR_SIZE, FAR_SCALE), FAR_SCALE)
        # without sun only the dark under vehicles is in the maps
        where[6] = 0.93 * strength
        where[7] = 0.25 if strength > 0.02 else 0.65
        return Windows(near, far, where)

    def _draw_still(
        self, sun: tuple[float, float, float], cast: bool, centre: tuple[float, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        maps = []
        for size, scale, blur in ((NEAR_SIZE, NEAR_SCALE, 1.2), (FAR_SIZE, FAR_SCALE, 0.7)):
            low = _corner(centre, size, scale)
            canvas = np.zeros((size, size), np.uint8)
            if cast:
                self._draw_casters(canvas, sun, low, scale, size)
            for body in self._parked:
                _draw_body(canvas, body, sun, low, scale, cast)
            maps.append(cv2.GaussianBlur(canvas, (0, 0), blur) if cast else canvas)
        return maps[0], maps[1]

    def _draw_casters(
        self,
        canvas: np.ndarray,
        sun: tuple[float, float, float],
        low: np.ndarray,
        scale: float,
        size: int,
    ) -> None:
        up = max(sun[2], 0.05)
        shift = np.array([-sun[0] / up, -sun[1] / up])
        high = low + size / scale
        reach = 70.0
        for (outline, bottom, top), box in zip(self._scenery.casters, self._boxes):
            if (box[1] < low - reach).any() or (box[0] > high + reach).any():
                continue
            points = np.vstack([outline + shift * bottom, outline + shift * top])
            _hull(canvas, points, low, scale, 255)
        boards = self._scenery.boards
        near = (
            (boards[:, 0] > low[0] - reach)
            & (boards[:, 0] < high[0] + reach)
            & (boards[:, 1] > low[1] - reach)
            & (boards[:, 1] < high[1] + reach)
        )
        across = np.array([-shift[1], shift[0]])
        across = across / max(1e-6, float(np.linalg.norm(across)))
        for board in boards[near]:
            _tree(canvas, board, shift, across, low, scale)


def _bounds(outline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return outline.min(axis=0), outline.max(axis=0)


def _corner(centre: tuple[float, float], size: int, scale: float) -> np.ndarray:
    return np.array(centre) - size / scale / 2.0


def _fixed(points: np.ndarray, low: np.ndarray, scale: float) -> np.ndarray:
    return np.round(((points - low) * scale - 0.5) * (1 << FIXED)).astype(np.int32)


def _hull(
    canvas: np.ndarray, points: np.ndarray, low: np.ndarray, scale: float, value: int
) -> None:
    pixels = _fixed(points, low, scale)
    hull = cv2.convexHull(pixels)
    cv2.fillConvexPoly(canvas, hull, value, cv2.LINE_AA, FIXED)


def _tree(
    canvas: np.ndarray,
    board: np.ndarray,
    shift: np.ndarray,
    across: np.ndarray,
    low: np.ndarray,
    scale: float,
) -> None:
    """A dappled crown and a trunk; the same dapples for the same tree."""
    x, y, width, height = board[0], board[1], board[3], board[4]
    picture = int(board[5])
    rng = np.random.default_rng(int(abs(x) * 64) * 7919 + int(abs(y) * 64))
    foot = np.array([x, y])
    if picture in (6, 7):
        spans, crown, blobs = (0.05, 0.85), 0.42, 14
    elif picture in (4, 5):
        spans, crown, blobs = (0.08, 0.97), 0.26, 26
    else:
        spans, crown, blobs = (0.36, 0.97), 0.36, 30
    if picture not in (6, 7):
        side = across * 0.016 * height
        trunk = np.array([foot - side, foot + side, foot + shift * height * 0.5])
        _hull(canvas, trunk, low, scale, 235)
    stretch = float(np.linalg.norm(shift))
    tilt = math.degrees(math.atan2(shift[1], shift[0]))
    for _ in range(blobs):
        t = rng.uniform(*spans)
        widest = crown * (1.0 - t if picture in (4, 5) else math.sqrt(max(0.05, t * (1.3 - t))))
        off = rng.normal(0.0, 0.55) * widest * width
        at = foot + shift * height * t + across * off
        radius = rng.uniform(0.05, 0.12) * width
        axes = (radius * math.sqrt(1.0 + 0.3 * stretch * stretch), radius)
        centre = _fixed(at[None], low, scale)[0]
        size = tuple(max(1, int(v * scale * (1 << FIXED))) for v in axes)
        cv2.ellipse(
            canvas,
            (int(centre[0]), int(centre[1])),
            size,
            tilt,
            0,
            360,
            225,
            -1,
            cv2.LINE_AA,
            FIXED,
        )


def _draw_body(
    canvas: np.ndarray,
    body: Body,
    sun: tuple[float, float, float],
    low: np.ndarray,
    scale: float,
    cast: bool,
) -> None:
    """A vehicle's shadow: its box below the belt and a narrower cabin above."""
    a, b, h = body.extent[0], body.extent[1], 2.0 * body.extent[2]
    yaw = math.radians(body.pose.yaw)
    turn = np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
    signs = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    foot = np.array([body.pose.x, body.pose.y])
    base = foot + (signs * (0.97 * a, 0.93 * b)) @ turn
    if not cast:
        _hull(canvas, base, low, scale, 255)
        return
    up = max(sun[2], 0.05)
    shift = np.array([-sun[0] / up, -sun[1] / up])
    belt = 0.62 * h if body.tag == 14 else 0.95 * h
    _hull(canvas, np.vstack([base, base + shift * belt]), low, scale, 255)
    if body.tag == 14:
        cabin = foot + (signs * (0.5 * a, 0.75 * b) + np.array([-0.12 * a, 0.0])) @ turn
        _hull(canvas, np.vstack([cabin + shift * belt, cabin + shift * h]), low, scale, 255)


class Lamps:
    """Light on the ground: a still map of the street lamps, and head lamps round the camera."""

    def __init__(self, scenery: Scenery) -> None:
        lamps = scenery.lamps
        self._empty = np.zeros((2, 2), np.float32)
        if len(lamps) == 0:
            self.map, self._low = self._empty, np.zeros(2)
        else:
            self._low = lamps[:, :2].min(axis=0) - 40.0
            size = np.ceil((lamps[:, :2].max(axis=0) + 40.0 - self._low) / LAMP_CELL).astype(int)
            self.map = np.zeros((int(size[1]), int(size[0])), np.float32)
            for x, y, height, strength in lamps:
                self._add(x, y, height, strength)
        self._beam = _beam_picture()

    def _add(self, x: float, y: float, height: float, strength: float) -> None:
        reach = 36
        c, r = ((np.array([x, y]) - self._low) / LAMP_CELL).astype(int)
        r0, c0 = max(0, r - reach), max(0, c - reach)
        part = self.map[r0 : r + reach, c0 : c + reach]
        ys = self._low[1] + (np.arange(r0, r0 + part.shape[0]) + 0.5) * LAMP_CELL - y
        xs = self._low[0] + (np.arange(c0, c0 + part.shape[1]) + 0.5) * LAMP_CELL - x
        square = ys[:, None] ** 2 + xs[None, :] ** 2 + height * height
        part += (strength * 26.0 * height / square**1.5).astype(np.float32)

    def beams(
        self, at: tuple[float, float], bodies: Sequence[Body], lit: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """(map, place): float32 light of head and tail lamps round `at`; place float64 (9,).

        place: of the lamp map (x, y, scale, strength), of the beam map (the same), and `lit`.
        """
        place = np.zeros(9)
        place[0:4] = (*self._low, 1.0 / LAMP_CELL, lit if len(self.map) > 2 else 0.0)
        low = np.array(at) - BEAM_SIZE / BEAM_SCALE / 2.0
        place[4:8] = (*low, BEAM_SCALE, 1.0)
        place[8] = lit
        shining = [b for b in bodies if b.lights & 6]
        if not shining:
            place[7] = 0.0
            return self._empty, place
        canvas = np.zeros((BEAM_SIZE, BEAM_SIZE), np.float32)
        for body in shining:
            yaw = math.radians(body.pose.yaw)
            c, s = math.cos(yaw), math.sin(yaw)
            nose = np.array([body.pose.x, body.pose.y]) + body.extent[0] * np.array([c, s])
            p = (nose - low) * BEAM_SCALE
            if (p < -150).any() or (p > BEAM_SIZE + 150).any():
                continue
            rows, cols = self._beam.shape
            matrix = np.array(
                [
                    [c, -s, p[0] + s * rows / 2.0],
                    [s, c, p[1] - c * rows / 2.0],
                ]
            )
            far = 1.5 if body.lights & 4 else 1.0
            canvas += far * cv2.warpAffine(self._beam, matrix, (BEAM_SIZE, BEAM_SIZE))
        return canvas, place


def _beam_picture() -> np.ndarray:
    """float32 (rows, cols): light on the ground before a car whose nose is at the left middle."""
    rows, cols = int(26 * BEAM_SCALE), int(56 * BEAM_SCALE)
    x = (np.arange(cols) + 0.5)[None, :] / BEAM_SCALE
    y = ((np.arange(rows) + 0.5) - rows / 2.0)[:, None] / BEAM_SCALE
    light = np.zeros((rows, cols))
    for lamp in (-0.65, 0.65):
        angle = np.arctan2(y - lamp, x + 0.3)
        spread = np.exp(-((angle / 0.27) ** 2)) + 0.16 * np.exp(-((angle / 0.7) ** 2))
        light += spread * 34.0 / (x * x + (y - lamp) ** 2 + 60.0)
    rise = np.clip((x - 0.4) / 3.0, 0.0, 1.0)
    fade = np.clip((56.0 - x) / 18.0, 0.0, 1.0) * np.clip((13.0 - np.abs(y)) / 4.0, 0.0, 1.0)
    return (light * rise * fade).astype(np.float32)
