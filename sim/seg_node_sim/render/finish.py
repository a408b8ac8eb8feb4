"""From light to the picture (compiled): reflections in wet ground, then the tone curve."""

from __future__ import annotations

import math

import numpy as np

from seg_node_sim.render.atmosphere import EXPOSURE
from seg_node_sim.render.inputs import Buffers, View
from seg_node_sim.render.jit import kernel
from seg_node_sim.render.sky import sky_colour


@kernel
def mirror_rows(
    first: int, last: int, view: View, frame: Buffers, env: np.ndarray, clouds: np.ndarray
) -> None:
    """Reflections of things in wet ground: walks the mirrored ray over the depth picture.

    Only ground pixels are changed and only things are read, so rows can be done in any order.
    """
    depths, owner, mirrors, linear = frame.depth, frame.owner, frame.mirrors, frame.linear
    rows, cols = depths.shape
    focal, px, py = view.focal, view.cx, view.cy
    for row in range(first, last):
        v = (row + 0.5 - py) / focal
        for column in range(cols):
            mirror = mirrors[row, column]
            if mirror < 0.02 or owner[row, column] > -2:
                continue
            u = (column + 0.5 - px) / focal
            depth = depths[row, column]
            # the ray in camera axes (forward, right, up), turned over about the ground plane
            wx = view.forward_x + view.right_x * u - view.up_x * v
            wy = view.forward_y + view.right_y * u - view.up_y * v
            wz = -(view.forward_z + view.right_z * u - view.up_z * v)
            forward = wx * view.forward_x + wy * view.forward_y + wz * view.forward_z
            right = wx * view.right_x + wy * view.right_y + wz * view.right_z
            up = wx * view.up_x + wy * view.up_y + wz * view.up_z
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
def develop(
    first: int,
    last: int,
    linear: np.ndarray,
    owner: np.ndarray,
    curve: np.ndarray,
    top: float,
    out: np.ndarray,
) -> None:
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
