"""The shading pass: from the visibility buffer to tags, depth, instances and light (compiled).

Each pixel is decided at its centre: the nearer of the rasterised triangle and the ground. Light is
worked out only when RGB is asked for.
"""

from __future__ import annotations

import math

import numpy as np

from seg_node_sim.render.atmosphere import AMBIENT, EXPOSURE, FOG, SUN, SUN_DIR, WET
from seg_node_sim.render.ground_shade import edge_cover, far_cover, meet, probe, rise, surface
from seg_node_sim.render.inputs import (
    Buffers,
    Hit,
    Light,
    Lit,
    Texel,
    Textures,
    Things,
    Tiles,
    View,
)
from seg_node_sim.render.jit import kernel
from seg_node_sim.render.materials import (
    GROUND_TAGS,
    LOOK_KERB_TOP,
    ROAD,
    ROAD_LINE,
    SIDEWALK,
    SKY,
    TERRAIN_TAG,
    WALK,
)
from seg_node_sim.render.object_shade import object_colour
from seg_node_sim.render.sky import haze_colour, sky_colour

FAR = 1000.0
EMPTY = Texel(-1.0, 0, 0, 128.0, 1.0, 0.0)


@kernel
def window(
    field: np.ndarray, x: float, y: float, ox: float, oy: float, scale: float, outside: float
) -> float:
    """Bilinear value of a map around the camera; `outside` beyond it. field: uint8 or float32."""
    gx, gy = (x - ox) * scale - 0.5, (y - oy) * scale - 0.5
    if gx < 0.0 or gy < 0.0 or gx >= field.shape[1] - 1 or gy >= field.shape[0] - 1:
        return outside
    ix, iy = int(gx), int(gy)
    ax, ay = gx - ix, gy - iy
    top = field[iy, ix] * (1.0 - ax) + field[iy, ix + 1] * ax
    low = field[iy + 1, ix] * (1.0 - ax) + field[iy + 1, ix + 1] * ax
    value: float = top * (1.0 - ay) + low * ay
    return value


@kernel
def shadow(x: float, y: float, z: float, light: Light) -> float:
    """How dark it is at a point, 0..1, from the shadow maps of the ground.

    light.where: float64 (8,): origin x, y and texels per metre of the near, then of the far map;
    how much a shadow takes of the sun's and of the sky's light.
    """
    env, near, far, where = light.env, light.near, light.far, light.where
    lift = z / max(env[SUN_DIR + 2], 0.05)
    px = x - env[SUN_DIR] * lift
    py = y - env[SUN_DIR + 1] * lift
    dark = window(near, px, py, where[0], where[1], where[2], -1.0)
    if dark < 0.0:
        dark = window(far, px, py, where[3], where[4], where[5], 0.0)
    return dark / 255.0


@kernel
def nearest_ground(
    view: View, dx: float, dy: float, dz: float, depth: float, ground: Tiles
) -> tuple[float, int]:
    """(depth, kind of `meet`) of the ground where it is nearer than `depth`, else (depth, -1)."""
    if dz < -1e-5 and view.z > 0.0:
        bottom = -view.z / dz
        top = (ground.kerb - view.z) / dz if ground.raised and view.z > ground.kerb else bottom
        if top < depth and bottom < FAR:
            t, kind = meet(view, dx, dy, dz, ground)
            if t < depth:
                return t, kind
    return depth, -1


@kernel
def ground_tag(kind: int, texel: Texel, raised: bool, depth: float) -> int:
    """CARLA's tag of a place on the ground."""
    tag: int = GROUND_TAGS[texel.code & 15]
    if kind == 2 or (kind == 0 and raised and texel.code & 15 == SIDEWALK):
        return WALK
    if kind == 0:
        if texel.inside > 0.0:
            return ROAD_LINE
        if raised and tag == TERRAIN_TAG and depth < 90.0:
            return ROAD
    elif kind == 1 and tag == ROAD:
        return WALK
    return tag


