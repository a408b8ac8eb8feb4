"""Where the lines of a road meet in the picture: a vote first, then least squares.

The vote takes no starting point. Every stripe is a ridge over the picture's plane, the narrower
the better it is known there; the place where the ridges of many frames add up is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from seg_node.lane_lines.line import Double
from seg_node.lane_lines.stripes import Stripes

_DOWN = -np.tan(np.radians(np.arange(-6.0, 14.01, 0.5)))
_ACROSS = np.tan(np.radians(np.arange(-8.0, 8.01, 0.5)))
"""Rows and columns (normalised) that are voted on: nose down by -6 to 14 degrees."""
_WIDE = math.tan(math.radians(0.7))
"""Half width of a stripe's ridge, for what a vehicle pitches and lines wander."""
_ENOUGH_ROWS = 60.0
_KNOWN = math.tan(math.radians(0.5))
"""A meeting point that is less certain than this along either axis is none."""


def vote(frames: Sequence[Stripes]) -> Double | None:
    """float64 (2,), across and down, where the stripes of all frames meet; None: undetermined."""
    frames = [f for f in frames if len(f)]
    if not frames:
        return None
    every = Stripes.joined(frames)
    share = np.minimum(every.rows, _ENOUGH_ROWS) / _ENOUGH_ROWS
    score = np.zeros((len(_DOWN), len(_ACROSS)))
    for index, down in enumerate(_DOWN):
        variance = _WIDE**2 + every.variance(down)
        away = np.square(_ACROSS[:, None] - every.at(down)) / variance
        score[index] = np.exp(-0.5 * away) @ (share * _WIDE / np.sqrt(variance))
    best = np.unravel_index(int(np.argmax(score)), score.shape)
    return meet(every, np.array([_ACROSS[best[1]], _DOWN[best[0]]]))


def meet(stripes: Stripes, around: Double, rounds: int = 4) -> Double | None:
    """float64 (2,): the point near `around` that is closest to the stripes; None: undetermined.

    Stripes that pass `around` by are left out; one direction alone determines nothing.
    """
    point, normal = around, np.eye(2)
    for _ in range(rounds):
        variance = stripes.variance(point[1]) + (0.1 * _WIDE) ** 2
        away = np.square(point[0] - stripes.at(point[1]))
        weights = 1.0 / variance / (1.0 + away / (0.1 * _WIDE**2 + variance))
        weights = np.where(away <= 9.0 * (_WIDE**2 + variance), weights, 0.0)
        rows = np.stack([np.ones(len(stripes)), -stripes.slant], axis=1)
        normal = (rows * weights[:, None]).T @ rows
        if np.linalg.det(normal) < 1e-9 * max(normal[0, 0] * normal[1, 1], 1e-12):
            return None
        point = np.asarray(np.linalg.solve(normal, rows.T @ (weights * stripes.base)))
        if np.abs(point - around).max() > 4.0 * _WIDE:
            return None
    certain = np.sqrt(np.diag(np.linalg.inv(normal))).max() <= _KNOWN
    return point if certain else None
