"""Triangles to a depth buffer and an owner buffer (compiled).

The owner buffer names the visible triangle of each pixel; everything else about the pixel follows
from its depth, so nothing but depth is interpolated. Pixels are decided at their centres.
"""

from __future__ import annotations

import math

import numpy as np

from seg_node_sim.render.inputs import View
from seg_node_sim.render.jit import kernel
from seg_node_sim.render.object_shade import (
    EXTRA,
    LEAVES,
    NORMAL,
    PLANE_U,
    PLANE_V,
    leaf,
    leaf_level,
)

NEAR = 0.08  # metres
SCREEN = 12  # numbers kept of a projected triangle: three corners, inverse-depth plane


@kernel
def _emit(
    ax: float,
    ay: float,
    az: float,
    bx: float,
    by: float,
    bz: float,
    cx: float,
    cy: float,
    cz: float,
    who: int,
    view: View,
    size: np.ndarray,
    screen: np.ndarray,
    owners: np.ndarray,
    count: int,
) -> int:
    """Projects one triangle in camera space (forward, right, up) and appends it."""
    focal, px, py = view.focal, view.cx, view.cy
    ia, ib, ic = 1.0 / ax, 1.0 / bx, 1.0 / cx
    x0, y0 = px + focal * ay * ia, py - focal * az * ia
    x1, y1 = px + focal * by * ib, py - focal * bz * ib
    x2, y2 = px + focal * cy * ic, py - focal * cz * ic
    low, high = min(x0, min(x1, x2)), max(x0, max(x1, x2))
    top, bottom = min(y0, min(y1, y2)), max(y0, max(y1, y2))
    if high < 0.0 or low > size[1] or bottom < 0.0 or top > size[0]:
        return count
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    if abs(area) < 1e-6 or count >= len(owners):
        return count
    # inverse depth is linear on the screen: plane through the three corners
    gx = ((ib - ia) * (y2 - y0) - (ic - ia) * (y1 - y0)) / area
    gy = ((ic - ia) * (x1 - x0) - (ib - ia) * (x2 - x0)) / area
    out = screen[count]
    if area > 0.0:
        out[0], out[1], out[2], out[3], out[4], out[5] = x0, y0, x1, y1, x2, y2
    else:
        out[0], out[1], out[2], out[3], out[4], out[5] = x0, y0, x2, y2, x1, y1
    out[6], out[7], out[8] = gx, gy, ia - gx * x0 - gy * y0
    owners[count] = who
    return count + 1


@kernel
def project(
    corners: np.ndarray,
    table: np.ndarray,
    codes: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    view: View,
    size: np.ndarray,
    screen: np.ndarray,
    owners: np.ndarray,
    p: np.ndarray,
    cut: np.ndarray,
) -> int:
    """Number of screen triangles of the runs [starts, starts + counts) of `corners` (n, 9).

    p, cut: float64 (3, 3) and (4, 3), to work in. Back faces are dropped (leaves have
    two sides); the near plane cuts.
    """
    count = 0
    px, py, pz = view.x, view.y, view.z
    for run in range(len(starts)):
        for who in range(starts[run], starts[run] + counts[run]):
            tri = corners[who]
            if codes[who, 0] != LEAVES:
                side = (
                    (px - tri[0]) * table[who, NORMAL]
                    + (py - tri[1]) * table[who, NORMAL + 1]
                    + (pz - tri[2]) * table[who, NORMAL + 2]
                )
                if side <= 0.0:
                    continue
            behind = 0
            for k in range(3):
                x, y, z = tri[3 * k] - px, tri[3 * k + 1] - py, tri[3 * k + 2] - pz
                p[k, 0] = x * view.forward_x + y * view.forward_y + z * view.forward_z
                p[k, 1] = x * view.right_x + y * view.right_y + z * view.right_z
                p[k, 2] = x * view.up_x + y * view.up_y + z * view.up_z
                if p[k, 0] < NEAR:
                    behind += 1
            if behind == 3:
                continue
            if behind == 0:
                count = _emit(
                    p[0, 0], p[0, 1], p[0, 2],
                    p[1, 0], p[1, 1], p[1, 2],
                    p[2, 0], p[2, 1], p[2, 2],
                    who, view, size, screen, owners, count,
                )  # fmt: skip
                continue
            n = 0
            for k in range(3):
                j = (k + 1) % 3
                if p[k, 0] >= NEAR:
                    for q in range(3):
                        cut[n, q] = p[k, q]
                    n += 1
                if (p[k, 0] >= NEAR) != (p[j, 0] >= NEAR):
                    t = (NEAR - p[k, 0]) / (p[j, 0] - p[k, 0])
                    for q in range(3):
                        cut[n, q] = p[k, q] + t * (p[j, q] - p[k, q])
                    n += 1
            for k in range(1, n - 1):
                count = _emit(
                    cut[0, 0], cut[0, 1], cut[0, 2],
                    cut[k, 0], cut[k, 1], cut[k, 2],
                    cut[k + 1, 0], cut[k + 1, 1], cut[k + 1, 2],
                    who, view, size, screen, owners, count,
                )  # fmt: skip
    return count


