"""A map of lane markings from points, poses and masks; see docs/lane-map.md for the method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg_node.camera.camera_info import NO_DISTORTION, Distortion, check_calibrated
from seg_node.camera.depth import Depth
from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.points import POINT
from seg_node.camera.rays import project
from seg_node.errors import ConfigError, InputError
from seg_node.lane_map.pieces import piece_lengths, pieces
from seg_node.lane_map.store import BlockStore
from seg_node.lane_map.voxels import VoxelGrid, Voxels

Array = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]

MAP_POINT = np.dtype(
    [('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('class', 'u1'), ('hits', '<f4'), ('misses', '<f4')]
)
"""One voxel of the map: mean position in metres in the map's frame, class id, evidence."""


@dataclass(frozen=True)
class MapOptions:
    """How evidence becomes a map.

    full_weight_range_m: a pixel nearer than this counts 1; beyond it (range / this)^-2, as the
        error of a pixel's place on the road grows with the square of its range.
    max_range_m: nothing further away counts.
    background_weight: what a pixel counts against a marking when it shows neither road nor
        marking (it may be a kerb that was mistaken, or a car that hides the marking).
    min_hits, min_ratio: a voxel is on the map with at least these hits, and this share of hits in
        all evidence.
    min_length_m: shorter connected pieces are left out: a dash of a lane line is longer, what a
        shadow or a kerb makes the network see mostly is not.
    max_voxels: the bound of memory, about 75 bytes each.
    overflow: folder of the temporary file that takes what does not fit, 45 bytes a voxel; None:
        the weakest voxels are forgotten.
    """

    grid: VoxelGrid = field(default_factory=VoxelGrid)
    full_weight_range_m: float = 6.0
    max_range_m: float = 15.0
    background_weight: float = 0.5
    min_hits: float = 1.5
    min_ratio: float = 0.6
    min_length_m: float = 1.5
    max_voxels: int = 1_000_000
    overflow: Path | None = None

    def __post_init__(self) -> None:
        problems = [
            f'{name}: expected {low:g} to {high:g}, got {value:g}'
            for name, value, low, high in (
                ('full_weight_range_m', self.full_weight_range_m, 0.5, 1000.0),
                ('max_range_m', self.max_range_m, 1.0, 1000.0),
                ('background_weight', self.background_weight, 0.0, 1.0),
                ('min_hits', self.min_hits, 0.0, Voxels.MAX_EVIDENCE),
                ('min_ratio', self.min_ratio, 0.0, 1.0),
                ('min_length_m', self.min_length_m, 0.0, 100.0),
            )
            if not low <= value <= high
        ]
        if problems:
            raise ConfigError('lane map: ' + '; '.join(problems))


@dataclass(frozen=True)
class Evidence:
    """What one frame saw: the evidence against markings that are not there.

    mask: uint8 (H, W), class ids. intrinsics, distortion: of a picture of the mask's size. lane,
    road: ids of the marking and road classes.
    depth: of the same frame where there is one; it tells a hidden marking from a missing one.
    """

    mask: Array
    intrinsics: Intrinsics
    lane: Sequence[int]
    road: Sequence[int]
    depth: Depth | None = None
    distortion: Distortion = NO_DISTORTION


