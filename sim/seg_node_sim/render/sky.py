"""The sky's radiance in a direction (compiled)."""

from __future__ import annotations

import math

import numpy as np

from seg_node_sim.render.atmosphere import (
    CLOUDS,
    DISK,
    GLOW,
    HORIZON,
    NIGHT,
    SUN_DIR,
    WIND,
    ZENITH,
)
from seg_node_sim.render.jit import kernel


@kernel
def sample(texture: np.ndarray, x: float, y: float) -> float:
    """Bilinear value of a periodic texture (a power of two wide) at texel coordinates."""
    mask = texture.shape[0] - 1
    fx, fy = math.floor(x), math.floor(y)
    ix, iy = int(fx), int(fy)
    ax, ay = x - fx, y - fy
    x0, x1 = ix & mask, (ix + 1) & mask
    y0, y1 = iy & mask, (iy + 1) & mask
    top = texture[y0, x0] * (1.0 - ax) + texture[y0, x1] * ax
    low = texture[y1, x0] * (1.0 - ax) + texture[y1, x1] * ax
    value: float = top * (1.0 - ay) + low * ay
    return value


@kernel
def haze_colour(dx: float, dy: float, env: np.ndarray) -> tuple[float, float, float]:
    """Radiance (r, g, b) of the air at the horizon towards (dx, dy)."""
    near = max(dx * env[SUN_DIR] + dy * env[SUN_DIR + 1], 0.0)
    n4 = near * near
    n4 = n4 * n4
    n32 = n4 * n4
    n32 = n32 * n32
    wide = 0.10 * n4 + 0.35 * n32
    return (
        env[HORIZON] + env[GLOW] * wide,
        env[HORIZON + 1] + env[GLOW + 1] * wide,
        env[HORIZON + 2] + env[GLOW + 2] * wide,
    )


@kernel
def sky_colour(
    dx: float, dy: float, dz: float, env: np.ndarray, clouds: np.ndarray, sharp: bool
) -> tuple[float, float, float]:
    """Radiance (r, g, b) towards the unit direction (dx, dy, dz).

    sharp: with clouds, sun disk and stars; else only the smooth part (for haze and dull mirrors).
    """
    up = max(dz, 0.0)
    t = 1.22 * up / (up + 0.22)
    toward = dx * env[SUN_DIR] + dy * env[SUN_DIR + 1] + dz * env[SUN_DIR + 2]
    near = max(toward, 0.0)
    n4 = near * near
    n4 = n4 * n4
    n32 = n4 * n4
    n32 = n32 * n32
    wide = 0.10 * n4 + 0.35 * n32
    r = env[HORIZON] * (1.0 - t) + env[ZENITH] * t + env[GLOW] * wide
    g = env[HORIZON + 1] * (1.0 - t) + env[ZENITH + 1] * t + env[GLOW + 1] * wide
    b = env[HORIZON + 2] * (1.0 - t) + env[ZENITH + 2] * t + env[GLOW + 2] * wide
    if not sharp:
        return r, g, b
    cover = 0.0
    if up > 0.012:
        scale = 60.0 / (up + 0.12)
        u = dx * scale + env[WIND]
        v = dy * scale + 0.4 * env[WIND]
        n = sample(clouds, u, v) + 0.45 * sample(clouds, 2.7 * u + 91.0, 2.7 * v + 17.0)
        edge = 1.9 - 3.9 * env[CLOUDS]
        cover = min(1.0, max(0.0, (n - edge) * 0.75))
        cover = cover * cover * (3.0 - 2.0 * cover)
        cover *= min(1.0, up * 9.0) * 0.9
        thick = 1.0 - 0.35 * cover * (0.4 + 0.6 * min(1.0, max(0.0, 0.5 * n)))
        shine = thick * (1.0 + 0.35 * n4)
        cr = (0.72 * env[HORIZON] + 0.28 * env[ZENITH]) * 1.12 * shine + 0.10 * env[GLOW]
        cg = (0.72 * env[HORIZON + 1] + 0.28 * env[ZENITH + 1]) * 1.10 * shine
        cb = (0.72 * env[HORIZON + 2] + 0.28 * env[ZENITH + 2]) * 1.08 * shine
        cg += 0.10 * env[GLOW + 1]
        cb += 0.10 * env[GLOW + 2]
        r = r * (1.0 - cover) + cr * cover
        g = g * (1.0 - cover) + cg * cover
        b = b * (1.0 - cover) + cb * cover
    if toward > 0.9996 and env[DISK] > 0.0:
        disk = 14.0 * (1.0 - cover) * env[DISK]
        r += env[GLOW] * disk + 0.2 * disk * (1.0 - env[NIGHT]) * (1.0 - env[CLOUDS])
        g += env[GLOW + 1] * disk + 0.2 * disk * (1.0 - env[NIGHT]) * (1.0 - env[CLOUDS])
        b += env[GLOW + 2] * disk + 0.2 * disk * (1.0 - env[NIGHT]) * (1.0 - env[CLOUDS])
    return r, g, b
