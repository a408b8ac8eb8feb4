"""City streets: houses wall to wall with shops, trees in the pavement, things on it."""

from __future__ import annotations

import numpy as np

from seg_node_sim.render import furniture, houses
from seg_node_sim.render import materials as m
from seg_node_sim.render.mesh import Finish, MeshBuilder
from seg_node_sim.render.object_shade import PLAIN, STRIPES
from seg_node_sim.render.places import Spot, edge_spots, facing, rectangle
from seg_node_sim.render.site import Site
from seg_node_sim.render.sprites import BROADLEAF

CARRIAGEWAY = {'driving', 'shoulder', 'parking', 'biking'}
CLOTHS = (
    (0.45, 0.04, 0.03), (0.03, 0.16, 0.07), (0.04, 0.07, 0.30), (0.50, 0.34, 0.05),
    (0.05, 0.05, 0.06), (0.60, 0.57, 0.50), (0.30, 0.10, 0.20),
)  # fmt: skip


def streets(site: Site) -> None:
    """Everything along the streets of a city but signals and parked cars in their lanes."""
    rng = site.rng
    for spot in edge_spots(site.opendrive, 24.0, CARRIAGEWAY):
        site.lamp(spot, 0.6, 7.0, 2.2)
    for spot in edge_spots(site.opendrive, 5.0, None, 0.2):
        _house(site, spot)
    for spot in edge_spots(site.opendrive, 8.0, CARRIAGEWAY, 0.75):
        if rng.random() < 0.75:
            x, y = spot.away(float(rng.uniform(0.7, 1.2)))
            site.tree(x, y, BROADLEAF, float(rng.uniform(5.0, 10.0)))
    for spot in edge_spots(site.opendrive, 9.0, CARRIAGEWAY, 0.35):
        _on_the_pavement(site, spot)


def _house(site: Site, spot: Spot) -> None:
    rng = site.rng
    half = (float(rng.uniform(4.5, 9.0)), float(rng.uniform(5.0, 7.0)))
    back = float(rng.choice([0.3, 0.3, 0.6, 2.5])) + half[1]
    x, y = spot.away(back)
    outline = rectangle(x, y, half, spot.yaw)
    if rng.random() > 0.92 or not site.room.claim(outline):
        return
    walls = site.builder(m.BUILDING)
    height = houses.house(walls, x, y, half, spot.yaw, rng)
    site.casters.append((outline, 0.0, height))
    if rng.random() < 0.6:
        _shop(walls, spot, back - half[1], half[0], rng)
    site.add(walls)


def _shop(
    build: MeshBuilder, spot: Spot, back: float, half: float, rng: np.random.Generator
) -> None:
    """A sign along a house's front, and mostly an awning under it."""
    cloth = CLOTHS[int(rng.integers(len(CLOTHS)))]
    x, y = spot.away(back - 0.06)
    build.box((x, y, 3.1), (0.85 * half, 0.07, 0.32), Finish(PLAIN, cloth), spot.yaw)
    letters = Finish(PLAIN, (0.65, 0.62, 0.55))
    x, y = spot.away(back - 0.14)
    build.box((x, y, 3.1), (float(rng.uniform(0.3, 0.6)) * half, 0.02, 0.13), letters, spot.yaw)
    if rng.random() < 0.65:
        reach = float(rng.uniform(0.6, 1.3))
        _awning(build, spot, back, 0.8 * half, reach, cloth)


def _awning(
    build: MeshBuilder, spot: Spot, back: float, half: float, reach: float,
    cloth: tuple[float, float, float],
) -> None:  # fmt: skip
    along = np.array([np.cos(spot.yaw), np.sin(spot.yaw)])
    wall, edge = np.array(spot.away(back)), np.array(spot.away(back - reach))
    u = np.array([*along, 0.0, 0.0])
    v = np.array([0.0, 0.0, 1.0, 0.0])
    finish = Finish(STRIPES, cloth, (2.2, 0.60, 0.58, 0.52))
    top = [(*(wall - half * along), 2.85), (*(wall + half * along), 2.85),
           (*(edge + half * along), 2.4), (*(edge - half * along), 2.4)]  # fmt: skip
    flap = [top[3], top[2], (*(edge + half * along), 2.2), (*(edge - half * along), 2.2)]
    inside = (*wall, 1.0)
    for points in (top, flap):
        build.polygon(points, finish, inside, (v, u))


def _on_the_pavement(site: Site, spot: Spot) -> None:
    """Signs, bins, posts; here and there a car with two wheels up, or one that stands on it."""
    rng = site.rng
    pick = rng.random()
    if pick < 0.25:
        face, pole = site.builder(m.TRAFFIC_SIGN), site.builder(m.POLE)
        x, y = spot.away(0.5)
        furniture.sign(face, pole, x, y, facing(spot), rng)
        site.add(face, pole)
    elif pick < 0.6:
        thing = site.builder(m.STATIC)
        x, y = spot.away(float(rng.uniform(0.8, 1.3)))
        furniture.clutter(thing, x, y, spot.yaw, rng)
        site.add(thing)
    elif pick < 0.66:
        x, y = spot.away(float(rng.uniform(0.9, 1.4)))
        site.park(x, y, spot.yaw + float(rng.normal(0.0, 0.03)))
