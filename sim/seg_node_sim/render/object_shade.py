"""Light on triangles: what the materials of houses, cars, trees and posts look like (compiled)."""

from __future__ import annotations

import math

import numpy as np

from seg_node_sim.render.atmosphere import AMBIENT, BOUNCE, EXPOSURE, SUN, SUN_DIR, WET
from seg_node_sim.render.inputs import Hit, Light, Lit, Textures, Things
from seg_node_sim.render.jit import kernel
from seg_node_sim.render.sky import sample, sky_colour

# columns of the triangle table
NORMAL, ALBEDO, EMISSION, PLANE_U, PLANE_V, EXTRA, COLUMNS = 0, 3, 6, 7, 11, 15, 20
# materials of triangles
PLAIN, FACADE, PAINT, GLASS, LEAVES, METAL, STRIPES, ROOF, SIGN = range(9)


@kernel
def _hash(a: int, b: int) -> float:
    h = (a * 374761393 + b * 668265263) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65535.0


@kernel
def leaf(
    atlas: np.ndarray, variant: int, u: float, v: float, level: int
) -> tuple[int, int, int, int]:
    """Texel (r, g, b, alpha) of a tree picture at u, v in 0..1 (v up), nearest, in a mip level.

    Level k of a picture starts at row height * (1 - 2^-k), see `sprites.atlas`.
    """
    height, width = atlas.shape[1], atlas.shape[2]
    size = height >> (level + 1)
    row = height - (height >> level) + min(size - 1, max(0, int((1.0 - v) * size)))
    wide = width >> level
    column = min(wide - 1, max(0, int(u * wide)))
    t = variant
    return (
        atlas[t, row, column, 0],
        atlas[t, row, column, 1],
        atlas[t, row, column, 2],
        atlas[t, row, column, 3],
    )


