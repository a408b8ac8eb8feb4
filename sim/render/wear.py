"""What time does to asphalt: tyre tracks, patches, seams, cracks, stains; drawn into the tones."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from seg_node_sim.maps.markings import Strip

NEUTRAL = 128
TRACKED = ('driving', 'bidirectional', 'entry', 'exit', 'onRamp', 'offRamp')


@dataclass(frozen=True)
class Look:
    """A town's look, drawn from its seed.

    asphalt: albedo of dry asphalt, linear. wear: how worn the paint is, 0..1. cracks, patches: how
    many, 0..1. seed: of every place.
    """

    asphalt: tuple[float, float, float]
    wear: float
    cracks: float
    patches: float
    grass: tuple[float, float, float]
    seed: int


def look(name: str, seed: int) -> Look:
    """The look of town `name` with this seed."""
    rng = np.random.default_rng([seed, *name.encode()])
    tone = rng.uniform(0.055, 0.19)
    tint = rng.uniform(-0.05, 0.05)
    grass = np.array([0.075, 0.115, 0.03]) * rng.uniform(0.7, 1.3)
    grass = grass + rng.uniform(0.0, 0.04) * np.array([1.4, 1.0, 0.4])
    return Look(
        (tone * (1.0 + tint), tone, tone * (1.0 - tint)),
        float(rng.uniform(0.05, 0.75)),
        float(rng.uniform(0.1, 1.0)),
        float(rng.uniform(0.1, 1.0)),
        tuple(float(g) for g in grass),
        int(rng.integers(1 << 30)),
    )


def paint_tones(
    strips: list[Strip],
    low: np.ndarray,
    shape: tuple[int, int],
    texel: float,
    style: Look,
) -> np.ndarray:
    """uint8 (rows, cols): 128 is plain asphalt, less is darker; for the canvas at `low`."""
    soft = np.full((shape[0] // 4 + 1, shape[1] // 4 + 1), NEUTRAL, np.uint8)
    for strip in strips:
        if strip.kind in TRACKED:
            _tracks(soft, strip, low, texel * 4)
    soft = cv2.GaussianBlur(soft, (0, 0), 1.6)
    tone = cv2.resize(soft, (soft.shape[1] * 4, soft.shape[0] * 4))[: shape[0], : shape[1]]
    tone = np.ascontiguousarray(tone)
    for strip in strips:
        if strip.kind in (*TRACKED, 'parking', 'shoulder'):
            # a strip's own seed: the same flaws whichever canvas they are drawn into
            rng = np.random.default_rng([style.seed, strip.road, strip.section, strip.lane + 100])
            _patches(tone, strip, low, texel, style, rng)
            _cracks(tone, strip, low, texel, style, rng)
    return tone


def _fixed(points: np.ndarray, low: np.ndarray, texel: float) -> np.ndarray:
    return np.round(((points - low) / texel - 0.5) * 16).astype(np.int32)


def _inside(strip: Strip, where: float) -> np.ndarray:
    return strip.left * (1.0 - where) + strip.right * where


def _tracks(canvas: np.ndarray, strip: Strip, low: np.ndarray, texel: float) -> None:
    for where, value in ((0.26, 118), (0.74, 118), (0.5, 121)):
        line = _fixed(_inside(strip, where), low, texel)
        cv2.polylines(canvas, [line], False, value, max(1, int(0.5 / texel)), shift=4)


def _frames(strip: Strip) -> tuple[np.ndarray, np.ndarray, float]:
    """Points of the strip's middle, its arc length there, and its length."""
    middle = _inside(strip, 0.5)
    steps = np.hypot(*np.diff(middle, axis=0).T)
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    return middle, arc, float(arc[-1])


def _place(strip: Strip, arc: np.ndarray, s: np.ndarray, where: np.ndarray) -> np.ndarray:
    """float64 (N, 2): points at arc length s and lateral position `where` (0 left, 1 right)."""
    left = np.stack([np.interp(s, arc, strip.left[:, k]) for k in (0, 1)], axis=1)
    right = np.stack([np.interp(s, arc, strip.right[:, k]) for k in (0, 1)], axis=1)
    return left * (1.0 - where[:, None]) + right * where[:, None]


def _patches(
    canvas: np.ndarray,
    strip: Strip,
    low: np.ndarray,
    texel: float,
    style: Look,
    rng: np.random.Generator,
) -> None:
    _, arc, length = _frames(strip)
    for _ in range(rng.poisson(style.patches * length / 28.0)):
        start, span = rng.uniform(0.0, length), rng.choice([0.8, 1.5, 3.0, 9.0])
        a = rng.uniform(0.0, 0.7)
        b = min(1.0, a + rng.uniform(0.2, 0.6))
        s = np.linspace(start, start + span, 6)
        side = np.full(6, a), np.full(6, b)
        outline = np.vstack([_place(strip, arc, s, side[0]), _place(strip, arc, s, side[1])[::-1]])
        pixels = _fixed(outline, low, texel)
        value = int(rng.choice([104, 108, 114, 140, 146]) + rng.integers(-4, 5))
        cv2.fillPoly(canvas, [pixels], value, cv2.LINE_AA, shift=4)
        if rng.random() < 0.7:  # sealed with tar
            cv2.polylines(canvas, [pixels], True, 66, 1, cv2.LINE_AA, shift=4)


def _cracks(
    canvas: np.ndarray,
    strip: Strip,
    low: np.ndarray,
    texel: float,
    style: Look,
    rng: np.random.Generator,
) -> None:
    _, arc, length = _frames(strip)
    for _ in range(rng.poisson(style.cracks * length / 11.0)):
        along = rng.random() < 0.45
        n = 14
        s0, w0 = rng.uniform(0.0, length), rng.uniform(0.05, 0.95)
        wander = np.cumsum(rng.normal(0.0, 1.0, n))
        if along:
            s = s0 + np.linspace(0.0, rng.uniform(2.0, 9.0), n)
            where = w0 + 0.012 * wander
        else:
            s = s0 + 0.07 * wander
            where = np.linspace(w0 - rng.uniform(0.2, 1.0), w0 + rng.uniform(0.2, 1.0), n)
        line = _fixed(_place(strip, arc, s, np.clip(where, 0.0, 1.0)), low, texel)
        tarred = rng.random() < 0.3
        value, width = (62, 2) if tarred else (int(rng.integers(80, 104)), 1)
        cv2.polylines(canvas, [line], False, value, width, cv2.LINE_AA, shift=4)
