"""Polylines of the markings, traced through the voxels of a lane map.

Neighbouring voxels form a graph. In each connected part the longest shortest path is one line;
what lies within a stripe's width of it is used up, and the rest is traced again. Each line is then
drawn to the middle of its voxels and thinned (Douglas and Peucker, 1973).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

Double = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TraceOptions:
    """All lengths in metres.

    link: voxels up to this far apart belong together. min_length: shorter lines are noise.
    reach: half the width of what one line uses up. smooth: half the window of the middle line.
    tolerance: of the thinning.
    """

    link: float = 0.18
    min_length: float = 0.6
    reach: float = 0.25
    smooth: float = 0.4
    tolerance: float = 0.03


@dataclass(frozen=True)
class Polyline:
    """One marking: `points` float64 (N, 3) metres in the map's frame, N >= 2; its class id."""

    points: Double
    class_id: int

    @property
    def length_m(self) -> float:
        """Length in metres, seen from above."""
        steps = np.diff(self.points[:, :2], axis=0)
        return float(np.linalg.norm(steps, axis=1).sum())


def trace(points: npt.NDArray[np.void], options: TraceOptions | None = None) -> list[Polyline]:
    """Polylines of map points (N,) of dtype `MAP_POINT`, longest first."""
    options = options or TraceOptions()
    if len(points) < 2:
        return []
    xyz = np.stack([points['x'], points['y'], points['z']], axis=1).astype(np.float64)
    graph = _graph(xyz, options.link)
    _, labels = connected_components(graph, directed=False)
    order = np.argsort(labels, kind='stable')
    cuts = np.flatnonzero(np.diff(labels[order])) + 1
    lines: list[Polyline] = []
    for members in np.split(order, cuts):
        if _extent(xyz[members]) < options.min_length:
            continue
        for line in _lines(xyz[members], graph[members][:, members], options):
            near = cKDTree(xyz[members][:, :2]).query(line[:, :2])[1]
            classes = points['class'][members][near]
            lines.append(Polyline(line, int(np.bincount(classes).argmax())))
    return sorted(lines, key=lambda line: -line.length_m)


def _graph(xyz: Double, link: float) -> csr_matrix:
    pairs = cKDTree(xyz).query_pairs(link, output_type='ndarray')
    a, b = pairs[:, 0], pairs[:, 1]
    # Squared steps prefer many short hops: the path stays inside the paint in bends.
    weights = np.maximum(np.sum((xyz[a] - xyz[b]) ** 2, axis=1), 1e-9)
    n = len(xyz)
    return coo_matrix((weights, (a, b)), shape=(n, n)).tocsr()


def _extent(xyz: Double) -> float:
    return float(np.linalg.norm(np.ptp(xyz[:, :2], axis=0)))


def _lines(xyz: Double, graph: csr_matrix, options: TraceOptions) -> list[Double]:
    """Lines (N, 3) of one connected part."""
    tree = cKDTree(xyz[:, :2])
    left = np.ones(len(xyz), np.bool_)
    lines: list[Double] = []
    while left.any():
        members = np.flatnonzero(left)
        part = graph[members][:, members]
        count, labels = connected_components(part, directed=False)
        sizes = np.bincount(labels, minlength=count)
        biggest = np.flatnonzero(labels == int(sizes.argmax()))
        path = members[biggest[_longest_path(part[biggest][:, biggest])]]
        used = tree.query_ball_point(xyz[path][:, :2], options.reach)
        before = int(np.count_nonzero(left))
        left[path] = False
        left[np.unique(np.concatenate([np.asarray(u, np.intp) for u in used]))] = False
        line = _middle(xyz, tree, path, options)
        if line is not None:
            lines.append(line)
        if sizes.max() < 4 or int(np.count_nonzero(left)) == before:
            break
    return lines


def _longest_path(graph: csr_matrix) -> npt.NDArray[np.intp]:
    """Node numbers along the longest shortest path, found by sweeping twice."""
    if graph.shape[0] == 1:
        return np.zeros(1, np.intp)
    start = int(np.argmax(dijkstra(graph, directed=False, indices=0)))
    away, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    node = int(np.argmax(away))
    path = [node]
    while node != start:
        node = int(before[node])
        path.append(node)
    return np.asarray(path, np.intp)


def _middle(
    xyz: Double, tree: cKDTree, path: npt.NDArray[np.intp], options: TraceOptions
) -> Double | None:
    """The path drawn to the middle of the paint around it, thinned; None when it is too short.

    Each node moves only across the line, by the mean offset of the voxels beside it, so that the
    ends stay where they are.
    """
    line = xyz[path]
    along = np.concatenate(
        [[0.0], np.cumsum(np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1))]
    )
    if along[-1] < options.min_length:
        return None
    low = np.searchsorted(along, along - options.smooth)
    high = np.searchsorted(along, along + options.smooth, side='right') - 1
    heading = line[high, :2] - line[low, :2]
    heading /= np.maximum(np.linalg.norm(heading, axis=1, keepdims=True), 1e-9)
    normal = np.stack([-heading[:, 1], heading[:, 0]], axis=1)
    shift = np.zeros(len(line))
    for i, near in enumerate(tree.query_ball_point(line[:, :2], options.reach)):
        shift[i] = ((xyz[near, :2] - line[i, :2]) @ normal[i]).mean()
    moved = line.copy()
    moved[:, :2] += shift[:, None] * normal
    smoothed = _smooth(moved, low, high)
    flat = np.ascontiguousarray(smoothed[:, :2] - smoothed[0, :2], np.float32)[:, None]
    thin = cv2.approxPolyDP(flat, options.tolerance, False)[:, 0]
    if len(thin) < 2:
        return None
    stay = cKDTree(flat[:, 0]).query(thin)[1]
    kept: Double = smoothed[np.unique(stay)]
    return kept if len(kept) >= 2 else None


def _smooth(line: Double, low: npt.NDArray[np.intp], high: npt.NDArray[np.intp]) -> Double:
    """Mean over a window that shrinks towards the ends, so that they are not drawn in."""
    at = np.arange(len(line))
    half = np.minimum(at - low, high - at)
    sums = np.vstack([np.zeros((1, line.shape[1])), np.cumsum(line, axis=0)])
    smoothed: Double = (sums[at + half + 1] - sums[at - half]) / (2 * half + 1)[:, None]
    return smoothed
