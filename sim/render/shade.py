"""The shading pass: from the visibility buffer to tags, depth, instances and light (compiled).

Each pixel is decided at its centre: the nearer of the rasterised triangle and the ground. Light is
worked out only when RGB is asked for.
"""

from __future__ import annotations

import math

from seg_node_sim.render.atmosphere import (
    AMBIENT,
    EXPOSURE,
    FOG,
    SUN,
    SUN_DIR,
    WET,
)
from seg_node_sim.render.ground_shade import (
    LOOK_RAISED,
    edge_cover,
    far_cover,
    meet,
    probe,
    surface,
)
from seg_node_sim.render.jit import kernel
from seg_node_sim.render.materials import (
    GROUND_TAGS,
    KERB_HEIGHT,
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
SKY_SHARE = 0.45


@kernel
def window(field, x, y, ox, oy, scale, outside):
    """Bilinear value of a map around the camera; `outside` beyond it. field: uint8 or float32."""
    gx, gy = (x - ox) * scale - 0.5, (y - oy) * scale - 0.5
    if gx < 0.0 or gy < 0.0 or gx >= field.shape[1] - 1 or gy >= field.shape[0] - 1:
        return outside
    ix, iy = int(gx), int(gy)
    ax, ay = gx - ix, gy - iy
    top = field[iy, ix] * (1.0 - ax) + field[iy, ix + 1] * ax
    low = field[iy + 1, ix] * (1.0 - ax) + field[iy + 1, ix + 1] * ax
    return top * (1.0 - ay) + low * ay


@kernel
def shadow(x, y, z, env, near, far, where):
    """How dark it is at a point, 0..1, from the shadow maps of the ground.

    where: float64 (8,): origin x, y and texels per metre of the near, then of the far map; how
    much a shadow takes of the sun's and of the sky's light.
    """
    lift = z / max(env[SUN_DIR + 2], 0.05)
    px = x - env[SUN_DIR] * lift
    py = y - env[SUN_DIR + 1] * lift
    dark = window(near, px, py, where[0], where[1], where[2], -1.0)
    if dark < 0.0:
        dark = window(far, px, py, where[3], where[4], where[5], 0.0)
    return dark / 255.0


@kernel
def shade_rows(
    first,
    last,
    view,
    zbuffer,
    owner,
    triangles,
    tri_codes,
    levels,
    index,
    origin,
    look,
    env,
    textures,
    shadows,
    lights,
    atlas,
    linear,
    mirrors,
    semantic,
    depths,
    instances,
    want_rgb,
):
    """Fills rows first..last of the outputs.

    view: float64 (16,): camera position, rotation (forward, right, up as columns), focal, cx, cy.
    zbuffer: float32 (H, W) depth of triangles, FAR where none. owner: int32 (H, W), the visible
    triangle, -1 where none; the ground is written into it as -2 - kind. mirrors: float32 (H, W),
    how much of a mirror the ground is (written when it is wet).
    """
    level0, level1, level2, level3, level4 = levels
    rough, fine, worn, clouds = textures
    near, far, where = shadows
    lamp_map, beams, lamp_at = lights
    cx, cy, cz = view[0], view[1], view[2]
    r00, r01, r02 = view[3], view[4], view[5]
    r10, r11, r12 = view[6], view[7], view[8]
    r20, r21, r22 = view[9], view[10], view[11]
    focal, px, py = view[12], view[13], view[14]
    x0, y0 = origin[0], origin[1]
    raised = look[LOOK_RAISED] > 0.0
    wet = env[WET] > 0.0
    width = zbuffer.shape[1]
    for row in range(first, last):
        v = (row + 0.5 - py) / focal
        for column in range(width):
            u = (column + 0.5 - px) / focal
            dx = r00 + r01 * u - r02 * v
            dy = r10 + r11 * u - r12 * v
            dz = r20 + r21 * u - r22 * v
            depth = zbuffer[row, column]
            who = owner[row, column]
            kind = -1
            if dz < -1e-5 and cz > 0.0:
                bottom = -cz / dz
                top = (KERB_HEIGHT - cz) / dz if raised and cz > KERB_HEIGHT else bottom
                if top < depth and bottom < FAR:
                    t, kind = meet(cx, cy, cz, dx, dy, dz, raised, index, level0, x0, y0)
                    if t < depth:
                        depth = t
                        who = -1
                    else:
                        kind = -1
            x, y, z = cx + depth * dx, cy + depth * dy, cz + depth * dz
            code = 0
            tag = SKY
            number = 0
            if kind >= 0:
                s, code, paint, tone, gx, gy = probe(x, y, index, level0, x0, y0)
                tag = GROUND_TAGS[code & 15]
                owner[row, column] = -2 - kind
                if kind == 2 or (kind == 0 and raised and code & 15 == SIDEWALK):
                    tag = WALK
                elif kind == 0:
                    if s > 0.0:
                        tag = ROAD_LINE
                    elif raised and tag == TERRAIN_TAG and depth < 90.0:
                        tag = ROAD
                elif kind == 1 and tag == ROAD:
                    tag = WALK
            elif who >= 0:
                tag = tri_codes[who, 1]
                number = tri_codes[who, 2]
            else:
                depth = FAR
            semantic[row, column] = tag
            depths[row, column] = depth
            instances[row, column] = number
            if not want_rgb:
                continue
            norm = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
            if wet:
                mirrors[row, column] = 0.0
            ux, uy, uz = dx * norm, dy * norm, dz * norm
            if kind < 0 and who < 0:
                r, g, b = sky_colour(ux, uy, uz, env, clouds, True)
                hr, hg, hb = haze_colour(ux, uy, env)
                if uz < 0.03:
                    mix = min(1.0, (0.03 - uz) * 20.0)
                    r, g, b = r + (hr - r) * mix, g + (hg - g) * mix, b + (hb - b) * mix
                thin = max(uz, 0.0) * 5.0 / (1.0 + 60.0 * env[FOG])
                fogged = min(1.0, max(0.0, (env[FOG] - 0.001) * 140.0))
                fogged /= 1.0 + thin + 0.6 * thin * thin
                linear[row, column, 0] = (b + (hb - b) * fogged) * env[EXPOSURE]
                linear[row, column, 1] = (g + (hg - g) * fogged) * env[EXPOSURE]
                linear[row, column, 2] = (r + (hr - r) * fogged) * env[EXPOSURE]
                continue
            dark = shadow(x, y, z, env, near, far, where)
            sun = 1.0 - dark * where[6]
            open_sky = 1.0 - dark * where[7]
            lamp = 0.0
            beam = 0.0
            if lamp_at[3] > 0.0:
                lamp = window(lamp_map, x, y, lamp_at[0], lamp_at[1], lamp_at[2], 0.0)
                lamp *= lamp_at[3] * max(0.15, 1.0 - 0.11 * z)
            if lamp_at[7] > 0.0:
                beam = window(beams, x, y, lamp_at[4], lamp_at[5], lamp_at[6], 0.0)
                beam *= max(0.0, 1.0 - 0.45 * z)
            if kind >= 0:
                flat = math.sqrt(dx * dx + dy * dy) + 1e-9
                minor = depth / focal
                major = max(minor, minor * flat / -dz)
                white = 0.0
                other = 0.0
                if kind == 0 and major < 0.10:
                    if s > -0.1:
                        white = edge_cover(s, gx, gy, dx / flat, dy / flat, minor, major)
                        if (paint >> 4) & 3:
                            white, other = 0.0, white
                elif kind == 0:
                    white, other, paint, tone = far_cover(
                        x, y, dx / flat, dy / flat, minor, major,
                        level0, level1, level2, level3, level4, index, x0, y0,
                    )  # fmt: skip
                code = (code & 15) | (paint & 240)
                if kind == 0 and raised and code & 15 == 0 and depth < 90.0:
                    code |= 1
                size = math.sqrt(minor * major)
                r, g, b, gloss = surface(
                    x, y, z, kind, code, white, other, tone, size, look, env, rough, fine, worn
                )
                facing = max(env[SUN_DIR + 2], 0.0) * sun
                if kind == 2:
                    facing *= 0.7
                sky = open_sky
                er = env[SUN] * facing + env[AMBIENT] * sky + 1.00 * lamp + 1.00 * beam
                eg = env[SUN + 1] * facing + env[AMBIENT + 1] * sky + 0.72 * lamp + 0.95 * beam
                eb = env[SUN + 2] * facing + env[AMBIENT + 2] * sky + 0.40 * lamp + 0.85 * beam
                r, g, b = r * er, g * eg, b * eb
                # every surface mirrors a little at grazing angles, wet ones a lot
                grazing = 1.0 + uz
                squared = grazing * grazing
                mirror = 0.10 * squared * squared * squared * squared
                if kind != 0:
                    mirror *= 0.2
                if gloss > 0.0:
                    mirror += gloss * (0.03 + 0.97 * squared * squared * grazing)
                if wet:
                    mirrors[row, column] = mirror * math.exp(-depth * env[FOG])
                if mirror > 0.002:
                    sr, sg, sb = sky_colour(ux, uy, -uz, env, clouds, False)
                    r += (sr - r) * mirror
                    g += (sg - g) * mirror
                    b += (sb - b) * mirror
                    half = ux * env[SUN_DIR] + uy * env[SUN_DIR + 1] - uz * env[SUN_DIR + 2]
                    if half > 0.9:
                        glint = (half - 0.9) * 10.0
                        glint = glint**8 * sun * (gloss * 2.0 + 0.05)
                        r += env[SUN] * glint
                        g += env[SUN + 1] * glint
                        b += env[SUN + 2] * glint
            else:
                r, g, b = object_colour(
                    who, x, y, z, ux, uy, uz, sun, lamp, beam, depth / focal,
                    triangles, tri_codes, env, clouds, rough, fine, atlas, lamp_at[8],
                )  # fmt: skip
            distance = depth * math.sqrt(dx * dx + dy * dy + dz * dz)
            haze = 1.0 - math.exp(-distance * env[FOG])
            hr, hg, hb = haze_colour(ux, uy, env)
            r, g, b = r + (hr - r) * haze, g + (hg - g) * haze, b + (hb - b) * haze
            linear[row, column, 0] = b * env[EXPOSURE]
            linear[row, column, 1] = g * env[EXPOSURE]
            linear[row, column, 2] = r * env[EXPOSURE]


@kernel
def mirror_rows(first, last, view, depths, owner, env, clouds, mirrors, linear):
    """Reflections of things in wet ground: walks the mirrored ray over the depth picture.

    Only ground pixels are changed and only things are read, so rows can be done in any order.
    """
    rows, cols = depths.shape
    focal, px, py = view[12], view[13], view[14]
    for row in range(first, last):
        v = (row + 0.5 - py) / focal
        for column in range(cols):
            mirror = mirrors[row, column]
            if mirror < 0.02 or owner[row, column] > -2:
                continue
            u = (column + 0.5 - px) / focal
            depth = depths[row, column]
            # the ray in camera axes (forward, right, up), turned over about the ground plane
            wx = view[3] + view[4] * u - view[5] * v
            wy = view[6] + view[7] * u - view[8] * v
            wz = -(view[9] + view[10] * u - view[11] * v)
            forward = wx * view[3] + wy * view[6] + wz * view[9]
            right = wx * view[4] + wy * view[7] + wz * view[10]
            up = wx * view[5] + wy * view[8] + wz * view[11]
            t = 0.12 * depth
            low = 0.0
            high = -1.0  # a hit was found there
            hit_r, hit_c = 0, 0
            for _ in range(26):
                f = depth + t * forward
                x = px + focal * (depth * u + t * right) / f
                y = py - focal * (-depth * v + t * up) / f
                if f < 0.2 or x < 0.0 or y < 0.0 or x >= cols or y >= rows:
                    break
                r, c = int(y), int(x)
                there = depths[r, c]
                if owner[r, c] >= 0 and there < f and f - there < 0.35 * t + 0.6:
                    high, hit_r, hit_c = t, r, c
                else:
                    low = t
                if high < 0.0:
                    t *= 1.3
                elif high - low < 0.02 * high:
                    break
                else:  # between the last miss and the hit: find the place itself
                    t = 0.5 * (low + high)
            if high < 0.0:
                continue
            norm = 1.0 / math.sqrt(wx * wx + wy * wy + wz * wz)
            sr, sg, sb = sky_colour(wx * norm, wy * norm, wz * norm, env, clouds, False)
            keep = mirror * env[EXPOSURE]
            linear[row, column, 0] += mirror * linear[hit_r, hit_c, 0] - keep * sb
            linear[row, column, 1] += mirror * linear[hit_r, hit_c, 1] - keep * sg
            linear[row, column, 2] += mirror * linear[hit_r, hit_c, 2] - keep * sr


@kernel
def develop(first, last, linear, owner, curve, top, out):
    """Display values uint8 (H, W, 3) BGR of linear radiance through a tone curve.

    Pixels at the edges of things are blended with their neighbours across the edge: the truth
    decides at pixel centres, a lens sees a mixture there.
    """
    scale = (len(curve) - 1) / math.sqrt(top)
    limit = len(curve) - 1
    rows, cols = owner.shape
    for r in range(first, last):
        for c in range(cols):
            here = owner[r, c]
            left = c > 0 and owner[r, c - 1] != here
            right = c + 1 < cols and owner[r, c + 1] != here
            up = r > 0 and owner[r - 1, c] != here
            down = r + 1 < rows and owner[r + 1, c] != here
            edge = left or right or up or down
            for k in range(3):
                value = max(linear[r, c, k], 0.0)
                if edge:
                    # blend what is seen, not radiance: a lamp must not eat its surroundings
                    value = min(value, 1.5) * 3.0
                    weight = 3.0
                    if left:
                        value += min(linear[r, c - 1, k], 1.5)
                        weight += 1.0
                    if right:
                        value += min(linear[r, c + 1, k], 1.5)
                        weight += 1.0
                    if up:
                        value += min(linear[r - 1, c, k], 1.5)
                        weight += 1.0
                    if down:
                        value += min(linear[r + 1, c, k], 1.5)
                        weight += 1.0
                    value = max(value, 0.0) / weight
                out[r, c, k] = curve[min(limit, int(math.sqrt(value) * scale + 0.5))]
