"""Compiled loops that write markings into ground tiles and build their mip levels."""

from __future__ import annotations

import math

import numpy as np

from seg_node_sim.render.jit import kernel
from seg_node_sim.render.materials import LEVELS, PAINT_SCALE, TEXEL, TILE

REACH = 0.16  # metres: beyond this the distance is clipped


@kernel
def _put(tiles: np.ndarray, tile: int, r: int, c: int, distance: float, code: int) -> None:
    value = min(255, max(1, int(128.5 + distance * PAINT_SCALE)))
    if value > tiles[tile, r, c, 0]:
        tiles[tile, r, c, 0] = value
        tiles[tile, r, c, 2] = (tiles[tile, r, c, 2] & 15) | code


@kernel
def _tiles_over(low: float, high: float, origin: float, count: int) -> tuple[int, int]:
    """First tile from low to high, metres, and the one behind the last, of `count` from origin."""
    size = TEXEL * TILE
    first = math.floor((low - origin) / size - 0.02)
    return max(0, first), min(count, int((high - origin) // size) + 1)


@kernel
def _texels_over(low: float, high: float, origin: float) -> tuple[int, int]:
    """The same for the texels of the tile that begins at `origin`, its apron included."""
    first = max(0, int((low - origin) / TEXEL))
    return first, min(TILE, int((high - origin) / TEXEL) + 1) + 1


@kernel
def splat_stripe(
    tiles: np.ndarray,
    index: np.ndarray,
    x0: float,
    y0: float,
    points: np.ndarray,
    half: float,
    ends: np.ndarray,
    colour: int,
    worn: int,
) -> None:
    """Maximum of the distance inside a stripe along `points` (N, 2), `half` metres to each side.

    ends: bool (2,), whether the stripe's first and last point are ends (or go on elsewhere).
    """
    size = TEXEL * TILE
    code = (colour << 4) | (worn << 6)
    for k in range(len(points) - 1):
        ax, ay = points[k, 0], points[k, 1]
        bx, by = points[k + 1, 0], points[k + 1, 1]
        length = math.hypot(bx - ax, by - ay)
        if length < 1e-6:
            continue
        ux, uy = (bx - ax) / length, (by - ay) / length
        first = k == 0 and ends[0]
        last = k == len(points) - 2 and ends[1]
        grow = half + REACH
        lx, hx = min(ax, bx) - grow, max(ax, bx) + grow
        ly, hy = min(ay, by) - grow, max(ay, by) + grow
        for tr in range(*_tiles_over(ly, hy, y0, index.shape[0])):
            for tc in range(*_tiles_over(lx, hx, x0, index.shape[1])):
                tile = index[tr, tc]
                if tile < 0:
                    continue
                ox, oy = x0 + tc * size, y0 + tr * size
                for r in range(*_texels_over(ly, hy, oy)):
                    py = oy + (r + 0.5) * TEXEL - ay
                    for c in range(*_texels_over(lx, hx, ox)):
                        px = ox + (c + 0.5) * TEXEL - ax
                        u = px * ux + py * uy
                        v = abs(py * ux - px * uy)
                        # a little beyond a joint, so that no wedge stays open on the outside
                        if (not first and u < -0.1) or (not last and u > length + 0.1):
                            continue
                        distance = half - v
                        if first:
                            distance = min(distance, u)
                        if last:
                            distance = min(distance, length - u)
                        if distance > -REACH:
                            _put(tiles, tile, r, c, distance, code)


@kernel
def splat_area(
    tiles: np.ndarray,
    index: np.ndarray,
    x0: float,
    y0: float,
    points: np.ndarray,
    colour: int,
    worn: int,
) -> None:
    """The same for a simple polygon `points` (N, 2)."""
    size = TEXEL * TILE
    code = (colour << 4) | (worn << 6)
    n = len(points)
    lx, hx, ly, hy = 1e9, -1e9, 1e9, -1e9
    for k in range(n):
        lx, hx = min(lx, points[k, 0] - REACH), max(hx, points[k, 0] + REACH)
        ly, hy = min(ly, points[k, 1] - REACH), max(hy, points[k, 1] + REACH)
    for tr in range(*_tiles_over(ly, hy, y0, index.shape[0])):
        for tc in range(*_tiles_over(lx, hx, x0, index.shape[1])):
            tile = index[tr, tc]
            if tile < 0:
                continue
            ox, oy = x0 + tc * size, y0 + tr * size
            for r in range(*_texels_over(ly, hy, oy)):
                y = oy + (r + 0.5) * TEXEL
                for c in range(*_texels_over(lx, hx, ox)):
                    x = ox + (c + 0.5) * TEXEL
                    inside = False
                    nearest = 1e9
                    for k in range(n):
                        ax, ay = points[k, 0], points[k, 1]
                        bx, by = points[(k + 1) % n, 0], points[(k + 1) % n, 1]
                        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
                            inside = not inside
                        ex, ey = bx - ax, by - ay
                        t = ((x - ax) * ex + (y - ay) * ey) / max(ex * ex + ey * ey, 1e-12)
                        t = min(1.0, max(0.0, t))
                        d = math.hypot(x - ax - t * ex, y - ay - t * ey)
                        nearest = min(nearest, d)
                    distance = nearest if inside else -nearest
                    if distance > -REACH:
                        _put(tiles, tile, r, c, distance, code)


@kernel
def _first_level(tiles: np.ndarray, out: np.ndarray) -> None:
    n = TILE // 2
    for t in range(len(tiles)):
        for r in range(n):
            for c in range(n):
                white = 0.0
                other = 0.0
                tone = 0
                for k in range(4):
                    y, x = 2 * r + (k >> 1), 2 * c + (k & 1)
                    tone += tiles[t, y, x, 3]
                    if tiles[t, y, x, 0] == 0:
                        continue
                    cover = 0.5 + (tiles[t, y, x, 0] - 128.0) / (PAINT_SCALE * TEXEL)
                    cover = min(1.0, max(0.0, cover))
                    if (tiles[t, y, x, 2] >> 4) & 3 == 0:
                        white += cover
                    else:
                        other += cover
                out[t, r, c, 0] = int(white * 63.75 + 0.5)
                out[t, r, c, 1] = int(other * 63.75 + 0.5)
                out[t, r, c, 2] = tiles[t, 2 * r, 2 * c, 2]
                out[t, r, c, 3] = tone // 4


@kernel
def _next_level(fine: np.ndarray, out: np.ndarray, n: int) -> None:
    for t in range(len(fine)):
        for r in range(n):
            for c in range(n):
                for k in (0, 1, 3):
                    total = (
                        int(fine[t, 2 * r, 2 * c, k])
                        + fine[t, 2 * r, 2 * c + 1, k]
                        + fine[t, 2 * r + 1, 2 * c, k]
                        + fine[t, 2 * r + 1, 2 * c + 1, k]
                    )
                    out[t, r, c, k] = (total + 2) >> 2
                out[t, r, c, 2] = fine[t, 2 * r, 2 * c, 2]


@kernel
def _aprons(level: np.ndarray, index: np.ndarray, n: int) -> None:
    """Copies the neighbours' first row and column beside each tile's last ones."""
    rows, cols = index.shape
    for r in range(rows):
        for c in range(cols):
            t = index[r, c]
            if t < 0:
                continue
            right = index[r, c + 1] if c + 1 < cols else -1
            below = index[r + 1, c] if r + 1 < rows else -1
            corner = index[r + 1, c + 1] if r + 1 < rows and c + 1 < cols else -1
            for k in range(n):
                for b in range(4):
                    level[t, k, n, b] = (
                        level[right, k, 0, b] if right >= 0 else level[t, k, n - 1, b]
                    )
                    level[t, n, k, b] = (
                        level[below, 0, k, b] if below >= 0 else level[t, n - 1, k, b]
                    )
            for b in range(4):
                level[t, n, n, b] = (
                    level[corner, 0, 0, b] if corner >= 0 else level[t, n - 1, n - 1, b]
                )


def build_mips(tiles: np.ndarray, index: np.ndarray) -> list[np.ndarray]:
    """Level 0 and the coverage levels made of it."""
    levels = [tiles]
    for level in range(1, LEVELS):
        n = TILE >> level
        out = np.zeros((len(tiles), n + 1, n + 1, 4), np.uint8)
        if level == 1:
            _first_level(tiles, out)
        else:
            _next_level(levels[-1], out, n)
        _aprons(out, index, n)
        levels.append(out)
    return levels
