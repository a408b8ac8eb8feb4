"""Pictures of trees and bushes, drawn from random leaves; with mip levels, for billboards."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

HEIGHT, WIDTH, LEVELS = 256, 256, 6
BROADLEAF, CONIFER, BUSH, BARE = (0, 1, 2, 3), (4, 5), (6, 7), (8,)
COUNT = 9


@lru_cache(maxsize=1)
def atlas() -> np.ndarray:
    """uint8 (COUNT, 2 * HEIGHT, WIDTH, 4): R, G, B as linear albedo / 0.5, alpha; levels stacked.

    Level k starts at row 2 * HEIGHT - (2 * HEIGHT >> k) and is WIDTH >> k wide.
    """
    pictures = np.zeros((COUNT, 2 * HEIGHT, WIDTH, 4), np.uint8)
    for k in range(COUNT):
        rng = np.random.default_rng(700 + k)
        if k in BROADLEAF:
            picture = _broadleaf(rng)
        elif k in CONIFER:
            picture = _conifer(rng)
        elif k in BUSH:
            picture = _bush(rng)
        else:
            picture = _bare(rng)
        _store(pictures[k], picture)
    return pictures


def _store(target: np.ndarray, picture: np.ndarray) -> None:
    """Writes all levels; colour is averaged by alpha, so that edges do not darken."""
    colour = picture[..., :3].astype(np.float32)
    alpha = picture[..., 3].astype(np.float32) / 255.0
    cover = float((alpha > 0.43).mean())
    for level in range(LEVELS):
        rows, cols = HEIGHT >> level, WIDTH >> level
        start = 2 * HEIGHT - ((2 * HEIGHT) >> level)
        small = cv2.resize(alpha, (cols, rows), interpolation=cv2.INTER_AREA)
        mixed = cv2.resize(colour * alpha[..., None], (cols, rows), interpolation=cv2.INTER_AREA)
        mixed /= np.maximum(small, 1e-3)[..., None]
        # keep the share of opaque texels, else crowns thin out with distance
        edge = np.quantile(small, 1.0 - cover) if cover > 0 else 0.43
        small = np.clip(small * (0.43 / max(edge, 0.02)), 0.0, 1.0)
        part = target[start : start + rows, :cols]
        part[..., :3] = np.clip(mixed, 0, 255)
        part[..., 3] = small * 255.0


def _canvas() -> np.ndarray:
    return np.zeros((HEIGHT, WIDTH, 4), np.uint8)


def _leaves(
    picture: np.ndarray,
    rng: np.random.Generator,
    centres: np.ndarray,
    radii: np.ndarray,
    count: int,
    hue: np.ndarray,
    size: float,
) -> None:
    """Leaves on balls: darker inside and below, lighter at the top left, drawn back to front."""
    ball = rng.integers(0, len(centres), count)
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    shell = rng.uniform(0.35, 1.05, count) ** 0.6
    offset = direction * shell[:, None]
    at = centres[ball] + offset[:, :2] * radii[ball, None]
    depth = offset[:, 2]
    light = 0.50 - 0.34 * offset[:, 1] - 0.12 * offset[:, 0] + 0.14 * depth
    light *= 0.55 + 0.45 * shell
    low, high = centres[:, 1].min(), centres[:, 1].max() + 1.0
    light *= 1.12 - 0.35 * (at[:, 1] - low) / (high - low)
    for i in np.argsort(depth):
        shade = float(np.clip(light[i] + rng.normal(0.0, 0.09), 0.08, 1.2))
        colour = np.clip(hue * shade * (1.0 + rng.normal(0.0, 0.06, 3)), 0.0, 1.0) * 255.0
        angle = float(rng.uniform(0.0, 180.0))
        cv2.ellipse(
            picture,
            (int(at[i, 0] * 16), int(at[i, 1] * 16)),
            (int(size * 16), int(size * 8)),
            angle,
            0,
            360,
            (*colour.tolist(), 255.0),
            -1,
            cv2.LINE_8,
            4,
        )


def _trunk(
    picture: np.ndarray, rng: np.random.Generator, top: float, width: float, branches: int
) -> None:
    bark = np.array([0.17, 0.12, 0.08]) * 255.0 * rng.uniform(0.7, 1.2)
    middle = WIDTH / 2.0
    for k in range(40):
        t = k / 39.0
        y = HEIGHT - t * (HEIGHT - top)
        half = width * (1.0 - 0.55 * t)
        shade = bark * (0.8 + 0.2 * np.sin(9.0 * t))
        cv2.line(
            picture,
            (int(middle - half), int(y)),
            (int(middle + half), int(y)),
            (*shade.tolist(), 255.0),
            int(HEIGHT / 39) + 1,
        )
    for _ in range(branches):
        start = rng.uniform(top + 10.0, top + 0.45 * (HEIGHT - top))
        reach, side = rng.uniform(25.0, 80.0), rng.choice([-1.0, 1.0])
        end = (int(middle + side * reach), int(start - rng.uniform(0.4, 1.1) * reach))
        cv2.line(picture, (int(middle), int(start)), end, (*bark.tolist(), 255.0), 3)


def _broadleaf(rng: np.random.Generator) -> np.ndarray:
    picture = _canvas()
    _trunk(picture, rng, 90.0, rng.uniform(4.5, 7.0), 8)
    balls = int(rng.integers(34, 46))
    angle = rng.uniform(0.0, 2.0 * np.pi, balls)
    reach = np.sqrt(rng.uniform(0.0, 1.0, balls))
    x = WIDTH / 2 + rng.uniform(66.0, 92.0) * reach * np.cos(angle)
    y = 96.0 + rng.uniform(56.0, 72.0) * reach * np.sin(angle)
    centres = np.stack([x, y], axis=1)
    radii = rng.uniform(13.0, 30.0, balls)
    hue = np.array([rng.uniform(0.15, 0.24), rng.uniform(0.21, 0.28), rng.uniform(0.06, 0.10)])
    _leaves(picture, rng, centres, radii, 7500, hue * 1.25, 2.5)
    return picture


def _conifer(rng: np.random.Generator) -> np.ndarray:
    picture = _canvas()
    _trunk(picture, rng, 14.0, 4.0, 0)
    hue = np.array([0.07, 0.15, 0.06]) * rng.uniform(1.3, 1.9)
    for k in range(26):
        t = k / 25.0
        y = 228.0 - 216.0 * t
        half = (1.0 - t) * rng.uniform(52.0, 74.0) + 4.0
        n = int(half * 5.5)
        at = np.stack([rng.uniform(-1.0, 1.0, n), rng.normal(0.0, 4.0, n)], axis=1)
        for u, v in at:
            shade = float(np.clip(0.6 - 0.25 * u + 0.25 * rng.normal() - 0.25 * abs(u), 0.15, 1.2))
            px, py = WIDTH / 2 + u * half, y + v + 10.0 * abs(u)
            colour = np.clip(hue * shade, 0.0, 1.0) * 255.0
            end = (int(px + 5.0 * np.sign(u)), int(py + 5.0))
            cv2.line(picture, (int(px), int(py)), end, (*colour.tolist(), 255.0), 2)
    return picture


def _bush(rng: np.random.Generator) -> np.ndarray:
    picture = _canvas()
    balls = 11
    x = WIDTH / 2 + rng.uniform(-84.0, 84.0, balls)
    y = 176.0 + rng.uniform(-60.0, 34.0, balls) * (1.0 - 0.6 * np.abs(x - WIDTH / 2) / 90.0)
    radii = rng.uniform(34.0, 48.0, balls)
    hue = np.array([rng.uniform(0.13, 0.2), rng.uniform(0.19, 0.26), 0.07]) * 1.3
    _leaves(picture, rng, np.stack([x, y + 10.0], axis=1), radii, 6000, hue, 3.0)
    return picture


def _bare(rng: np.random.Generator) -> np.ndarray:
    picture = _canvas()
    _trunk(picture, rng, 60.0, 5.0, 0)
    bark = (30.0, 23.0, 18.0, 255.0)

    def grow(x: float, y: float, angle: float, length: float, width: int) -> None:
        if length < 6.0:
            return
        ex, ey = x + length * np.sin(angle), y - length * np.cos(angle)
        cv2.line(picture, (int(x), int(y)), (int(ex), int(ey)), bark, max(1, width))
        for _ in range(3):
            grow(ex, ey, angle + rng.normal(0.0, 0.5), length * rng.uniform(0.6, 0.82), width - 1)

    for y in (150.0, 120.0, 95.0, 70.0):
        for side in (-0.7, 0.7, 0.1):
            grow(WIDTH / 2, y, side + rng.normal(0.0, 0.2), rng.uniform(28.0, 44.0), 4)
    return picture
