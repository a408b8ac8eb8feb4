"""Meshes of cars, vans, trucks, buses, motorcycles, bicycles and people, in actor axes.

Origin on the ground below the middle, x forward. The lamps of a vehicle are named by EXTRA + 3:
1 head, 2 tail, 3 brake, 4 left indicator, 5 right indicator, 6 reverse.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from seg_node_sim.render.mesh import Finish, Mesh, MeshBuilder
from seg_node_sim.render.object_shade import GLASS, METAL, PAINT, PLAIN

BODY = Finish(PAINT, (1.0, 1.0, 1.0), tinted=True)
WINDOW = Finish(GLASS, (0.015, 0.017, 0.02))
PLASTIC = Finish(PLAIN, (0.03, 0.03, 0.032))
RUBBER = Finish(PLAIN, (0.018, 0.018, 0.018))
RIM = Finish(METAL, (0.42, 0.43, 0.45))
PLATE = Finish(PLAIN, (0.7, 0.7, 0.66))
CHROME = Finish(METAL, (0.5, 0.5, 0.5))
SKIN = Finish(PLAIN, (0.42, 0.26, 0.18))
CLOTH = Finish(PLAIN, (0.05, 0.06, 0.10))
SHIRT = Finish(PLAIN, (1.0, 1.0, 1.0), tinted=True)
HEAD, TAIL, BRAKE, LEFT, RIGHT, REVERSE = 1, 2, 3, 4, 5, 6


def _lamp(kind: int, colour: tuple[float, float, float]) -> Finish:
    return Finish(GLASS if kind == HEAD else PLAIN, colour, (0.0, 0.0, 0.0, float(kind)))


HEADLAMP = _lamp(HEAD, (0.75, 0.75, 0.72))
TAILLAMP = _lamp(TAIL, (0.42, 0.015, 0.012))
BRAKELAMP = _lamp(BRAKE, (0.5, 0.02, 0.015))
BLINKERS = {side: _lamp(side, (0.55, 0.24, 0.02)) for side in (LEFT, RIGHT)}

# outline of a car seen from the side, in half lengths and heights: roof front/rear, glass feet,
# bonnet, boot
SHAPES = {
    'saloon': (0.10, -0.40, 0.46, -0.74, 0.58, 0.63),
    'hatch': (0.16, -0.72, 0.55, -0.93, 0.60, 0.62),
    'suv': (0.14, -0.80, 0.48, -0.95, 0.60, 0.60),
    'van': (0.42, -0.95, 0.80, -0.99, 0.52, 0.50),
    'pickup': (0.22, -0.18, 0.50, -0.26, 0.60, 0.58),
    'coupe': (0.02, -0.30, 0.42, -0.86, 0.55, 0.66),
}
KEYWORDS = (
    ('pickup', ('cybertruck', 'pickup')),
    ('van', ('sprinter', 'volkswagen.t2', 'van', 'ambulance')),
    ('suv', ('etron', 'wrangler', 'patrol', 'jeep', 'crown_suv', 'crown')),
    ('coupe', ('mustang', 'tt', 'coupe', 'charger')),
    ('hatch', ('a2', 'micra', 'cooper', 'c3', 'leon', 'grandtourer', 'isetta', 'microlino')),
)


def shape_of(blueprint: str) -> str:
    """Which outline a car's blueprint gets; a saloon when nothing else is known."""
    for shape, words in KEYWORDS:
        if any(word in blueprint for word in words):
            return shape
    return 'saloon'


@lru_cache(maxsize=128)
def vehicle(blueprint: str, tag: int, extent: tuple[float, float, float]) -> Mesh:
    """The mesh for a blueprint with half sizes `extent` (metres) and semantic tag `tag`."""
    build = MeshBuilder()
    a, b, h = extent[0], extent[1], 2.0 * extent[2]
    if tag == 12 or blueprint.startswith('walker'):
        _person(build, h, 0.0, 0.0)
    elif tag in (18, 19):
        _two_wheeler(build, a, h, motor=tag == 18)
    elif tag == 16:
        _bus(build, a, b, h)
    elif tag == 15 or ('truck' in blueprint and 'cyber' not in blueprint):
        _truck(build, a, b, h)
    else:
        _car(build, a, b, h, shape_of(blueprint))
    return build.mesh()


