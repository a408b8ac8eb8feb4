"""Building triangle meshes from simple parts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from seg_node_sim.render.object_shade import (
    ALBEDO,
    COLUMNS,
    EMISSION,
    EXTRA,
    NORMAL,
    PLAIN,
    PLANE_U,
    PLANE_V,
)

Colour = tuple[float, float, float]
Point = Sequence[float]


@dataclass(frozen=True)
class Finish:
    """A surface: material of `object_shade`, linear albedo, and the material's own numbers.

    tinted: takes the body's colour. lamp: which lamp of a vehicle it is (see `vehicles`).
    """

    material: int = PLAIN
    colour: Colour = (0.3, 0.3, 0.3)
    extra: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    emission: float = 0.0
    tinted: bool = False


@dataclass(frozen=True)
class Mesh:
    """corners: float32 (n, 9). table: float32 (n, COLUMNS). codes: uint16 (n, 3)."""

    corners: np.ndarray
    table: np.ndarray
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.corners)


@dataclass
class MeshBuilder:
    """Collects polygons; corners go counter-clockwise seen from outside, in a right-handed sense.

    Callers need not care: `polygon` turns each face away from the point given as `inside`.
    """

    corners: list[np.ndarray] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)
    codes: list[tuple[int, int, int]] = field(default_factory=list)
    tag: int = 0
    number: int = 0

    def polygon(
        self,
        points: Sequence[Point] | np.ndarray,
        finish: Finish,
        inside: Point | None = None,
        plane: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """A convex polygon as a fan. plane: its (u, v) texture planes, float (4,) each."""
        p = np.asarray(points, dtype=float)
        normal = np.zeros(3)
        for k in range(1, len(p) - 1):
            normal += np.cross(p[k] - p[0], p[k + 1] - p[0])
        length = np.linalg.norm(normal)
        if length < 1e-9:
            return
        normal /= length
        if inside is not None and np.dot(normal, p.mean(axis=0) - np.asarray(inside)) < 0.0:
            normal = -normal
        row = np.zeros(COLUMNS, np.float32)
        row[NORMAL : NORMAL + 3] = normal
        row[ALBEDO : ALBEDO + 3] = finish.colour
        row[EMISSION] = finish.emission
        row[EXTRA : EXTRA + 4] = finish.extra
        if plane is not None:
            row[PLANE_U : PLANE_U + 4], row[PLANE_V : PLANE_V + 4] = plane
        for k in range(1, len(p) - 1):
            self.corners.append(np.concatenate([p[0], p[k], p[k + 1]]))
            self.rows.append(row)
            second = int(finish.tinted) if self.tag == 0 else self.tag
            self.codes.append((finish.material, second, self.number))

    def box(
        self,
        centre: Point,
        half: Point,
        finish: Finish,
        yaw: float = 0.0,
        skip_bottom: bool = True,
    ) -> None:
        """A box turned by `yaw` radians about the vertical."""
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], float)
        p = np.asarray(centre, float) + (signs * np.asarray(half, float)) @ turn.T
        faces = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (1, 3, 7, 5)]
        if not skip_bottom:
            faces.append((0, 2, 6, 4))
        for face in faces:
            self.polygon(p[list(face)], finish, centre)

    def loft(self, rings: Sequence[np.ndarray], finish: Finish, caps: bool = True) -> None:
        """A skin over rings, float (k, 3) each with equal k."""
        middle = np.mean([ring.mean(axis=0) for ring in rings], axis=0)
        k = len(rings[0])
        for a, b in itertools.pairwise(rings):
            inside = 0.5 * (a.mean(axis=0) + b.mean(axis=0))
            for i in range(k):
                j = (i + 1) % k
                self.polygon([a[i], a[j], b[j], b[i]], finish, inside)
        if caps:
            self.polygon(rings[0], finish, middle)
            self.polygon(rings[-1], finish, middle)

    def cylinder(
        self, base: Point, top: Point, radius: float, finish: Finish, sides: int = 8,
        end_radius: float | None = None, caps: bool = True,
    ) -> None:  # fmt: skip
        """A cylinder (or cone) between two points."""
        a, b = np.asarray(base, float), np.asarray(top, float)
        axis = (b - a) / np.linalg.norm(b - a)
        side = np.cross(axis, [0.0, 0.0, 1.0])
        if np.linalg.norm(side) < 1e-6:
            side = np.array([1.0, 0.0, 0.0])
        side /= np.linalg.norm(side)
        other = np.cross(axis, side)
        angle = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)
        round_ = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * other
        end = radius if end_radius is None else end_radius
        self.loft([a + radius * round_, b + end * round_], finish, caps)

    def mesh(self) -> Mesh:
        """What was collected."""
        n = len(self.corners)
        return Mesh(
            np.asarray(self.corners, np.float32).reshape(n, 9),
            np.asarray(self.rows, np.float32).reshape(n, COLUMNS),
            np.asarray(self.codes, np.uint16).reshape(n, 3),
        )