@kernel
def leaf_level(atlas: np.ndarray, metres_per_pixel: float, tall: float) -> int:
    """Mip level of a picture `tall` metres high, so that a texel is about a pixel."""
    texels = metres_per_pixel / tall * (atlas.shape[1] // 2)
    level = 0
    while texels > 1.4 and level < 5:
        texels *= 0.5
        level += 1
    return level


@kernel
def object_colour(
    who: int, hit: Hit, lit: Lit, size: float, things: Things, light: Light, textures: Textures
) -> tuple[float, float, float]:
    """Radiance (r, g, b) of triangle `who` where a ray hits it.

    hit: `Hit`. lit: `Lit`. size: metres a pixel covers there.
    """
    x, y, z, ux, uy, uz = hit.x, hit.y, hit.z, hit.ux, hit.uy, hit.uz
    sun, lamp, beam = lit.sun, lit.lamp, lit.beam
    table, codes, env = things.table, things.codes, light.env
    rough, fine, clouds, atlas = textures.rough, textures.fine, textures.clouds, textures.atlas
    burning = light.lamp_at[8]  # how far lamps and windows are on, 0..1
    tri = table[who]
    nx, ny, nz = tri[NORMAL], tri[NORMAL + 1], tri[NORMAL + 2]
    if nx * ux + ny * uy + nz * uz > 0.0:
        nx, ny, nz = -nx, -ny, -nz
    r, g, b = tri[ALBEDO], tri[ALBEDO + 1], tri[ALBEDO + 2]
    material = codes[who, 0]
    # emission is what it looks like, whatever the exposure; lamps of kind 9 burn at night
    glow = tri[EMISSION]
    if material == PLAIN and tri[EXTRA + 3] == 9.0:
        glow = 6.0 * burning
    glow /= env[EXPOSURE]
    mirror = 0.0
    u = tri[PLANE_U] * x + tri[PLANE_U + 1] * y + tri[PLANE_U + 2] * z + tri[PLANE_U + 3]
    v = tri[PLANE_V] * x + tri[PLANE_V + 1] * y + tri[PLANE_V + 2] * z + tri[PLANE_V + 3]
    er_glow, eg_glow, eb_glow = r * glow, g * glow, b * glow
    if material == FACADE:
        grime = 1.0 + 0.07 * sample(rough, u * 6.0, v * 6.0) - 0.10 * math.exp(-v * 0.6)
        r, g, b = r * grime, g * grime, b * grime
        floor = tri[EXTRA]
        bay = tri[EXTRA + 1]
        fu, fv = u / bay, v / floor
        iu, iv = math.floor(fu), math.floor(fv)
        au, av = fu - iu, fv - iv
        wide, tall = tri[EXTRA + 2], 0.56
        if iv == 0 and _hash(int(tri[EXTRA + 3]), 5) > 0.5:
            wide, tall = 0.82, 0.74  # a shop
        if v > 0.0 and abs(au - 0.5) < 0.5 * wide and abs(av - 0.52) < 0.5 * tall:
            frame = 0.07 / bay
            bar = abs(au - 0.5) > 0.5 * wide - frame or abs(av - 0.52) > 0.5 * tall - 0.06 / floor
            if (bar or abs(au - 0.5) < 0.25 * frame) and size < 0.12:
                r, g, b = r * 0.55 + 0.15, g * 0.55 + 0.15, b * 0.55 + 0.15
            else:
                pick = _hash(iu * 7 + int(tri[EXTRA + 3]), iv)
                v0 = 0.015 + 0.05 * pick
                r, g, b = v0, v0 * 1.05, v0 * 1.15
                blind = _hash(iv * 5 + int(tri[EXTRA + 3]), iu)
                if blind > 0.55 and iv > 0 and av - 0.24 > (1.0 - blind) * 1.6 * tall:
                    v0 = 0.20 + 0.3 * pick  # a blind or a curtain
                    r, g, b = v0, v0 * 0.97, v0 * 0.9
                mirror = 1.7
                if pick < 0.38 * burning:
                    warm = 0.25 + 0.5 * _hash(iv, iu + 3)
                    warm *= burning / env[EXPOSURE]
                    er_glow += 0.9 * warm
                    eg_glow += 0.62 * warm
                    eb_glow += 0.30 * warm
        elif iv > 0 and av < 0.045:
            r, g, b = r * 0.82, g * 0.82, b * 0.82
    elif material == ROOF:
        grime = (
            1.0
            + 0.12 * sample(rough, x * 3.0, y * 3.0)
            + 0.08 * fine[int(x * 9) & 255, int(y * 9) & 255]
        )
        r, g, b = r * grime, g * grime, b * grime
    elif material == STRIPES:
        if (math.floor(v * tri[EXTRA]) & 1) == 0:
            r, g, b = tri[EXTRA + 1], tri[EXTRA + 2], tri[EXTRA + 3]
    elif material == LEAVES:
        level = leaf_level(atlas, size, 1.0 / max(1e-6, tri[PLANE_V + 2]))
        texel = leaf(atlas, int(tri[EXTRA]), u, v, level)
        r, g, b = r * texel[0] / 255.0, g * texel[1] / 255.0, b * texel[2] / 255.0
        # a crown is round: its light comes from the side the sun is on
        round_ = 1.7 * (u - 0.5)
        nx, ny, nz = (
            0.55 * nx + round_ * tri[PLANE_U] / math.hypot(tri[PLANE_U], tri[PLANE_U + 1]),
            0.55 * ny + round_ * tri[PLANE_U + 1] / math.hypot(tri[PLANE_U], tri[PLANE_U + 1]),
            0.25 + 0.9 * (v - 0.3),
        )
        norm = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz)
        nx, ny, nz = nx * norm, ny * norm, nz * norm
        sun = 0.35 + 0.65 * sun if z > 2.5 else sun
    elif material == PAINT:
        mirror = 0.55
    elif material == GLASS:
        mirror = 0.95
    elif material == METAL:
        mirror = 0.25
        r *= 1.0 + 0.06 * sample(rough, (x + y) * 21.0, z * 21.0)
    facing = nx * env[SUN_DIR] + ny * env[SUN_DIR + 1] + nz * env[SUN_DIR + 2]
    facing = max(0.0, facing) * sun
    up = 0.5 + 0.5 * nz
    low = 0.62 + 0.38 * min(1.0, z * 0.9)
    ambient_up = up * low
    ambient_down = (1.0 - up) * low
    side = 0.35 + 0.3 * (1.0 - abs(nz))
    er = env[SUN] * facing + env[AMBIENT] * ambient_up + env[BOUNCE] * ambient_down
    eg = env[SUN + 1] * facing + env[AMBIENT + 1] * ambient_up + env[BOUNCE + 1] * ambient_down
    eb = env[SUN + 2] * facing + env[AMBIENT + 2] * ambient_up + env[BOUNCE + 2] * ambient_down
    front = max(0.0, -(nx * ux + ny * uy))
    er += lamp * side + beam * front
    eg += 0.72 * lamp * side + 0.95 * beam * front
    eb += 0.40 * lamp * side + 0.85 * beam * front
    r, g, b = r * er + er_glow, g * eg + eg_glow, b * eb + eb_glow
    if mirror > 0.0:
        cosine = -(nx * ux + ny * uy + nz * uz)
        mx, my, mz = ux + 2 * cosine * nx, uy + 2 * cosine * ny, uz + 2 * cosine * nz
        fresnel = 0.05 + 0.95 * (1.0 - min(1.0, max(0.0, cosine))) ** 5
        fresnel *= mirror * (1.0 + 0.3 * env[WET])
        fresnel = min(fresnel, 1.0)
        sr, sg, sb = sky_colour(mx, my, mz, env, clouds, False)
        ground = min(1.0, max(0.0, 0.6 - 5.0 * mz))  # houses and trees line the horizon
        sr += (env[BOUNCE] - sr) * ground
        sg += (env[BOUNCE + 1] - sg) * ground
        sb += (env[BOUNCE + 2] - sb) * ground
        r += (sr - r) * fresnel
        g += (sg - g) * fresnel
        b += (sb - b) * fresnel
        shine = mx * env[SUN_DIR] + my * env[SUN_DIR + 1] + mz * env[SUN_DIR + 2]
        if shine > 0.92 and sun > 0.0:
            spot = ((shine - 0.92) * 12.5) ** 6 * mirror * sun * 0.8
            r += env[SUN] * spot
            g += env[SUN + 1] * spot
            b += env[SUN + 2] * spot
    return r, g, b
