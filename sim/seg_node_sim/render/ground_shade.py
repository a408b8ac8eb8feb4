"""Compiled look-ups into the ground: where a ray meets it, what lies there, what it looks like."""

from __future__ import annotations

import math

import numpy as np

from seg_node_sim.render.atmosphere import PUDDLES, RAIN, WET
from seg_node_sim.render.inputs import Hit, Texel, Textures, Tiles, View
from seg_node_sim.render.jit import kernel
from seg_node_sim.render.materials import (
    ASPHALT,
    BAY,
    GRAVEL,
    LOOK_ASPHALT,
    LOOK_GRASS,
    LOOK_KERB_TONE,
    LOOK_KERB_TOP,
    LOOK_KERB_WORN,
    LOOK_PAVEMENT,
    LOOK_WEAR,
    PAINT_SCALE,
    RISE_SCALE,
    SHOULDER,
    SIDEWALK,
    TERRAIN,
    TEXEL,
    TILE,
)
from seg_node_sim.render.sky import sample

PER_TEXEL = 1.0 / TEXEL


@kernel
def _place(x: float, y: float, level: int, ground: Tiles) -> tuple[int, int, int, float, float]:
    """(tile, row, column, right, down) of the texel at or before a place, in a mip level.

    tile: -1 where there is none; right, down: how far on towards the next texels, 0..1.
    """
    index = ground.tile_at
    scale = PER_TEXEL / (1 << level)
    gx = (x - ground.x0) * scale - 0.5
    gy = (y - ground.y0) * scale - 0.5
    fx, fy = math.floor(gx), math.floor(gy)
    ix, iy = int(fx), int(fy)
    tr, tc = iy >> (7 - level), ix >> (7 - level)
    if tr < 0 or tc < 0 or tr >= index.shape[0] or tc >= index.shape[1]:
        return -1, 0, 0, 0.0, 0.0
    last = (TILE >> level) - 1
    return index[tr, tc], iy & last, ix & last, gx - fx, gy - fy


@kernel
def rise(x: float, y: float, ground: Tiles) -> float:
    """Metres inside (positive) or outside of raised ground, clipped to +-1.27."""
    tiles = ground.level0
    tile, ly, lx, ax, ay = _place(x, y, 0, ground)
    if tile < 0:
        return 1.27
    t00 = (tiles[tile, ly, lx] >> 8) & 255
    t01 = (tiles[tile, ly, lx + 1] >> 8) & 255
    t10 = (tiles[tile, ly + 1, lx] >> 8) & 255
    t11 = (tiles[tile, ly + 1, lx + 1] >> 8) & 255
    top = t00 * (1.0 - ax) + t01 * ax
    low = t10 * (1.0 - ax) + t11 * ax
    inside: float = (top * (1.0 - ay) + low * ay - 128.0) / RISE_SCALE
    return inside


@kernel
def meet(view: View, dx: float, dy: float, dz: float, ground: Tiles) -> tuple[float, int]:
    """Where a ray meets the ground: (t, kind), kind 0 road level, 1 raised, 2 a kerb's face.

    The ray is from the camera along (dx, dy, dz), dz < 0, and the camera above the ground.
    """
    cx, cy, cz = view.x, view.y, view.z
    t0 = -cz / dz
    if not ground.raised or cz <= ground.kerb:
        return t0, 0
    if t0 > 90.0:  # kerbs are below a pixel there
        inside = rise(cx + t0 * dx, cy + t0 * dy, ground) > 0.0
        return t0, 1 if inside else 0
    t = (ground.kerb - cz) / dz
    r = rise(cx + t * dx, cy + t * dy, ground)
    if r > 0.0:
        return t, 1
    flat = math.sqrt(dx * dx + dy * dy) + 1e-9
    for _ in range(24):
        t += max(-r, 0.004) / flat
        if t >= t0:
            return t0, 0
        r = rise(cx + t * dx, cy + t * dy, ground)
        if r > 0.0:
            return t, 2
    return t0, 0