@kernel
def raster(
    first: int,
    last: int,
    screen: np.ndarray,
    owners: np.ndarray,
    count: int,
    view: View,
    table: np.ndarray,
    codes: np.ndarray,
    atlas: np.ndarray,
    zbuffer: np.ndarray,
    owner: np.ndarray,
) -> None:
    """Draws screen triangles into rows first..last of zbuffer (float32, FAR) and owner (int32)."""
    width = zbuffer.shape[1]
    focal = view.focal
    for k in range(count):
        s = screen[k]
        x0, y0, x1, y1, x2, y2 = s[0], s[1], s[2], s[3], s[4], s[5]
        top = max(first, math.ceil(min(y0, min(y1, y2)) - 0.5))
        bottom = min(last - 1, math.floor(max(y0, max(y1, y2)) - 0.5))
        if top > bottom:
            continue
        who = owners[k]
        leafy = codes[who, 0] == LEAVES
        level = 0
        tall = 1.0
        if leafy:
            tall = 1.0 / max(1e-6, abs(table[who, PLANE_V + 2]))
        for row in range(top, bottom + 1):
            y = row + 0.5
            # the row's span inside the three edges
            left, right = -1e9, 1e9
            outside = False
            for e in range(3):
                if e == 0:
                    ax, ay, bx, by = x0, y0, x1, y1
                elif e == 1:
                    ax, ay, bx, by = x1, y1, x2, y2
                else:
                    ax, ay, bx, by = x2, y2, x0, y0
                # inside: (b - a) x (p - a) >= 0
                ex, ey = bx - ax, by - ay
                if abs(ey) < 1e-12:
                    if ex * (y - ay) < 0.0:
                        outside = True
                    continue
                at = ax + ex * (y - ay) / ey
                if ey > 0.0:
                    right = min(right, at)
                else:
                    left = max(left, at)
            if outside or left > right:
                continue
            a = max(0, math.ceil(left - 0.5))
            b = min(width - 1, math.ceil(right - 0.5) - 1)
            inverse = s[6] * (a + 0.5) + s[7] * y + s[8]
            for column in range(a, b + 1):
                if inverse > 1e-9:
                    depth = 1.0 / inverse
                    if depth < zbuffer[row, column]:
                        if not leafy:
                            zbuffer[row, column] = depth
                            owner[row, column] = who
                        else:
                            u = (column + 0.5 - view.cx) / focal
                            v = (y - view.cy) / focal
                            wx = view.x + depth * (
                                view.forward_x + view.right_x * u - view.up_x * v
                            )
                            wy = view.y + depth * (
                                view.forward_y + view.right_y * u - view.up_y * v
                            )
                            wz = view.z + depth * (
                                view.forward_z + view.right_z * u - view.up_z * v
                            )
                            t = table[who]
                            tu = t[PLANE_U] * wx + t[PLANE_U + 1] * wy + t[PLANE_U + 3]
                            tv = t[PLANE_V + 2] * wz + t[PLANE_V + 3]
                            level = leaf_level(atlas, depth / focal, tall)
                            if leaf(atlas, int(t[EXTRA]), tu, tv, level)[3] > 110:
                                zbuffer[row, column] = depth
                                owner[row, column] = who
                inverse += s[6]


