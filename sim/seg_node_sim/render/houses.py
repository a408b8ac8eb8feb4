"""Houses: boxes with facades whose windows are drawn by the material."""

from __future__ import annotations

import numpy as np

from seg_node_sim.render.mesh import Finish, MeshBuilder
from seg_node_sim.render.object_shade import FACADE, PLAIN, ROOF
from seg_node_sim.render.places import rectangle

WALLS = (
    (0.36, 0.30, 0.24), (0.30, 0.14, 0.09), (0.42, 0.40, 0.36), (0.24, 0.24, 0.26),
    (0.45, 0.36, 0.22), (0.20, 0.26, 0.30), (0.38, 0.22, 0.16), (0.50, 0.48, 0.44),
    (0.16, 0.17, 0.19), (0.33, 0.35, 0.28),
)  # fmt: skip
TILES = ((0.20, 0.07, 0.045), (0.10, 0.09, 0.09), (0.16, 0.12, 0.09), (0.07, 0.08, 0.10))


def house(
    build: MeshBuilder,
    x: float,
    y: float,
    half: tuple[float, float],
    yaw: float,
    rng: np.random.Generator,
) -> float:
    """Adds a house with its middle at (x, y); returns its height in metres."""
    colour = np.array(WALLS[int(rng.integers(len(WALLS)))]) * rng.uniform(0.8, 1.2)
    floor = float(rng.uniform(2.9, 3.6))
    floors = int(rng.choice([1, 2, 2, 3, 4, 5, 7], p=[0.15, 0.2, 0.2, 0.15, 0.15, 0.1, 0.05]))
    height = floor * floors + 0.4
    bay = float(rng.uniform(1.9, 3.4))
    wall = Finish(
        FACADE,
        (float(colour[0]), float(colour[1]), float(colour[2])),
        (floor, bay, float(rng.uniform(0.35, 0.72)), float(rng.integers(1000))),
    )
    corners = rectangle(x, y, half, yaw)
    for a, b in zip(corners, np.roll(corners, -1, axis=0)):
        _wall(build, a, b, 0.0, height, wall, (x, y))
    if floors <= 3 and rng.random() < 0.65:
        return _gable(build, corners, height, wall, rng)
    flat = Finish(ROOF, (0.16, 0.16, 0.16))
    build.polygon([(*c, height) for c in corners], flat, (x, y, 0.0))
    rim = Finish(PLAIN, (0.30, 0.29, 0.28))
    for a, b in zip(corners, np.roll(corners, -1, axis=0)):
        out = (a + b) / 2.0 - np.array([x, y])
        out /= np.linalg.norm(out)
        mid, span = (a + b) / 2.0, float(np.linalg.norm(b - a)) / 2.0
        turn = float(np.arctan2(b[1] - a[1], b[0] - a[0]))
        centre = (*(mid + 0.08 * out), height + 0.1)
        build.box(centre, (span + 0.08, 0.16, 0.22), rim, turn, skip_bottom=False)
    if floors > 3:
        spot = np.array([x, y]) + rng.uniform(-0.3, 0.3, 2) * min(half)
        build.box((*spot, height + 0.9), (1.6, 1.2, 0.9), rim, yaw)
    return height


def _wall(
    build: MeshBuilder,
    a: np.ndarray,
    b: np.ndarray,
    low: float,
    high: float,
    finish: Finish,
    inside: tuple[float, float],
) -> None:
    along = (b - a) / np.linalg.norm(b - a)
    u = np.array([along[0], along[1], 0.0, -float(a @ along)])
    v = np.array([0.0, 0.0, 1.0, -low])
    points = [(*a, low), (*b, low), (*b, high), (*a, high)]
    build.polygon(points, finish, (*inside, 0.5 * (low + high)), (u, v))


def _gable(
    build: MeshBuilder, corners: np.ndarray, height: float, wall: Finish, rng: np.random.Generator
) -> float:
    """A pitched roof with its ridge along the longer side; returns the ridge's height."""
    a, b, c, d = corners
    ridge = height + 0.42 * float(np.linalg.norm(d - a)) * float(rng.uniform(0.7, 1.1))
    tiles = Finish(ROOF, TILES[int(rng.integers(len(TILES)))])
    plain = Finish(PLAIN, wall.colour)
    over = 0.35
    along = (b - a) / np.linalg.norm(b - a) * over
    p, q = (a + d) / 2.0, (b + c) / 2.0
    middle = (*corners.mean(axis=0), height)
    out = (a - d) / np.linalg.norm(a - d) * over
    drop = over * (ridge - height) / (0.5 * float(np.linalg.norm(d - a)))
    top = [(*(p - along), ridge), (*(q + along), ridge)]
    for low, high, way in ((a, b, out), (d, c, -out)):
        edge = [(*(high + way + along), height - drop), (*(low + way - along), height - drop)]
        build.polygon([top[0], top[1], *edge], tiles, middle)
    build.polygon([(*a, height), (*d, height), (*p, ridge)], plain, middle)
    build.polygon([(*b, height), (*c, height), (*q, ridge)], plain, middle)
    return ridge
