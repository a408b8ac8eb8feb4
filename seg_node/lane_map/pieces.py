"""Connected pieces of a lane map, seen from above: what is too short to be a marking is noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Double = npt.NDArray[np.float64]

_HALF = 1 << 30


def pieces(xy: Double, cell_m: float = 0.1) -> npt.NDArray[np.intp]:
    """intp (N,): number of the piece of each point (N, 2).

    Points belong together when their cells of `cell_m` metres are the same or touch.
    """
    if not len(xy):
        return np.empty(0, np.intp)
    index = np.floor(xy / cell_m).astype(np.int64) + _HALF
    cells, inverse = np.unique((index[:, 0] << 32) | index[:, 1], return_inverse=True)
    edges = []
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
        neighbours = cells + (dx << 32) + dy
        at = np.minimum(np.searchsorted(cells, neighbours), len(cells) - 1)
        there = np.flatnonzero(cells[at] == neighbours)
        edges.append(np.stack([there, at[there]]))
    a, b = np.concatenate(edges, axis=1)
    graph = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(len(cells), len(cells)))
    labels = connected_components(graph, directed=False)[1]
    numbers: npt.NDArray[np.intp] = np.asarray(labels, np.intp)[inverse.reshape(-1)]
    return numbers


def piece_lengths(xy: Double, labels: npt.NDArray[np.intp]) -> Double:
    """float64 (N,): for each point the diagonal of its piece's box, metres."""
    count = int(labels.max(initial=-1)) + 1
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    for axis in (0, 1):
        np.minimum.at(low[:, axis], labels, xy[:, axis])
        np.maximum.at(high[:, axis], labels, xy[:, axis])
    lengths: Double = np.linalg.norm(high - low, axis=1)[labels]
    return lengths