def _wheel(build: MeshBuilder, x: float, y: float, radius: float, width: float) -> None:
    side = np.sign(y)
    build.cylinder((x, y - side * width, radius), (x, y, radius), radius, RUBBER, 14)
    rim = radius * 0.64
    build.cylinder((x, y, radius), (x, y + side * 0.012, radius), rim, RIM, 10)
    build.cylinder(
        (x, y + side * 0.012, radius), (x, y + side * 0.016, radius), rim * 0.35, PLASTIC, 6
    )


def _arch(build: MeshBuilder, x: float, y: float, radius: float) -> None:
    """The dark opening round a wheel: a half disc on the body's flank."""
    angle = np.linspace(0.0, np.pi, 9)
    side = np.sign(y)
    points = [
        (x + 1.16 * radius * np.cos(t), y, radius + 1.16 * radius * np.sin(t)) for t in angle
    ]
    points += [(x - 1.16 * radius, y, 0.55 * radius), (x + 1.16 * radius, y, 0.55 * radius)]
    build.polygon(points, RUBBER, (x, y - side, radius))


def _ring(x: float, half: float, bottom: float, belt: float, top: float) -> np.ndarray:
    """A car body's cross-section at x: rounded towards the top and the sill."""
    right = [
        (0.80 * half, bottom),
        (0.96 * half, bottom + 0.14 * (top - bottom)),
        (half, belt),
        (0.95 * half, top - 0.07 * (top - bottom)),
        (0.82 * half, top),
    ]
    points = [(x, y, z) for y, z in right] + [(x, -y, z) for y, z in reversed(right)]
    return np.array(points)


def _car(build: MeshBuilder, a: float, b: float, h: float, shape: str) -> None:
    roof_front, roof_rear, foot_front, foot_rear, bonnet, boot = SHAPES[shape]
    radius = min(0.24 * h, 0.36) if shape != 'suv' else min(0.25 * h, 0.4)
    bottom = 0.14 * h
    # (x, width, top) from the rear to the front
    skin = [
        (-1.0, 0.84, 0.90 * boot),
        (-0.97, 0.93, 0.97 * boot),
        (-0.80, 0.985, boot),
        (foot_rear, 1.0, boot),
        (0.0, 1.0, 0.5 * (boot + bonnet)),
        (foot_front, 0.99, bonnet),
        (0.80, 0.96, 0.93 * bonnet),
        (0.95, 0.88, 0.84 * bonnet),
        (1.0, 0.76, 0.72 * bonnet),
    ]
    skin = sorted(set(skin))
    rings = []
    for x, width, top in skin:
        low = bottom + (0.05 * h if abs(x) > 0.9 else 0.0)
        rings.append(_ring(x * a, width * b * 0.985, low, low + 0.62 * (top * h - low), top * h))
    build.loft(rings, BODY)
    _cabin(build, a, b, h, (roof_front, roof_rear, foot_front, foot_rear, bonnet, boot), shape)
    for x in (0.60 * a, -0.60 * a):
        for side in (1.0, -1.0):
            _arch(build, x, side * b * 0.988, radius)
            _wheel(build, x, side * b * 0.99, radius, 0.22)
    front_z, rear_z = 0.60 * bonnet * h, 0.74 * boot * h
    for side in (1.0, -1.0):
        blinker = BLINKERS[RIGHT if side > 0 else LEFT]
        x, y = 1.006 * a, side * 0.57 * b
        _plate(build, x, y, front_z + 0.01 * h, 0.17 * b, 0.04 * h, HEADLAMP, 1.0)
        _plate(build, 0.978 * a, side * 0.83 * b, front_z, 0.05 * b, 0.03 * h, blinker, 1.0)
        _plate(build, -1.004 * a, side * 0.66 * b, rear_z, 0.16 * b, 0.05 * h, TAILLAMP, -1.0)
        _plate(build, -1.007 * a, side * 0.58 * b, rear_z, 0.05 * b, 0.04 * h, BRAKELAMP, -1.0)
        _plate(build, -0.998 * a, side * 0.80 * b, rear_z, 0.035 * b, 0.04 * h, blinker, -1.0)
        mirror = (foot_front * a * 0.86, side * b * 1.06, bonnet * h + 0.05 * h)
        build.box(mirror, (0.06, 0.09, 0.06), BODY, skip_bottom=False)
        build.box((0.05 * a, side * b * 0.99, bonnet * h * 0.92), (0.10, 0.015, 0.015), CHROME)
    _plate(build, 1.004 * a, 0.0, 0.46 * bonnet * h, 0.50 * b, 0.05 * h, PLASTIC, 1.0)
    _plate(build, 1.008 * a, 0.0, 0.30 * bonnet * h, 0.26, 0.055, PLATE, 1.0)
    _plate(build, -1.006 * a, 0.0, 0.52 * boot * h, 0.26, 0.055, PLATE, -1.0)
    _plate(build, -1.003 * a, 0.0, 0.24 * h, 0.75 * b, 0.045 * h, PLASTIC, -1.0)


