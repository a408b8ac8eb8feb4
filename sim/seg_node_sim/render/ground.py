"""The ground as sparse texture tiles: exact distances to paint and kerbs, materials, tones.

A texel is four bytes: signed distance to paint, signed distance to raised ground, material and
paint colour, tone. Distances (not coverage) make edges exact far below the size of a texel. Levels
above 0 hold coverage of white, coverage of other paint, material, tone, for what is far away.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from seg_node_sim.maps.markings import Marking, Strip, lane_strips, markings
from seg_node_sim.maps.opendrive import OpenDrive
from seg_node_sim.render import materials as m
from seg_node_sim.render.ground_kernels import build_mips, splat_area, splat_stripe
from seg_node_sim.render.wear import Look, paint_tones

BLOCK = 32  # tiles along the side of the canvas that is drawn at once
MARGIN = 10.0  # metres of terrain around the roads that get tiles of their own
SHIFT = 4  # fractional bits of cv2's polygon coordinates


@dataclass(frozen=True)
class Ground:
    """Tiles of one town.

    origin: metres, the corner of tile (0, 0). index: int32 (rows, cols), tile number or -1.
    levels: LEVELS arrays uint32 (tiles, n + 1, n + 1), n = TILE >> level; row y, column x; a
    texel's first byte is its lowest.
    """

    origin: tuple[float, float]
    index: np.ndarray
    levels: tuple[np.ndarray, ...]
    raised: bool


def build_ground(opendrive: OpenDrive, style: str, look: Look) -> Ground:
    """All tiles of the map's roads and their surroundings."""
    strips = lane_strips(opendrive)
    paint = markings(opendrive)
    fans = junction_fans(opendrive, strips)
    origin, index = _tile_index(strips)
    count = int(index.max()) + 1
    tiles = np.zeros((count, m.TILE + 1, m.TILE + 1, 4), np.uint8)
    raised = style in m.RAISED_STYLES
    rows, cols = index.shape
    for r in range(0, rows, BLOCK):
        for c in range(0, cols, BLOCK):
            part = index[r : r + BLOCK, c : c + BLOCK]
            if (part >= 0).any():
                _fill_block(tiles, part, origin, (r, c), strips, fans, style, raised, look)
    _splat(tiles, index, origin, paint)
    levels = build_mips(tiles, index)
    return Ground(origin, index, tuple(level.view('<u4')[..., 0] for level in levels), raised)


def _tile_index(strips: list[Strip]) -> tuple[tuple[float, float], np.ndarray]:
    size = m.TILE * m.TEXEL
    points = np.vstack([strip.outline() for strip in strips])
    low = np.floor((points.min(axis=0) - MARGIN) / size) * size
    high = points.max(axis=0) + MARGIN
    cols, rows = (np.ceil((high - low) / size).astype(int) + 1).tolist()
    fine = 4
    canvas = np.zeros((rows * fine, cols * fine), np.uint8)
    for strip in strips:
        cv2.fillPoly(canvas, [_pixels(strip.outline(), low, size / fine)], 255, shift=SHIFT)
    reach = int(np.ceil(MARGIN / size * fine)) * 2 + 1
    canvas = cv2.dilate(canvas, np.ones((reach, reach), np.uint8))
    used = canvas.reshape(rows, fine, cols, fine).max(axis=(1, 3)) > 0
    index = np.full((rows, cols), -1, np.int32)
    index[used] = np.arange(int(used.sum()), dtype=np.int32)
    return (float(low[0]), float(low[1])), index


def _pixels(points: np.ndarray, low: np.ndarray, texel: float) -> np.ndarray:
    """cv2's fixed-point coordinates: integer pixel = centre of the texel."""
    pixels: np.ndarray = np.round(((points - low) / texel - 0.5) * (1 << SHIFT)).astype(np.int32)
    return pixels


