"""Street furniture: lamps, signs, rails, traffic lights, posts, bins, hills on the horizon."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from seg_node_sim.maps.curves import evaluate, lane_edges, stations
from seg_node_sim.maps.opendrive import Road
from seg_node_sim.render.mesh import Colour, Finish, MeshBuilder
from seg_node_sim.render.object_shade import METAL, PLAIN, STRIPES

STEEL = Finish(METAL, (0.30, 0.31, 0.32))
DARK = Finish(PLAIN, (0.035, 0.04, 0.042))
GREY = Finish(PLAIN, (0.22, 0.22, 0.22))
WHITE = Finish(PLAIN, (0.72, 0.72, 0.70))
BLUE, GREEN, RED, YELLOW = (
    (0.02, 0.07, 0.36),
    (0.02, 0.18, 0.08),
    (0.5, 0.02, 0.02),
    (0.7, 0.5, 0.02),
)


def lamp(
    build: MeshBuilder, x: float, y: float, out: tuple[float, float], height: float, arm: float
) -> tuple[float, float]:
    """A street lamp whose arm reaches over the road; returns (x, y) under its head."""
    build.cylinder((x, y, 0.0), (x, y, height), 0.09, STEEL, 6, 0.055)
    hx, hy = x - arm * out[0], y - arm * out[1]
    build.cylinder((x, y, height - 0.05), (hx, hy, height + 0.25), 0.045, STEEL, 5)
    yaw = float(np.arctan2(out[1], out[0]))
    build.box((hx, hy, height + 0.25), (0.35, 0.14, 0.06), GREY, yaw)
    light = Finish(PLAIN, (0.95, 0.75, 0.45), (0.0, 0.0, 0.0, 9.0))
    c, s = np.cos(yaw), np.sin(yaw)
    under = [
        (hx + 0.3 * i * c - 0.12 * j * s, hy + 0.3 * i * s + 0.12 * j * c, height + 0.18)
        for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    build.polygon(under, light, (hx, hy, height + 1.0))
    return hx, hy


def _disc(
    build: MeshBuilder, x: float, y: float, z: float, yaw: float, shape: list[tuple[float, float]],
    colour: Colour, lift: float,
) -> None:  # fmt: skip
    """A flat shape (u right, v up, metres) that looks towards `yaw`."""
    c, s = np.cos(yaw), np.sin(yaw)
    points = [(x - u * s + lift * c, y + u * c + lift * s, z + v) for u, v in shape]
    build.polygon(points, Finish(PLAIN, colour), (x - c, y - s, z))


def _round(radius: float, sides: int = 14, start: float = 0.0) -> list[tuple[float, float]]:
    angle = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False) + start
    return [(float(radius * np.cos(t)), float(radius * np.sin(t))) for t in angle]


def _oblong(half_u: float, half_v: float) -> list[tuple[float, float]]:
    return [(-half_u, -half_v), (half_u, -half_v), (half_u, half_v), (-half_u, half_v)]


def sign(
    face: MeshBuilder, pole: MeshBuilder, x: float, y: float, yaw: float, rng: np.random.Generator
) -> None:
    """A small traffic sign on a post; `yaw`: where it looks."""
    pole.cylinder((x, y, 0.0), (x, y, 2.9), 0.035, STEEL, 6)
    kind = int(rng.integers(5))
    z = 2.55
    if kind == 0:
        _disc(face, x, y, z, yaw, _round(0.33), RED, 0.05)
        _disc(face, x, y, z, yaw, _round(0.25), WHITE.colour, 0.055)
        for u in (-0.08, 0.08):
            shape = [(u + a, b) for a, b in _oblong(0.05, 0.11)]
            _disc(face, x, y, z, yaw, shape, (0.02, 0.02, 0.02), 0.06)
    elif kind == 1:
        _disc(face, x, y, z, yaw, _round(0.42, 3, np.pi / 2), RED, 0.05)
        _disc(face, x, y, z, yaw, _round(0.27, 3, np.pi / 2), WHITE.colour, 0.055)
    elif kind == 2:
        _disc(face, x, y, z, yaw, _oblong(0.3, 0.3), BLUE, 0.05)
        _disc(face, x, y, z, yaw, _round(0.2, 3, np.pi / 2), WHITE.colour, 0.055)
    elif kind == 3:
        _disc(face, x, y, z, yaw, _round(0.36, 8, np.pi / 8), RED, 0.05)
        _disc(face, x, y, z, yaw, _oblong(0.24, 0.07), WHITE.colour, 0.055)
    else:
        _disc(face, x, y, z, yaw, _round(0.36, 4, 0.0), YELLOW, 0.05)
        _disc(face, x, y, z, yaw, _round(0.12, 4, 0.0), (0.03, 0.03, 0.03), 0.055)
    _disc(face, x, y, z, yaw + np.pi, _round(0.33, 8), GREY.colour, 0.05)


def board(
    face: MeshBuilder, pole: MeshBuilder, x: float, y: float, yaw: float, rng: np.random.Generator
) -> None:
    """A large direction board on two posts."""
    half, tall = float(rng.uniform(1.2, 2.0)), float(rng.uniform(0.7, 1.1))
    c, s = np.cos(yaw), np.sin(yaw)
    for u in (-0.7 * half, 0.7 * half):
        px, py = x - u * s, y + u * c
        pole.cylinder((px, py, 0.0), (px, py, 2.2 + tall), 0.06, STEEL, 6)
    z = 2.3 + tall
    colour = GREEN if rng.random() < 0.5 else BLUE
    _disc(face, x, y, z, yaw, _oblong(half, tall), WHITE.colour, 0.08)
    _disc(face, x, y, z, yaw, _oblong(half - 0.06, tall - 0.06), colour, 0.085)
    for k in range(3):
        v = 0.5 * tall - 0.5 * tall * k
        word = float(rng.uniform(0.25, 0.6)) * half
        shape = [(u - 0.6 * half + word, w + v) for u, w in _oblong(word, 0.09 * tall + 0.03)]
        _disc(face, x, y, z, yaw, shape, WHITE.colour, 0.09)
    _disc(face, x, y, z, yaw + np.pi, _oblong(half, tall), GREY.colour, 0.02)


def delineator(build: MeshBuilder, x: float, y: float) -> None:
    """A white post with a dark band."""
    build.box((x, y, 0.35), (0.05, 0.05, 0.35), WHITE)
    build.box((x, y, 0.78), (0.05, 0.05, 0.08), DARK)
    build.box((x, y, 0.92), (0.05, 0.05, 0.06), WHITE)


def traffic_light(
    pole: MeshBuilder,
    lights: MeshBuilder,
    x: float,
    y: float,
    yaw: float,
    rng: np.random.Generator,
) -> None:
    """A signal post at the right of a lane that runs along `yaw`; its head looks back."""
    pole.cylinder((x, y, 0.0), (x, y, 3.4), 0.06, DARK, 6)
    back = yaw + np.pi
    lit = int(rng.integers(3))
    lights.box((x, y, 3.1), (0.14, 0.16, 0.48), DARK, yaw)
    colours = ((0.9, 0.03, 0.02), (0.9, 0.5, 0.02), (0.03, 0.75, 0.30))
    for k, colour in enumerate(colours):
        on = 1.0 if k == lit else 0.0
        shade = tuple(float(v) * (1.0 if on else 0.12) for v in colour)
        finish = Finish(PLAIN, (shade[0], shade[1], shade[2]), emission=1.6 * on)
        c, s = np.cos(back), np.sin(back)
        points = [
            (x + 0.15 * c - u * s, y + 0.15 * s + u * c, 3.4 - 0.3 * k + v)
            for u, v in _round(0.1, 10)
        ]
        lights.polygon(points, finish, (x, y, 3.4 - 0.3 * k))


def clutter(build: MeshBuilder, x: float, y: float, yaw: float, rng: np.random.Generator) -> None:
    """A bin, a bench, a hydrant, bollards or a cabinet."""
    kind = int(rng.integers(5))
    if kind == 0:
        build.cylinder((x, y, 0.1), (x, y, 1.0), 0.25, Finish(PLAIN, (0.04, 0.10, 0.05)), 10)
    elif kind == 1:
        wood = Finish(PLAIN, (0.22, 0.12, 0.06))
        build.box((x, y, 0.58), (0.8, 0.22, 0.03), wood, yaw, skip_bottom=False)
        build.box((x, y, 0.35), (0.7, 0.05, 0.2), DARK, yaw)
    elif kind == 2:
        build.cylinder((x, y, 0.1), (x, y, 0.85), 0.13, Finish(PLAIN, (0.5, 0.05, 0.03)), 8)
    elif kind == 3:
        for k in (-1.0, 0.0, 1.0):
            px, py = x + 1.4 * k * np.cos(yaw), y + 1.4 * k * np.sin(yaw)
            build.cylinder((px, py, 0.1), (px, py, 1.0), 0.07, DARK, 8)
    else:
        build.box((x, y, 0.75), (0.5, 0.25, 0.65), Finish(PLAIN, (0.25, 0.27, 0.25)), yaw)


def rail_line(road: Road, side: int, beyond: float) -> Iterator[tuple[float, float]]:
    """Points along a road's outer edge (side +-1) or its middle (0), `beyond` metres outwards."""
    for section in road.sections:
        s = stations(road, section.s, section.end, 4.0)
        line = evaluate(road, s)
        edges = lane_edges(road, section, s)
        t = edges[0]
        if side:
            # A road may have lanes on one side only.
            outermost = max((abs(i) for i in edges if i * side > 0), default=0)
            t = edges[side * outermost] + side * beyond
        for x, y in line.offset(t):
            yield float(x), float(y)