def _plate(
    build: MeshBuilder,
    x: float,
    y: float,
    z: float,
    dy: float,
    dz: float,
    finish: Finish,
    way: float,
) -> None:
    """A small upright rectangle that looks forward (way 1) or back (-1)."""
    points = [(x, y - dy, z - dz), (x, y + dy, z - dz), (x, y + dy, z + dz), (x, y - dy, z + dz)]
    build.polygon(points, finish, (x - way, y, z))


def _cabin(
    build: MeshBuilder, a: float, b: float, h: float, outline: tuple[float, ...], shape: str
) -> None:
    roof_front, roof_rear, foot_front, foot_rear, bonnet, boot = outline
    inside = (0.5 * (roof_front + roof_rear) * a, 0.0, 0.75 * h)
    low, high = 0.90 * b, 0.70 * b if shape not in ('van', 'suv') else 0.78 * b
    belt_f, belt_r, roof = (bonnet - 0.01) * h, (boot - 0.01) * h, 0.975 * h

    def corner(x: float, y: float, z: float) -> tuple[float, float, float]:
        return (x * a, y, z)

    ff = [corner(foot_front, s * low, belt_f) for s in (1.0, -1.0)]
    rf = [corner(roof_front, s * high, roof) for s in (1.0, -1.0)]
    rr = [corner(roof_rear, s * high, roof * 0.99) for s in (1.0, -1.0)]
    fr = [corner(foot_rear, s * low, belt_r) for s in (1.0, -1.0)]
    build.polygon([ff[0], ff[1], rf[1], rf[0]], WINDOW, inside)
    build.polygon([fr[0], fr[1], rr[1], rr[0]], BODY if shape == 'van' else WINDOW, inside)
    crown = [(0.5 * (rf[i][0] + rr[i][0]), (1, -1)[i] * 0.9 * high, h) for i in (0, 1)]
    build.polygon([rf[0], rf[1], crown[1], crown[0]], BODY, inside)
    build.polygon([crown[0], crown[1], rr[1], rr[0]], BODY, inside)
    for i in (0, 1):
        build.polygon([rf[i], crown[i], rr[i]], BODY, inside)
        build.polygon([ff[i], rf[i], rr[i], fr[i]], WINDOW, inside)
        side = (1.0, -1.0)[i]
        # pillars, a touch outside of the glass
        lift = np.array([0.0, 0.012 * side, 0.0])
        posts = [(0.0, 0.05), (0.44, 0.08), (0.93, 0.12)]
        if shape == 'van':
            posts = [(0.0, 0.05), (0.30, 0.70)]
        for where, wide in posts:
            ends = []
            for t in (where, min(1.0, where + wide)):
                foot = np.array(ff[i]) * (1 - t) + np.array(fr[i]) * t
                head = np.array(rf[i]) * (1 - t) + np.array(rr[i]) * t
                ends.append((foot + lift, head + lift))
            build.polygon([ends[0][0], ends[0][1], ends[1][1], ends[1][0]], BODY, inside)
    if shape == 'pickup':  # the open bed
        build.box((-0.62 * a, 0.0, boot * h), (0.34 * a, 0.8 * b, 0.01), PLASTIC)