def junction_fans(opendrive: OpenDrive, strips: list[Strip]) -> list[np.ndarray]:
    """Triangles from each junction's middle to its lanes: they pave what lies between lanes."""
    by_junction: dict[int, list[Strip]] = {}
    for strip in strips:
        paved = m.material_of_lane(strip.kind, '') == m.ASPHALT
        if strip.junction >= 0 and paved:
            by_junction.setdefault(strip.junction, []).append(strip)
    fans = []
    for members in by_junction.values():
        ends = np.vstack([s.left[[0, -1]] for s in members] + [s.right[[0, -1]] for s in members])
        middle = ends.mean(axis=0)
        if np.linalg.norm(ends - middle, axis=1).max() > 60.0:
            continue  # a spread-out junction of a motorway: its lanes are all there is
        for strip in members:
            for side in (strip.left, strip.right):
                fans += [np.vstack([middle, side[i : i + 2]]) for i in range(len(side) - 1)]
    return fans


def _fill_block(
    tiles: np.ndarray,
    part: np.ndarray,
    origin: tuple[float, float],
    corner: tuple[int, int],
    strips: list[Strip],
    fans: list[np.ndarray],
    style: str,
    raised: bool,
    look: Look,
) -> None:
    pad = 32  # texels around the block, so that distances and blurs know their neighbours
    size = m.TILE * m.TEXEL
    low = np.array(
        [
            origin[0] + corner[1] * size - pad * m.TEXEL,
            origin[1] + corner[0] * size - pad * m.TEXEL,
        ]
    )
    rows = part.shape[0] * m.TILE + 2 * pad + 1
    cols = part.shape[1] * m.TILE + 2 * pad + 1
    high = low + np.array([cols, rows]) * m.TEXEL
    base = np.full((rows, cols), m.TERRAIN, np.uint8)
    near = [s for s in strips if _touches(s.outline(), low, high)]
    order = {m.GRAVEL: 0, m.SIDEWALK: 1, m.MEDIAN: 2, m.BAY: 3, m.SHOULDER: 4, m.ASPHALT: 5}
    painted = [(m.material_of_lane(s.kind, style), s) for s in near]
    known = [(material, s) for material, s in painted if material is not None]
    for material, strip in sorted(known, key=lambda item: order[item[0]]):
        outline = _pixels(strip.outline(), low, m.TEXEL)
        cv2.fillPoly(base, [outline], int(material), shift=SHIFT)
    here = [_pixels(f, low, m.TEXEL) for f in fans if _touches(f, low, high)]
    for fan in here:
        cv2.fillConvexPoly(base, fan, int(m.ASPHALT), shift=SHIFT)
    high_ground = np.isin(base, (m.TERRAIN, m.SIDEWALK, m.MEDIAN)) if raised else None
    if high_ground is None:
        rise = np.zeros((rows, cols), np.uint8)
    else:
        inside = cv2.distanceTransform(
            high_ground.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        outside = cv2.distanceTransform(
            (~high_ground).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        both = (inside - outside) - 0.5 * np.sign(inside - outside)
        both = cv2.GaussianBlur(np.clip(both, -40.0, 40.0), (0, 0), 1.5)
        rise = np.clip(128.0 + both * (m.TEXEL * m.RISE_SCALE), 0, 255).astype(np.uint8)
    tone = paint_tones(near, low, (rows, cols), m.TEXEL, look)
    n = m.TILE
    for r, c in np.argwhere(part >= 0):
        window = np.s_[pad + r * n : pad + (r + 1) * n + 1, pad + c * n : pad + (c + 1) * n + 1]
        tile = tiles[part[r, c]]
        tile[..., 1] = rise[window]
        tile[..., 2] = base[window]
        tile[..., 3] = tone[window]


def _touches(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    return bool((points.max(axis=0) >= low).all() and (points.min(axis=0) <= high).all())


def _splat(
    tiles: np.ndarray, index: np.ndarray, origin: tuple[float, float], paint: list[Marking]
) -> None:
    for k, marking in enumerate(paint):
        colour = m.PAINTS.get(marking.colour, 0)
        worn = (k * 2654435761 >> 8) & 3  # how worn this piece is: four classes, fixed per piece
        if marking.width > 0.0:
            ends = np.array([not marking.joined[0], not marking.joined[1]])
            splat_stripe(
                tiles, index, *origin, marking.points, marking.width / 2.0, ends, colour, worn
            )
        else:
            splat_area(tiles, index, *origin, np.ascontiguousarray(marking.points), colour, worn)
