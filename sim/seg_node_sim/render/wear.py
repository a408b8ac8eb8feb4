"""What time does to asphalt: tyre tracks, patches, seams, cracks, stains; drawn into the tones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from seg_node_sim.maps.markings import Strip
from seg_node_sim.render.materials import KERB_HEIGHT

NEUTRAL = 128
TRACKED = ('driving', 'bidirectional', 'entry', 'exit', 'onRamp', 'offRamp')


@dataclass(frozen=True)
class Look:
    """A town's look, drawn from its seed.

    asphalt: albedo of dry asphalt, linear. wear: how worn the paint is, 0..1. cracks, patches: how
    many, 0..1. seed: of every place. pavement: 0 for slabs of concrete; else pavements are the
    road's asphalt, this times as bright. kerb_height: metres. kerb_tone: albedo of kerb stones.
    kerb_worn: share of them that has the road's colour, 0..1. kerb_top: how wide the stones are
    seen from above, metres.
    """

    asphalt: tuple[float, float, float]
    wear: float
    cracks: float
    patches: float
    grass: tuple[float, float, float]
    seed: int
    pavement: float = 0.0
    kerb_height: float = KERB_HEIGHT
    kerb_tone: float = 0.30
    kerb_worn: float = 0.0
    kerb_top: float = 0.0

    def numbers(self, raised: bool) -> np.ndarray:
        """float64 (LOOK_LENGTH,) for the kernels, at the LOOK_ places of `materials`."""
        short = np.array([*self.asphalt, self.wear, *self.grass, float(raised)], np.float32)
        kerb = (self.pavement, self.kerb_height, self.kerb_tone, self.kerb_worn, self.kerb_top)
        return np.concatenate([short.astype(np.float64), kerb])


def look(name: str, seed: int, style: str = 'town') -> Look:
    """The look of town `name` with this seed."""
    rng = np.random.default_rng([seed, *name.encode()])
    tone = rng.uniform(0.055, 0.19)
    tint = rng.uniform(-0.05, 0.05)
    grass = np.array([0.075, 0.115, 0.03]) * rng.uniform(0.7, 1.3)
    grass = grass + rng.uniform(0.0, 0.04) * np.array([1.4, 1.0, 0.4])
    own = Look(
        (tone * (1.0 + tint), tone, tone * (1.0 - tint)),
        float(rng.uniform(0.05, 0.75)),
        float(rng.uniform(0.1, 1.0)),
        float(rng.uniform(0.1, 1.0)),
        (float(grass[0]), float(grass[1]), float(grass[2])),
        int(rng.integers(1 << 30)),
    )
    return own if style != 'city' else _city_look(own, rng)


def _city_look(own: Look, rng: np.random.Generator) -> Look:
    """Pavements of the road's own stuff, kerbs from hardly there to plain."""
    low = rng.random() < 0.5
    grass = own.grass
    if rng.random() < 0.5:  # forecourts in place of lawns
        bright = float(rng.uniform(0.7, 1.2))
        grass = (bright * own.asphalt[0], bright * own.asphalt[1], bright * own.asphalt[2])
    return replace(
        own,
        grass=grass,
        pavement=float(rng.uniform(0.88, 1.18)),
        kerb_height=float(rng.uniform(0.03, 0.07) if low else rng.uniform(0.07, 0.15)),
        kerb_tone=float(rng.uniform(0.12, 0.36)),
        kerb_worn=float(rng.uniform(0.1, 0.85)),
        kerb_top=float(rng.choice([0.0, 0.12, 0.15, 0.3])),
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
        walked = strip.kind == 'sidewalk' and style.pavement > 0.0
        if walked or strip.kind in (*TRACKED, 'parking', 'shoulder'):
            # a strip's own seed: the same flaws whichever canvas they are drawn into
            rng = np.random.default_rng([style.seed, strip.road, strip.section, strip.lane + 100])
            lane = _LaneCanvas(strip, low, texel)
            _patches(tone, lane, style.patches, rng)
            _cracks(tone, lane, style.cracks, rng)
    return tone


def _fixed(points: np.ndarray, low: np.ndarray, texel: float) -> np.ndarray:
    pixels: np.ndarray = np.round(((points - low) / texel - 0.5) * 16).astype(np.int32)
    return pixels


def _inside(strip: Strip, where: float) -> np.ndarray:
    return strip.left * (1.0 - where) + strip.right * where


def _tracks(canvas: np.ndarray, strip: Strip, low: np.ndarray, texel: float) -> None:
    for where, value in ((0.26, 118), (0.74, 118), (0.5, 121)):
        line = _fixed(_inside(strip, where), low, texel)
        cv2.polylines(canvas, [line], False, value, max(1, int(0.5 / texel)), shift=4)


class _LaneCanvas:
    """A strip by arc length of its middle, metres, on a canvas whose corner is `low`."""

    def __init__(self, strip: Strip, low: np.ndarray, texel: float) -> None:
        self._strip, self._low, self._texel = strip, low, texel
        steps = np.hypot(*np.diff(_inside(strip, 0.5), axis=0).T)
        self._arc = np.concatenate([[0.0], np.cumsum(steps)])
        self.length = float(self._arc[-1])

    def pixels(self, s: np.ndarray, where: np.ndarray) -> np.ndarray:
        """int32 (N, 2), 1/16 pixel: at arc length s and lateral `where`, 0 left to 1 right."""
        left, right = (
            np.stack([np.interp(s, self._arc, side[:, k]) for k in (0, 1)], axis=1)
            for side in (self._strip.left, self._strip.right)
        )
        points = left * (1.0 - where[:, None]) + right * where[:, None]
        return _fixed(points, self._low, self._texel)


def _patches(
    canvas: np.ndarray, lane: _LaneCanvas, amount: float, rng: np.random.Generator
) -> None:
    for _ in range(rng.poisson(amount * lane.length / 28.0)):
        start, span = rng.uniform(0.0, lane.length), rng.choice([0.8, 1.5, 3.0, 9.0])
        a = rng.uniform(0.0, 0.7)
        b = min(1.0, a + rng.uniform(0.2, 0.6))
        s = np.linspace(start, start + span, 6)
        sides = lane.pixels(s, np.full(6, a)), lane.pixels(s, np.full(6, b))
        pixels = np.vstack([sides[0], sides[1][::-1]])
        value = int(rng.choice([104, 108, 114, 140, 146]) + rng.integers(-4, 5))
        cv2.fillPoly(canvas, [pixels], value, cv2.LINE_AA, shift=4)
        if rng.random() < 0.7:  # sealed with tar
            cv2.polylines(canvas, [pixels], True, 66, 1, cv2.LINE_AA, shift=4)


def _cracks(
    canvas: np.ndarray, lane: _LaneCanvas, amount: float, rng: np.random.Generator
) -> None:
    for _ in range(rng.poisson(amount * lane.length / 11.0)):
        along = rng.random() < 0.45
        n = 14
        s0, w0 = rng.uniform(0.0, lane.length), rng.uniform(0.05, 0.95)
        wander = np.cumsum(rng.normal(0.0, 1.0, n))
        if along:
            s = s0 + np.linspace(0.0, rng.uniform(2.0, 9.0), n)
            where = w0 + 0.012 * wander
        else:
            s = s0 + 0.07 * wander
            where = np.linspace(w0 - rng.uniform(0.2, 1.0), w0 + rng.uniform(0.2, 1.0), n)
        line = lane.pixels(s, np.clip(where, 0.0, 1.0))
        tarred = rng.random() < 0.3
        value, width = (62, 2) if tarred else (int(rng.integers(80, 104)), 1)
        cv2.polylines(canvas, [line], False, value, width, cv2.LINE_AA, shift=4)