@kernel
def lit_at(x: float, y: float, z: float, light: Light) -> Lit:
    """`Lit` of a place."""
    dark = shadow(x, y, z, light)
    at = light.lamp_at
    lamp = 0.0
    beam = 0.0
    if at[3] > 0.0:
        lamp = window(light.lamps, x, y, at[0], at[1], at[2], 0.0)
        lamp *= at[3] * max(0.15, 1.0 - 0.11 * z)
    if at[7] > 0.0:
        beam = window(light.beams, x, y, at[4], at[5], at[6], 0.0)
        beam *= max(0.0, 1.0 - 0.45 * z)
    return Lit(1.0 - dark * light.where[6], 1.0 - dark * light.where[7], lamp, beam)


@kernel
def misty_sky(
    ux: float, uy: float, uz: float, env: np.ndarray, clouds: np.ndarray
) -> tuple[float, float, float]:
    """Radiance (r, g, b) of the sky with the haze before it."""
    r, g, b = sky_colour(ux, uy, uz, env, clouds, True)
    hr, hg, hb = haze_colour(ux, uy, env)
    if uz < 0.03:
        mix = min(1.0, (0.03 - uz) * 20.0)
        r, g, b = r + (hr - r) * mix, g + (hg - g) * mix, b + (hb - b) * mix
    thin = max(uz, 0.0) * 5.0 / (1.0 + 60.0 * env[FOG])
    fogged = min(1.0, max(0.0, (env[FOG] - 0.001) * 140.0))
    fogged /= 1.0 + thin + 0.6 * thin * thin
    return r + (hr - r) * fogged, g + (hg - g) * fogged, b + (hb - b) * fogged


@kernel
def fogged(r: float, g: float, b: float, hit: Hit, env: np.ndarray) -> tuple[float, float, float]:
    """Radiance (r, g, b) of what a ray hits, seen through the air before it."""
    distance = hit.depth * math.sqrt(hit.dx * hit.dx + hit.dy * hit.dy + hit.dz * hit.dz)
    haze = 1.0 - math.exp(-distance * env[FOG])
    hr, hg, hb = haze_colour(hit.ux, hit.uy, env)
    return r + (hr - r) * haze, g + (hg - g) * haze, b + (hb - b) * haze


@kernel
def ground_colour(
    kind: int,
    texel: Texel,
    hit: Hit,
    lit: Lit,
    focal: float,
    ground: Tiles,
    light: Light,
    textures: Textures,
) -> tuple[float, float, float, float]:
    """(radiance r, g, b, mirror) of the ground; mirror: share of the sky that it throws back."""
    env = light.env
    dx, dy = hit.dx, hit.dy
    code, paint, tone = texel.code, texel.paint, texel.tone
    flat = math.sqrt(dx * dx + dy * dy) + 1e-9
    minor = hit.depth / focal
    major = max(minor, minor * flat / -hit.dz)
    white = 0.0
    other = 0.0
    if kind == 0 and major < 0.10:
        if texel.inside > -0.1:
            white = edge_cover(texel, dx / flat, dy / flat, minor, major)
            if (paint >> 4) & 3:
                white, other = 0.0, white
    elif kind == 0:
        white, other, paint, tone = far_cover(
            hit.x, hit.y, dx / flat, dy / flat, minor, major, ground
        )
    code = (code & 15) | (paint & 240)
    if kind == 0 and ground.raised and code & 15 == 0 and hit.depth < 90.0:
        code |= 1
    size = math.sqrt(minor * major)
    inside = 1.0
    if kind == 1 and ground.look[LOOK_KERB_TOP] > 0.0 and size < 0.3:
        inside = rise(hit.x, hit.y, ground)
    r, g, b, gloss = surface(
        hit, kind, code, white, other, tone, size, inside, ground.look, env, textures
    )
    facing = max(env[SUN_DIR + 2], 0.0) * lit.sun
    if kind == 2:
        facing *= 0.7
    er = env[SUN] * facing + env[AMBIENT] * lit.sky + 1.00 * lit.lamp + 1.00 * lit.beam
    eg = env[SUN + 1] * facing + env[AMBIENT + 1] * lit.sky + 0.72 * lit.lamp + 0.95 * lit.beam
    eb = env[SUN + 2] * facing + env[AMBIENT + 2] * lit.sky + 0.40 * lit.lamp + 0.85 * lit.beam
    r, g, b = r * er, g * eg, b * eb
    # every surface mirrors a little at grazing angles, wet ones a lot
    grazing = 1.0 + hit.uz
    squared = grazing * grazing
    mirror = 0.10 * squared * squared * squared * squared
    if kind != 0:
        mirror *= 0.2
    if gloss > 0.0:
        mirror += gloss * (0.03 + 0.97 * squared * squared * grazing)
    if mirror > 0.002:
        sr, sg, sb = sky_colour(hit.ux, hit.uy, -hit.uz, env, textures.clouds, False)
        r += (sr - r) * mirror
        g += (sg - g) * mirror
        b += (sb - b) * mirror
        half = hit.ux * env[SUN_DIR] + hit.uy * env[SUN_DIR + 1] - hit.uz * env[SUN_DIR + 2]
        if half > 0.9:
            glint = (half - 0.9) * 10.0
            glint = glint**8 * lit.sun * (gloss * 2.0 + 0.05)
            r += env[SUN] * glint
            g += env[SUN + 1] * glint
            b += env[SUN + 2] * glint
    return r, g, b, mirror