def _windows(
    build: MeshBuilder, x0: float, x1: float, y: float, z0: float, z1: float, count: int
) -> None:
    step = (x1 - x0) / count
    for k in range(count):
        lo, hi = x0 + k * step + 0.06, x0 + (k + 1) * step - 0.06
        points = [(lo, y, z0), (hi, y, z0), (hi, y, z1), (lo, y, z1)]
        build.polygon(points, WINDOW, (lo, 0.0, z0))


def _lights(build: MeshBuilder, a: float, b: float, front_z: float, rear_z: float) -> None:
    for side in (1.0, -1.0):
        blinker = BLINKERS[RIGHT if side > 0 else LEFT]
        _plate(build, a + 0.012, side * 0.76 * b, front_z, 0.14 * b, 0.09, HEADLAMP, 1.0)
        _plate(build, a + 0.012, side * 0.95 * b, front_z, 0.04 * b, 0.07, blinker, 1.0)
        _plate(build, -a - 0.012, side * 0.85 * b, rear_z, 0.07 * b, 0.14, TAILLAMP, -1.0)
        _plate(build, -a - 0.014, side * 0.74 * b, rear_z, 0.03 * b, 0.14, BRAKELAMP, -1.0)
        _plate(build, -a - 0.012, side * 0.95 * b, rear_z, 0.025 * b, 0.1, blinker, -1.0)
    _plate(build, -a - 0.013, 0.0, rear_z, 0.27, 0.07, PLATE, -1.0)


def _bus(build: MeshBuilder, a: float, b: float, h: float) -> None:
    build.box((0.0, 0.0, 0.5 * (h + 0.35)), (a, b, 0.5 * (h - 0.35)), BODY)
    for y in (b + 0.01, -b - 0.01):
        _windows(build, -0.94 * a, 0.9 * a, y, 0.48 * h, 0.86 * h, 7)
    glass = [(a + 0.01, -0.93 * b, 0.36 * h), (a + 0.01, 0.93 * b, 0.36 * h),
             (a + 0.01, 0.93 * b, 0.86 * h), (a + 0.01, -0.93 * b, 0.86 * h)]  # fmt: skip
    build.polygon(glass, WINDOW, (0.0, 0.0, h / 2))
    _plate(build, -a - 0.01, 0.0, 0.68 * h, 0.8 * b, 0.14 * h, WINDOW, -1.0)
    _plate(build, a + 0.012, 0.0, 0.92 * h, 0.6 * b, 0.05 * h, PLASTIC, 1.0)
    _lights(build, a, b, 0.22 * h, 0.26 * h)
    for x in (0.62 * a, -0.55 * a):
        for side in (1.0, -1.0):
            _arch(build, x, side * (b + 0.004), 0.48)
            _wheel(build, x, side * (b + 0.01), 0.48, 0.3)


def _truck(build: MeshBuilder, a: float, b: float, h: float) -> None:
    cab = 0.26 * a
    white = Finish(PLAIN, (0.62, 0.62, 0.60))
    build.box((-cab, 0.0, 0.5 * (h + 0.9)), (a - cab, b, 0.5 * (h - 0.9)), white)
    front = a - cab * 0.98
    build.box((front, 0.0, 0.42 * h + 0.2), (cab * 0.98, 0.96 * b, 0.42 * h - 0.2), BODY)
    face = [(a + 0.01, -0.86 * b, 0.46 * h), (a + 0.01, 0.86 * b, 0.46 * h),
            (a + 0.01, 0.82 * b, 0.76 * h), (a + 0.01, -0.82 * b, 0.76 * h)]  # fmt: skip
    build.polygon(face, WINDOW, (0.0, 0.0, h / 2))
    for y in (0.97 * b, -0.97 * b):
        _windows(build, front - 0.5 * cab, front + 0.9 * cab, y, 0.50 * h, 0.74 * h, 1)
    build.box((-0.1 * a, 0.0, 0.7), (0.9 * a, 0.35 * b, 0.18), PLASTIC, skip_bottom=False)
    _plate(build, a + 0.012, 0.0, 0.30 * h, 0.6 * b, 0.06 * h, PLASTIC, 1.0)
    _lights(build, a, b, 0.2 * h, 0.85)
    for x in (0.72 * a, -0.5 * a, -0.72 * a):
        for side in (1.0, -1.0):
            _wheel(build, x, side * 0.98 * b, 0.5, 0.35)


