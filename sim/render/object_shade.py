"""Light on triangles: what the materials of houses, cars, trees and posts look like (compiled)."""

from __future__ import annotations

import math

import numba

from seg_node_sim.render.atmosphere import AMBIENT, BOUNCE, SUN, SUN_DIR, WET
from seg_node_sim.render.sky import sample, sky_colour

# columns of the triangle table
NORMAL, ALBEDO, EMISSION, PLANE_U, PLANE_V, EXTRA, COLUMNS = 0, 3, 6, 7, 11, 15, 20
# materials of triangles
PLAIN, FACADE, PAINT, GLASS, LEAVES, METAL, STRIPES, ROOF, SIGN = range(9)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _hash(a, b):  # noqa: ANN001, ANN202
    h = (a * 374761393 + b * 668265263) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((h ^ (h >> 16)) & 0xFFFF) / 65535.0


@numba.njit(cache=True, nogil=True, fastmath=True)
def object_colour(
    who, x, y, z, ux, uy, uz, sun, lamp, beam, size, table, codes, env, clouds, rough, fine, lit
):  # noqa: ANN001, ANN201
    """Radiance (r, g, b) of triangle `who` at (x, y, z) seen along the unit vector (ux, uy, uz).

    size: metres a pixel covers there. lit: how far lamps and windows are on, 0..1.
    """
    tri = table[who]
    nx, ny, nz = tri[NORMAL], tri[NORMAL + 1], tri[NORMAL + 2]
    if nx * ux + ny * uy + nz * uz > 0.0:
        nx, ny, nz = -nx, -ny, -nz
    r, g, b = tri[ALBEDO], tri[ALBEDO + 1], tri[ALBEDO + 2]
    glow = tri[EMISSION]
    material = codes[who, 0]
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
        iu, iv = int(math.floor(fu)), int(math.floor(fv))
        au, av = fu - iu, fv - iv
        wide, tall = tri[EXTRA + 2], 0.56
        if iv == 0:
            wide, tall = 0.80, 0.70
        if v > 0.0 and abs(au - 0.5) < 0.5 * wide and abs(av - 0.52) < 0.5 * tall:
            frame = 0.07 / bay
            bar = abs(au - 0.5) > 0.5 * wide - frame or abs(av - 0.52) > 0.5 * tall - 0.06 / floor
            if (bar or abs(au - 0.5) < 0.25 * frame) and size < 0.12:
                r, g, b = r * 0.55 + 0.15, g * 0.55 + 0.15, b * 0.55 + 0.15
            else:
                pick = _hash(iu * 7 + int(tri[EXTRA + 3]), iv)
                v0 = 0.02 + 0.05 * pick
                r, g, b = v0, v0 * 1.05, v0 * 1.15
                mirror = 0.55
                if pick < 0.38 * lit:
                    warm = 0.25 + 0.5 * _hash(iv, iu + 3)
                    er_glow += 0.9 * warm * lit
                    eg_glow += 0.62 * warm * lit
                    eb_glow += 0.30 * warm * lit
        elif iv > 0 and av < 0.045:
            r, g, b = r * 0.82, g * 0.82, b * 0.82
    elif material == ROOF:
        grime = (
            1.0
            + 0.12 * sample(rough, x * 3.0, y * 3.0)
            + 0.08 * fine[int(x * 9) & 255, int(y * 9) & 255]
        )  # noqa: E501
        r, g, b = r * grime, g * grime, b * grime
    elif material == STRIPES:
        if (int(math.floor(v * tri[EXTRA])) & 1) == 0:
            r, g, b = tri[EXTRA + 1], tri[EXTRA + 2], tri[EXTRA + 3]
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
        if mz > 0.0:
            sr, sg, sb = sky_colour(mx, my, mz, env, clouds, False)
        else:
            sr, sg, sb = env[BOUNCE], env[BOUNCE + 1], env[BOUNCE + 2]
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