@kernel
def probe(x: float, y: float, ground: Tiles) -> Texel:
    """What level 0 knows of a place, a `Texel`.

    inside: metres inside (positive) or outside of paint, clipped. code: the nearest texel's
    material byte; the sign of `inside` and its low bits decide the tags. paint: material byte of
    the texel that is most inside of paint. tone: 0..255. (gx, gy): unit vector along which
    `inside` rises.
    """
    tiles = ground.level0
    tile, ly, lx, ax, ay = _place(x, y, 0, ground)
    if tile < 0:
        return Texel(-1.0, TERRAIN, 0, 128.0, 1.0, 0.0)
    t00, t01 = int(tiles[tile, ly, lx]), int(tiles[tile, ly, lx + 1])
    t10, t11 = int(tiles[tile, ly + 1, lx]), int(tiles[tile, ly + 1, lx + 1])
    w00, w01 = (1.0 - ax) * (1.0 - ay), ax * (1.0 - ay)
    w10, w11 = (1.0 - ax) * ay, ax * ay
    tone = (t00 >> 24) * w00 + (t01 >> 24) * w01 + (t10 >> 24) * w10 + (t11 >> 24) * w11
    nearest = (t00 if ax < 0.5 else t01) if ay < 0.5 else t10 if ax < 0.5 else t11
    code = (nearest >> 16) & 255
    a, b, c, d = t00 & 255, t01 & 255, t10 & 255, t11 & 255
    if a + b + c + d == 0:
        return Texel(-1.0, code, 0, tone, 1.0, 0.0)
    s = (a * w00 + b * w01 + c * w10 + d * w11 - 128.0) / PAINT_SCALE
    sx = (b - a) * (1.0 - ay) + (d - c) * ay
    sy = (c - a) * (1.0 - ax) + (d - b) * ax
    scale = 1.0 / (math.sqrt(sx * sx + sy * sy) + 1e-6)
    most, paint = a, t00
    if b > most:
        most, paint = b, t01
    if c > most:
        most, paint = c, t10
    if d > most:
        paint = t11
    return Texel(s, code, (paint >> 16) & 255, tone, sx * scale, sy * scale)


@kernel
def edge_cover(texel: Texel, ex: float, ey: float, minor: float, major: float) -> float:
    """Share of a footprint inside of paint, for a straight edge through a place
    that is `texel.inside` metres inside of it.

    (ex, ey): direction of the footprint's long axis; minor, major: its sizes in metres.
    """
    along = texel.gx * ex + texel.gy * ey
    across = texel.gx * ey - texel.gy * ex
    width = math.sqrt(along * along * major * major + across * across * minor * minor) + 1e-4
    return min(1.0, max(0.0, 0.5 + texel.inside / width))


@kernel
def far_paint(
    x: float, y: float, level: int, tiles: np.ndarray, ground: Tiles
) -> tuple[float, float, float]:
    """(coverage of white, of other paint, tone), bilinear in mip level >= 1."""
    tile, ly, lx, ax, ay = _place(x, y, level, ground)
    if tile < 0:
        return 0.0, 0.0, 128.0
    t00, t01 = int(tiles[tile, ly, lx]), int(tiles[tile, ly, lx + 1])
    t10, t11 = int(tiles[tile, ly + 1, lx]), int(tiles[tile, ly + 1, lx + 1])
    w00, w01 = (1.0 - ax) * (1.0 - ay), ax * (1.0 - ay)
    w10, w11 = (1.0 - ax) * ay, ax * ay
    tone = (t00 >> 24) * w00 + (t01 >> 24) * w01 + (t10 >> 24) * w10 + (t11 >> 24) * w11
    if (t00 | t01 | t10 | t11) & 0xFFFF == 0:
        return 0.0, 0.0, tone
    white = (t00 & 255) * w00 + (t01 & 255) * w01 + (t10 & 255) * w10 + (t11 & 255) * w11
    other = ((t00 >> 8) & 255) * w00 + ((t01 >> 8) & 255) * w01
    other += ((t10 >> 8) & 255) * w10 + ((t11 >> 8) & 255) * w11
    return white / 255.0, other / 255.0, tone