@kernel
def place_billboards(
    chosen: np.ndarray,
    boards: np.ndarray,
    view: View,
    corners: np.ndarray,
    table: np.ndarray,
    codes: np.ndarray,
    at: int,
) -> int:
    """Writes two triangles for each chosen board, turned to the camera; returns the next place.

    boards: float32 (n, 12): x, y, z, width, height, picture, tag, instance, tint r, g, b, -.
    """
    for i in chosen:
        b = boards[i]
        dx, dy = b[0] - view.x, b[1] - view.y
        far = math.sqrt(dx * dx + dy * dy) + 1e-6
        rx, ry = -dy / far, dx / far
        half = 0.5 * b[3]
        for k in range(2):
            c = corners[at]
            c[0], c[1], c[2] = b[0] - half * rx, b[1] - half * ry, b[2]
            if k == 0:
                c[3], c[4], c[5] = b[0] + half * rx, b[1] + half * ry, b[2]
                c[6], c[7], c[8] = b[0] + half * rx, b[1] + half * ry, b[2] + b[4]
            else:
                c[3], c[4], c[5] = b[0] + half * rx, b[1] + half * ry, b[2] + b[4]
                c[6], c[7], c[8] = b[0] - half * rx, b[1] - half * ry, b[2] + b[4]
            t = table[at]
            t[NORMAL], t[NORMAL + 1], t[NORMAL + 2] = -dx / far, -dy / far, 0.0
            t[3], t[4], t[5], t[6] = b[8], b[9], b[10], 0.0
            t[PLANE_U], t[PLANE_U + 1], t[PLANE_U + 2] = rx / b[3], ry / b[3], 0.0
            t[PLANE_U + 3] = 0.5 - (b[0] * rx + b[1] * ry) / b[3]
            t[PLANE_V], t[PLANE_V + 1], t[PLANE_V + 2] = 0.0, 0.0, 1.0 / b[4]
            t[PLANE_V + 3] = -b[2] / b[4]
            t[EXTRA] = b[5]
            codes[at, 0], codes[at, 1], codes[at, 2] = LEAVES, int(b[6]), int(b[7])
            at += 1
    return at


@kernel
def place_mesh(
    source: np.ndarray,
    rows: np.ndarray,
    kinds: np.ndarray,
    matrix: np.ndarray,
    colour: np.ndarray,
    lamps: np.ndarray,
    tag: int,
    number: int,
    corners: np.ndarray,
    table: np.ndarray,
    codes: np.ndarray,
    at: int,
) -> int:
    """Copies a mesh to the world; returns the next place.

    lamps: float32 (8,), emission by lamp kind (a triangle's EXTRA + 3 names its kind, 0 none).
    """
    for i in range(len(source)):
        for k in range(3):
            x, y, z = source[i, 3 * k], source[i, 3 * k + 1], source[i, 3 * k + 2]
            for q in range(3):
                corners[at, 3 * k + q] = (
                    matrix[q, 0] * x + matrix[q, 1] * y + matrix[q, 2] * z + matrix[q, 3]
                )
        for c in range(table.shape[1]):
            table[at, c] = rows[i, c]
        nx, ny, nz = rows[i, NORMAL], rows[i, NORMAL + 1], rows[i, NORMAL + 2]
        for q in range(3):
            table[at, NORMAL + q] = matrix[q, 0] * nx + matrix[q, 1] * ny + matrix[q, 2] * nz
        lamp = int(rows[i, EXTRA + 3])
        table[at, 6] = lamps[lamp]
        codes[at, 0] = kinds[i, 0]
        if kinds[i, 1] == 1:  # wears the body's colour
            for q in range(3):
                table[at, 3 + q] = colour[q] * rows[i, 3 + q]
        codes[at, 1], codes[at, 2] = tag, number
        at += 1
    return at