def _person(build: MeshBuilder, h: float, x: float, lift: float) -> None:
    """A standing person of height `h` at x; `lift` raises the feet (a rider)."""

    def ring(z: float, dx: float, dy: float, y: float = 0.0) -> np.ndarray:
        angle = np.linspace(0.0, 2.0 * np.pi, 8, endpoint=False)
        return np.stack(
            [x + dx * np.cos(angle), y + dy * np.sin(angle), np.full(8, lift + z * h)], axis=1
        )

    for side, step in ((0.055 * h, 0.03), (-0.055 * h, -0.03)):
        leg = [ring(0.0, 0.05, 0.045, side), ring(0.25, 0.06, 0.055, side),
               ring(0.48, 0.075, 0.07, side)]  # fmt: skip
        leg[0][:, 0] += step * h
        build.loft(leg, CLOTH)
        arm = [ring(0.44, 0.035, 0.035, side * 2.6), ring(0.80, 0.045, 0.045, side * 2.1)]
        arm[0][:, 0] -= step * h
        build.loft(arm, SHIRT)
    torso = [ring(0.46, 0.09, 0.13), ring(0.62, 0.10, 0.15), ring(0.80, 0.10, 0.19),
             ring(0.84, 0.06, 0.09)]  # fmt: skip
    build.loft(torso, SHIRT)
    head = [ring(0.84, 0.05, 0.05), ring(0.88, 0.085, 0.07), ring(0.93, 0.10, 0.08),
            ring(0.98, 0.08, 0.065), ring(1.0, 0.03, 0.03)]  # fmt: skip
    build.loft(head[:3], SKIN)
    build.loft(head[2:], PLASTIC)


def _two_wheeler(build: MeshBuilder, a: float, h: float, motor: bool) -> None:
    radius = 0.32 if motor else 0.34
    width = 0.07 if motor else 0.03
    for x in (0.68 * a, -0.68 * a):
        build.cylinder((x, -width, radius), (x, width, radius), radius, RUBBER, 16)
        build.cylinder((x, -width * 1.1, radius), (x, width * 1.1, radius), 0.6 * radius, RIM, 10)
    bar = Finish(PAINT, (1.0, 1.0, 1.0), tinted=True)
    thick = 0.05 if motor else 0.022
    seat, grip = (-0.25 * a, 0.0, 0.85), (0.45 * a, 0.0, 1.0)
    for p, q in (
        ((-0.68 * a, 0.0, radius), seat),
        ((-0.68 * a, 0.0, radius), (0.0, 0.0, 0.35)),
        ((0.0, 0.0, 0.35), grip),
        ((0.68 * a, 0.0, radius), grip),
        (seat, (0.35 * a, 0.0, 0.8)),
    ):
        build.cylinder(p, q, thick, bar, 6)
    build.box(seat, (0.14, 0.07, 0.03), PLASTIC)
    build.cylinder((grip[0], -0.3, 1.02), (grip[0], 0.3, 1.02), 0.02, PLASTIC, 6)
    if motor:
        build.box((0.05 * a, 0.0, 0.62), (0.35, 0.14, 0.2), BODY)
        build.box((0.0, 0.0, 0.38), (0.3, 0.16, 0.14), CHROME)
        _plate(build, 0.62 * a, 0.0, 0.9, 0.09, 0.08, HEADLAMP, 1.0)
        _plate(build, -0.8 * a, 0.0, 0.7, 0.08, 0.05, TAILLAMP, -1.0)
    _person(build, 0.95 * max(1.2, h), -0.15 * a, 0.30 if not motor else 0.25)
