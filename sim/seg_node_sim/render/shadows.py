"""Maps of the ground round the camera: the sun's shadows, the light of lamps and head lamps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from seg_node_sim.render.jit import kernel
from seg_node_sim.render.scenery import Scenery
from seg_node_sim.render.sprites import BUSH, CONIFER
from seg_node_sim.scene import Body

NEAR_SIZE, NEAR_SCALE = 1024, 10.0  # texels, texels per metre
FAR_SIZE, FAR_SCALE = 512, 1.6
BEAM_SIZE, BEAM_SCALE = 384, 3.0
LAMP_CELL = 1.0  # metres
SLACK = 12.0  # metres the camera may move before the still shadows are drawn anew
BLOBS = 32  # dapples of a tree
FIXED = 4  # fractional bits of cv2's coordinates


@dataclass(frozen=True)
class Windows:
    """near, far: uint8 shadow maps, 255 dark. where: float64 (8,), see `shade.sunlit`."""

    near: np.ndarray
    far: np.ndarray
    where: np.ndarray


class Shadows:
    """Draws shadows of still and moving things; keeps those of still things while it can."""

    def __init__(self, scenery: Scenery, parked: Sequence[Body]) -> None:
        self._scenery = scenery
        self._parked = list(parked)
        self._crowns = _crowns(scenery.boards)
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
                if max(abs(body.pose.x - centre[0]), abs(body.pose.y - centre[1])) < size / scale:
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
        chosen = np.flatnonzero(near)
        _dapple(canvas, chosen, boards, self._crowns, shift[0], shift[1], low[0], low[1], scale)


def _bounds(outline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return outline.min(axis=0), outline.max(axis=0)


def _corner(centre: tuple[float, float], size: int, scale: float) -> np.ndarray:
    return np.array(centre) - size / scale / 2.0


def _fixed(points: np.ndarray, low: np.ndarray, scale: float) -> np.ndarray:
    pixels: np.ndarray = np.round(((points - low) * scale - 0.5) * (1 << FIXED)).astype(np.int32)
    return pixels


def _hull(
    canvas: np.ndarray, points: np.ndarray, low: np.ndarray, scale: float, value: int
) -> None:
    pixels = _fixed(points, low, scale)
    hull = cv2.convexHull(pixels)
    cv2.fillConvexPoly(canvas, hull, value, cv2.LINE_AA, FIXED)


def _crowns(boards: np.ndarray) -> np.ndarray:
    """float32 (n, BLOBS, 3): each tree's dapples: height 0..1, place across and radius in metres.

    The last of them is the trunk's top. A tree has the same dapples wherever it is drawn.
    """
    blobs = np.zeros((len(boards), BLOBS, 3), np.float32)
    for i, board in enumerate(boards):
        x, y, width, picture = float(board[0]), float(board[1]), float(board[3]), int(board[5])
        rng = np.random.default_rng([int(abs(x) * 64), int(abs(y) * 64)])
        if picture in BUSH:
            spans, crown = (0.05, 0.85), 0.42
        elif picture in CONIFER:
            spans, crown = (0.08, 0.97), 0.26
        else:
            spans, crown = (0.36, 0.97), 0.36
        t = rng.uniform(*spans, BLOBS)
        slim = 1.0 - t if picture in CONIFER else np.sqrt(np.maximum(0.05, t * (1.3 - t)))
        blobs[i, :, 0] = t
        blobs[i, :, 1] = rng.normal(0.0, 0.55, BLOBS) * crown * slim * width
        blobs[i, :, 2] = rng.uniform(0.05, 0.12, BLOBS) * width
        if picture not in BUSH:
            blobs[i, :6, 0] = np.linspace(0.0, 0.5, 6)
            blobs[i, :6, 1] = 0.0
            blobs[i, :6, 2] = 0.022 * width
    return blobs


@kernel
def _dapple(
    canvas: np.ndarray,
    chosen: np.ndarray,
    boards: np.ndarray,
    blobs: np.ndarray,
    shift_x: float,
    shift_y: float,
    low_x: float,
    low_y: float,
    scale: float,
) -> None:
    """Draws soft ellipses, stretched along the sun's direction, as the maximum into `canvas`."""
    stretch = math.sqrt(shift_x * shift_x + shift_y * shift_y)
    ux = shift_x / max(stretch, 1e-6)
    uy = shift_y / max(stretch, 1e-6)
    rows, cols = canvas.shape
    for i in chosen:
        tall = boards[i, 4]
        for k in range(blobs.shape[1]):
            t, off, radius = blobs[i, k, 0], blobs[i, k, 1], blobs[i, k, 2]
            b = radius * scale
            a = b * math.sqrt(1.0 + 0.3 * stretch * stretch)
            if radius < 0.03 * tall and t < 0.5:
                a = max(a, 0.07 * tall * stretch * scale)  # a piece of the trunk
            px = (boards[i, 0] + shift_x * tall * t - uy * off - low_x) * scale
            py = (boards[i, 1] + shift_y * tall * t + ux * off - low_y) * scale
            reach = max(a, b) + 1.0
            for r in range(max(0, int(py - reach)), min(rows, int(py + reach) + 2)):
                for c in range(max(0, int(px - reach)), min(cols, int(px + reach) + 2)):
                    dx, dy = c + 0.5 - px, r + 0.5 - py
                    u, v = (dx * ux + dy * uy) / a, (dy * ux - dx * uy) / b
                    edge = (1.0 - math.sqrt(u * u + v * v)) * b
                    value = int(225.0 * min(1.0, max(0.0, edge + 0.5)))
                    if value > canvas[r, c]:
                        canvas[r, c] = value


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
        part += (strength * 15.0 * height / square**1.5).astype(np.float32)

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
            rows, _cols = self._beam.shape
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
        light += spread * 15.0 / (x * x + (y - lamp) ** 2 + 60.0)
    rise = np.clip((x - 0.4) / 3.0, 0.0, 1.0)
    fade = np.clip((56.0 - x) / 18.0, 0.0, 1.0) * np.clip((13.0 - np.abs(y)) / 4.0, 0.0, 1.0)
    beam: np.ndarray = (light * rise * fade).astype(np.float32)
    return beam