@kernel
def far_cover(
    x: float, y: float, ex: float, ey: float, minor: float, major: float, ground: Tiles
) -> tuple[float, float, int, float]:
    """(white, other, code, tone) of a large footprint, filtered along its long axis."""
    taps = int(min(12.0, math.ceil(major / max(minor, 0.07))))
    step = major / taps
    white = 0.0
    other = 0.0
    tone = 0.0
    code = 0
    size = max(minor, step)
    if size < 0.10 and major < 0.8:
        # the four texels of the coarsest level reach 0.4 m around: mostly there is no paint at all
        w, o, _ = far_paint(x, y, 4, ground.level4, ground)
        if w + o == 0.0:
            _, _, shade = far_paint(x, y, 1, ground.level1, ground)
            return 0.0, 0.0, 0, shade
    for k in range(taps):
        at = (k + 0.5) * step - 0.5 * major
        px, py = x + at * ex, y + at * ey
        if size < 0.10:
            near = probe(px, py, ground)
            paint, shade = near.paint, near.tone
            if near.inside > -0.1:
                cover = edge_cover(near, ex, ey, minor, step)
                if cover > 0.0:
                    code = paint
                if (paint >> 4) & 3:
                    other += cover
                else:
                    white += cover
            tone += shade
            continue
        if size < 0.16:
            w, o, shade = far_paint(px, py, 1, ground.level1, ground)
        elif size < 0.32:
            w, o, shade = far_paint(px, py, 2, ground.level2, ground)
        elif size < 0.64:
            w, o, shade = far_paint(px, py, 3, ground.level3, ground)
        else:
            w, o, shade = far_paint(px, py, 4, ground.level4, ground)
        white += w
        other += o
        tone += shade
        if o > 0.0:
            code = 1 << 4
    return white / taps, other / taps, code, tone / taps


@kernel
def worn_kerb(
    x: float, y: float, v: float, look: np.ndarray, wet: float, rough: np.ndarray, grain: float
) -> tuple[float, float, float, float]:
    """(albedo r, g, b, gloss) of a kerb stone of albedo v, here and there of the road's colour."""
    wear = sample(rough, x * 2.3 + 11.0, y * 2.3 + 5.0) * 0.45 + 0.5
    share = min(1.0, max(0.0, (look[LOOK_KERB_WORN] - wear) * 5.0 + 0.5))
    level = (1.0 + 0.12 * grain) * (1.0 - 0.5 * wet)
    return (
        v * (1.0 - share) + look[LOOK_ASPHALT] * level * share,
        0.98 * v * (1.0 - share) + look[LOOK_ASPHALT + 1] * level * share,
        0.94 * v * (1.0 - share) + look[LOOK_ASPHALT + 2] * level * share,
        0.1 * wet,
    )