def pieces(line: list[tuple[float, float]], length: float) -> Iterator[np.ndarray]:
    """Cuts a polyline into overlapping pieces of about `length` metres, float (N, 2)."""
    points = np.array(line)
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    count = max(1, int(arc[-1] / length))
    marks = np.linspace(0.0, arc[-1], count + 1)
    for low, high in itertools.pairwise(marks):
        s = np.linspace(low, high, max(2, int((high - low) / 4.0) + 1))
        yield np.stack([np.interp(s, arc, points[:, k]) for k in (0, 1)], axis=1)


def guard_rail(build: MeshBuilder, line: np.ndarray) -> None:
    """A W-beam on posts along `line`, float (N, 2)."""
    profile = [(0.46, 0.0), (0.53, 0.07), (0.60, 0.0), (0.67, 0.07), (0.75, 0.0)]
    for a, b in itertools.pairwise(line):
        way = (b - a) / np.linalg.norm(b - a)
        side = np.array([way[1], -way[0]])
        for hand in (1.0, -1.0):
            for (z0, w0), (z1, w1) in itertools.pairwise(profile):
                p0, p1 = a + hand * side * (w0 + 0.02), b + hand * side * (w0 + 0.02)
                q0, q1 = a + hand * side * (w1 + 0.02), b + hand * side * (w1 + 0.02)
                middle = (*(0.5 * (a + b) - hand * side), 0.6)
                build.polygon([(*p0, z0), (*p1, z0), (*q1, z1), (*q0, z1)], STEEL, middle)
        build.box((*a, 0.33), (0.05, 0.05, 0.33), STEEL, float(np.arctan2(way[1], way[0])))