@kernel
def shade_rows(
    first: int,
    last: int,
    view: View,
    ground: Tiles,
    things: Things,
    light: Light,
    textures: Textures,
    frame: Buffers,
    want_rgb: bool,
) -> None:
    """Fills rows first..last of `frame` from its zbuffer and owner; the inputs are of `inputs`."""
    env = light.env
    wet = env[WET] > 0.0
    width = frame.zbuffer.shape[1]
    for row in range(first, last):
        v = (row + 0.5 - view.cy) / view.focal
        for column in range(width):
            u = (column + 0.5 - view.cx) / view.focal
            dx = view.forward_x + view.right_x * u - view.up_x * v
            dy = view.forward_y + view.right_y * u - view.up_y * v
            dz = view.forward_z + view.right_z * u - view.up_z * v
            who = frame.owner[row, column]
            depth, kind = nearest_ground(view, dx, dy, dz, frame.zbuffer[row, column], ground)
            x, y, z = view.x + depth * dx, view.y + depth * dy, view.z + depth * dz
            texel = probe(x, y, ground) if kind >= 0 else EMPTY
            tag, number = SKY, 0
            if kind >= 0:
                tag = ground_tag(kind, texel, ground.raised, depth)
                frame.owner[row, column] = -2 - kind
            elif who >= 0:
                tag, number = things.codes[who, 1], things.codes[who, 2]
            else:
                depth = FAR
            frame.semantic[row, column] = tag
            frame.depth[row, column] = depth
            frame.instance[row, column] = number
            if not want_rgb:
                continue
            norm = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
            ux, uy, uz = dx * norm, dy * norm, dz * norm
            mirror = 0.0
            if kind < 0 and who < 0:
                r, g, b = misty_sky(ux, uy, uz, env, textures.clouds)
            else:
                hit = Hit(x, y, z, dx, dy, dz, ux, uy, uz, depth)
                lit = lit_at(x, y, z, light)
                if kind >= 0:
                    r, g, b, mirror = ground_colour(
                        kind, texel, hit, lit, view.focal, ground, light, textures
                    )
                else:
                    size = depth / view.focal
                    r, g, b = object_colour(who, hit, lit, size, things, light, textures)
                r, g, b = fogged(r, g, b, hit, env)
            if wet:
                frame.mirrors[row, column] = mirror * math.exp(-depth * env[FOG])
            frame.linear[row, column, 0] = b * env[EXPOSURE]
            frame.linear[row, column, 1] = g * env[EXPOSURE]
            frame.linear[row, column, 2] = r * env[EXPOSURE]