class LaneMap:
    """Accumulates lane markings as voxels in the frame of the poses. Not thread-safe."""

    def __init__(self, options: MapOptions | None = None) -> None:
        self.options = options or MapOptions()
        folder = self.options.overflow
        store = None if folder is None else BlockStore(folder)
        self._voxels = Voxels(self.options.grid, self.options.max_voxels, store)
        self.frames = 0

    def __len__(self) -> int:
        """Voxels, in memory and on disk."""
        return len(self._voxels) + self._voxels.stored

    @property
    def stored(self) -> int:
        """Voxels that are on disk."""
        return self._voxels.stored

    @property
    def forgotten(self) -> int:
        """Voxels that found no place in memory or on disk."""
        return self._voxels.forgotten

    @property
    def problem(self) -> str:
        """Why the disk is not used any more, or ''."""
        return self._voxels.problem

    @property
    def nbytes(self) -> int:
        """Memory of the voxels in bytes."""
        return self._voxels.nbytes

    def reset(self) -> None:
        """Forget everything."""
        self._voxels.clear()
        self.frames = 0

    def update(
        self, points: npt.NDArray[np.void], pose: Double, view: Evidence | None = None
    ) -> None:
        """Add one frame.

        points: (N,) of dtype `POINT` in the camera's optical frame. pose: float64 (4, 4), rigid,
        optical frame -> map frame. view: where it is given, every known voxel in it gains or loses
        by the class of the pixel it projects to; without it points only ever add. Raises
        `InputError` for a pose or points that are not finite, and `FrameError` for intrinsics of
        zeros.
        """
        pose = np.asarray(pose, np.float64)
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise InputError(f'pose: expected a finite 4x4 matrix, got {pose.tolist()}')
        if view is not None:
            check_calibrated(view.intrinsics)
        self.frames += 1
        self._voxels.come_near(pose[:3, 3], 2.0 * self.options.max_range_m)
        local = np.stack([points['x'], points['y'], points['z']], axis=1).astype(np.float64)
        near = (points['z'] <= self.options.max_range_m) & np.isfinite(local).all(axis=1)
        points, local = points[near], local[near]
        rows = np.empty(0, np.int32)
        weights = self._weights(points['z'])
        if points.size:
            world = local @ pose[:3, :3].T + pose[:3, 3]
            rows = self._voxels.add(world, weights, points['class'], self.frames)
        if view is None:
            if rows.size:
                self._hit(rows, pose)
        else:
            self._weigh(view, pose)

    def points(self, *, confirmed: bool = True, stored: bool = True) -> npt.NDArray[np.void]:
        """The map, (N,) of dtype `MAP_POINT`; with `confirmed=False` every voxel with a hit.

        `stored=False`: only what is in memory, the part of the map around the vehicle. Raises
        `InputError` where what is on disk cannot be read.
        """
        parts = [self._on_map(rows, confirmed) for rows in self._voxels.parts(stored=stored)]
        points = np.concatenate(parts) if parts else np.zeros(0, MAP_POINT)
        if confirmed and self.options.min_length_m > 0.0 and points.size:
            where = np.stack([points[axis] for axis in 'xyz'], axis=1).astype(np.float64)
            lengths = piece_lengths(where, pieces(where[:, :2]))
            points = points[lengths >= self.options.min_length_m]
        return points

    def _on_map(self, rows: npt.NDArray[np.void], confirmed: bool) -> npt.NDArray[np.void]:
        options, hits, misses = self.options, rows['hits'], rows['misses']
        on_map = hits > 0
        if confirmed:
            on_map &= hits >= options.min_hits
            on_map &= hits >= options.min_ratio * (hits + misses)
        rows = rows[on_map]
        points = np.zeros(len(rows), MAP_POINT)
        where = self._voxels.middles(rows)
        points['x'], points['y'], points['z'] = where[:, 0], where[:, 1], where[:, 2]
        for name in ('class', 'hits', 'misses'):
            points[name] = rows[name]
        return points

    def _weights(self, z: Float) -> Float:
        nearness = self.options.full_weight_range_m / np.maximum(z, 1e-3)
        return np.minimum(1.0, nearness * nearness).astype(np.float32)

    def _hit(self, rows: npt.NDArray[np.int32], pose: Double) -> None:
        away = np.linalg.norm(self._voxels.positions(rows) - pose[:3, 3], axis=1)
        weights = self._weights(away.astype(np.float32))
        self._voxels.add_evidence(rows, weights, np.zeros_like(weights))

    def _weigh(self, view: Evidence, pose: Double) -> None:
        """Let every known voxel in view gain or lose by the pixel it projects to."""
        rows = self._voxels.near(pose[:3, 3], pose[:3, 2], self.options.max_range_m)
        if not rows.size:
            return
        local = (self._voxels.positions(rows) - pose[:3, 3]) @ pose[:3, :3]
        z = local[:, 2].astype(np.float32)
        ahead = (z > 0.2) & (z <= self.options.max_range_m)
        rows, local, z = rows[ahead], local[ahead], z[ahead]
        pixels = project(local, view.intrinsics, view.distortion)
        u, v = np.rint(pixels[:, 0]), np.rint(pixels[:, 1])
        height, width = view.mask.shape
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        rows, z = rows[inside], z[inside]
        u, v = u[inside].astype(np.intp), v[inside].astype(np.intp)
        for_it, against = self._evidence_tables(view)
        classes = view.mask[v, u]
        weights = self._weights(z)
        if view.depth is not None:
            ratio = width // view.depth.shape[1]
            seen = view.depth.metres((v // ratio) * view.depth.shape[1] + u // ratio)
            hidden = (seen > 0) & (seen < z - 0.05 * z - 0.2)
            weights[hidden] = 0.0
        hits, misses = weights * for_it[classes], weights * against[classes]
        said = (hits > 0) | (misses > 0)
        self._voxels.add_evidence(rows[said], hits[said], misses[said])

    def _evidence_tables(self, view: Evidence) -> tuple[Float, Float]:
        for_it = np.zeros(256, np.float32)
        against = np.full(256, self.options.background_weight, np.float32)
        against[list(view.road)] = 1.0
        against[list(view.lane)] = 0.0
        against[255] = 0.0  # unlabelled says nothing
        for_it[list(view.lane)] = 1.0
        return for_it, against


def lane_point_array(
    xyz: Float, classes: Array | int = 2, confidence: Array | int = 255
) -> npt.NDArray[np.void]:
    """(N,) of dtype `POINT` from float (N, 3) metres in the optical frame."""
    points = np.zeros(len(xyz), POINT)
    points['x'], points['y'], points['z'] = xyz[:, 0], xyz[:, 1], xyz[:, 2]
    points['class'], points['confidence'] = classes, confidence
    return points