@kernel
def surface(
    hit: Hit,
    kind: int,
    code: int,
    white: float,
    other: float,
    tone: float,
    size: float,
    inside: float,
    look: np.ndarray,
    env: np.ndarray,
    textures: Textures,
) -> tuple[float, float, float, float]:
    """(albedo r, g, b, gloss) of the ground at a place.

    kind: of `meet`. size: footprint across, metres (finer texture than it is left out). inside:
    metres from the edge of raised ground. gloss: how much of a mirror it is, 0..1 (wet asphalt,
    puddles).
    """
    x, y = hit.x, hit.y
    rough, fine, worn = textures.rough, textures.fine, textures.worn
    material = code & 15
    large = sample(rough, x * 0.9, y * 0.9)
    small = 0.0
    if size < 0.8:
        small = sample(rough, x * 17.0, y * 17.0) * min(1.0, 0.12 / (size + 1e-3))
    speck = 0.0
    if size < 0.3:
        iu, iv = int(x * 90.0 + 1e6), int(y * 90.0 + 1e6)
        speck = fine[iv & 255, iu & 255] * min(1.0, 0.028 / (size + 1e-3))
    wet = env[WET]
    gloss = 0.0
    if kind == 2 or (kind == 0 and material == SIDEWALK):  # kerb stone
        v = look[LOOK_KERB_TONE] * (1.0 + 0.05 * large + 0.06 * small + 0.05 * speck)
        v *= 1.0 - 0.35 * wet
        if look[LOOK_KERB_WORN] > 0.0:
            return worn_kerb(x, y, v, look, wet, rough, small + speck)
        return v, v * 0.98, v * 0.94, 0.1 * wet
    if kind == 1 and material != TERRAIN and material != SIDEWALK:
        material = SIDEWALK if material <= GRAVEL else TERRAIN
    bright = 1.0
    if material == SIDEWALK and look[LOOK_PAVEMENT] > 0.0:
        if inside < look[LOOK_KERB_TOP]:
            v = look[LOOK_KERB_TONE] * (1.0 + 0.06 * large + 0.06 * small + 0.05 * speck)
            return worn_kerb(x, y, v * (1.0 - 0.4 * wet), look, wet, rough, small + speck)
        material = ASPHALT
        bright = look[LOOK_PAVEMENT]
    if material == SIDEWALK:
        sx, sy = x * 1.0, y * 1.0
        jx = abs(sx - math.floor(sx + 0.5))
        jy = abs(sy - math.floor(sy + 0.5))
        joint = 1.0
        if size < 0.06 and min(jx, jy) < 0.012 + 0.5 * size:
            joint = 1.0 - 0.35 * min(1.0, 0.012 / (size + 0.004))
        tile = fine[math.floor(sy + 0.5) & 255, math.floor(sx + 0.5) & 255]
        v = 0.27 * (1.0 + 0.10 * large + 0.06 * small + 0.05 * speck + 0.03 * tile) * joint
        v *= 1.0 - 0.42 * wet
        return v, v * 0.97, v * 0.91, 0.22 * wet
    if material == TERRAIN or material >= 7:
        g = 1.0 + 0.22 * large + 0.22 * small + 0.22 * speck
        g = max(g, 0.2) * (1.0 - 0.25 * wet)
        dry = min(1.0, max(0.0, 0.35 + 0.30 * sample(rough, x * 0.21 + 50.0, y * 0.21)))
        r = look[LOOK_GRASS] * (1.0 + 0.9 * dry) * g
        b = look[LOOK_GRASS + 2] * (1.0 + 0.35 * dry) * g
        g = look[LOOK_GRASS + 1] * (1.0 + 0.25 * dry) * g
    else:
        level = 1.0 + 0.10 * large + 0.08 * small + 0.17 * speck
        if material == SHOULDER:
            level *= 1.12 + 0.10 * large
        elif material == BAY:
            level *= 0.92
        elif material == GRAVEL:
            level *= 1.7 + 0.3 * speck
        level *= 1.0 + (tone - 128.0) * 0.0105
        level = max(level, 0.12) * bright
        r = look[LOOK_ASPHALT] * level
        g = look[LOOK_ASPHALT + 1] * level
        b = look[LOOK_ASPHALT + 2] * level
    paint = white + other
    pool = 0.0
    if wet > 0.0 and (material in (ASPHALT, BAY, SHOULDER)):
        low = sample(rough, x * 1.7 + 31.0, y * 1.7 + 77.0) + 0.35 * large
        low -= (tone - 128.0) * 0.035
        edge = 2.3 - 2.6 * env[PUDDLES]
        pool = min(1.0, max(0.0, (low - edge) * 2.2)) if env[PUDDLES] > 0.02 else 0.0
        soak = wet * (1.0 - 0.25 * min(1.0, max(0.0, large + 0.3)))
        dark = 1.0 - 0.50 * soak - 0.18 * pool
        r, g, b = r * dark, g * dark, b * dark
        gloss = 0.30 * soak * (0.55 + 0.45 * env[RAIN]) + 0.60 * pool
        gloss = min(gloss, 0.92)
    if paint > 0.0:
        keep = 1.0
        wear_level = look[LOOK_WEAR] * (0.35 + 0.2 * ((code >> 6) & 3))
        flaw = sample(worn, x * 38.0, y * 38.0)
        chip = min(1.0, max(0.0, (wear_level - flaw) * 9.0 + 0.5)) if size < 0.05 else wear_level
        keep = (1.0 - 0.78 * chip) * (1.0 - 0.25 * look[LOOK_WEAR])
        dirt = (1.0 + 0.06 * large + 0.05 * small + 0.05 * speck) * (1.0 - 0.25 * wet - 0.1 * pool)
        dirt *= 1.0 + (tone - 128.0) * 0.004
        cover = min(1.0, paint) * keep
        share = other / paint
        pr, pg, pb = 0.74 * dirt, 0.74 * dirt, 0.71 * dirt
        yr, yg, yb = 0.70 * dirt, 0.46 * dirt, 0.045 * dirt
        kind_of = (code >> 4) & 3
        if kind_of == 2:
            yr, yg, yb = 0.45 * dirt, 0.06 * dirt, 0.05 * dirt
        elif kind_of == 3:
            yr, yg, yb = 0.05 * dirt, 0.13 * dirt, 0.42 * dirt
        pr, pg, pb = (
            pr * (1.0 - share) + yr * share,
            pg * (1.0 - share) + yg * share,
            pb * (1.0 - share) + yb * share,
        )
        r = r * (1.0 - cover) + pr * cover
        g = g * (1.0 - cover) + pg * cover
        b = b * (1.0 - cover) + pb * cover
    return r, g, b, gloss