def hills(build: MeshBuilder, middle: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    """A ring of wooded hills round the town."""
    n = 96
    angle = np.linspace(0.0, 2.0 * np.pi, n + 1)
    for layer, (reach, tall, colour) in enumerate(
        ((1.0, 9.0, (0.045, 0.075, 0.03)), (1.25, 26.0, (0.05, 0.075, 0.045)))
    ):
        wave = np.zeros(n + 1)
        for k in range(2, 24):
            wave += np.cos(k * angle + rng.uniform(0.0, 6.3)) * rng.normal() / k**0.7
        height = tall * (0.65 + 0.35 * wave / max(1e-6, np.abs(wave).max()))
        height += 1.2 * rng.random(n + 1) * (layer == 0)
        height[-1] = height[0]
        x = middle[0] + reach * radius * np.cos(angle)
        y = middle[1] + reach * radius * np.sin(angle)
        for i in range(n):
            points = [(x[i], y[i], -0.5), (x[i + 1], y[i + 1], -0.5),
                      (x[i + 1], y[i + 1], height[i + 1]), (x[i], y[i], height[i])]  # fmt: skip
            outside = (2.0 * x[i] - middle[0], 2.0 * y[i] - middle[1], 10.0)
            build.polygon(points, Finish(PLAIN, colour), outside)


_ = STRIPES
