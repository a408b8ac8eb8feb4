"""What stands beside the roads: houses, trees, lamps, rails, signs, parked cars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seg_node_sim.maps.markings import lane_strips, outline_points
from seg_node_sim.maps.opendrive import OpenDrive
from seg_node_sim.render import city, furniture, houses
from seg_node_sim.render import materials as m
from seg_node_sim.render.mesh import Mesh
from seg_node_sim.render.places import Room, edge_spots, facing, rectangle
from seg_node_sim.render.site import Parked, Site
from seg_node_sim.render.sprites import BROADLEAF, BUSH, CONIFER

CHUNK = 40.0  # metres: small things are put together into chunks of this size


@dataclass
class Scenery:
    """Everything static above the ground.

    mesh: all triangles; starts, counts, centres (n, 3), radii: its objects, for culling.
    boards: float32 (n, 12) trees, see `raster.place_billboards`.
    casters: outlines float (N, 2) with bottom and top heights, for shadows.
    lamps: float (n, 4): x, y, height, strength.
    """

    mesh: Mesh
    starts: np.ndarray
    counts: np.ndarray
    centres: np.ndarray
    radii: np.ndarray
    boards: np.ndarray
    casters: list[tuple[np.ndarray, float, float]]
    lamps: np.ndarray
    parked: list[Parked]


def build_scenery(opendrive: OpenDrive, style: str, seed: int) -> Scenery:
    """Places everything; the same for the same map, style and seed."""
    strips = lane_strips(opendrive)
    site = Site(opendrive, strips, Room(opendrive, strips, 90.0), np.random.default_rng(seed))
    if style == 'highway' or style == 'plain':
        _highway(site, rails=style == 'highway')
    elif style == 'city':
        city.streets(site)
        signals(site)
    else:
        _streets(site, houses_at=style == 'town')
    _bays(site, *((0.9, 5.7) if style == 'city' else (0.6, 6.4)))
    _wild(site, 0.55 if style == 'highway' else 0.3)
    _horizon(site)
    return _finish(site)


def _finish(site: Site) -> Scenery:
    meshes = _chunked(site.objects)
    counts = np.array([len(mesh) for mesh in meshes], np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    mesh = Mesh(
        np.concatenate([x.corners for x in meshes]),
        np.concatenate([x.table for x in meshes]),
        np.concatenate([x.codes for x in meshes]),
    )
    centres, radii = [], []
    for part in meshes:
        points = part.corners.reshape(-1, 3)
        middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
        centres.append(middle)
        radii.append(float(np.linalg.norm(points - middle, axis=1).max()))
    return Scenery(
        mesh,
        starts,
        counts,
        np.array(centres, np.float64),
        np.array(radii, np.float64),
        np.array(site.boards, np.float32).reshape(-1, 12),
        site.casters,
        np.array(site.lamps, np.float64).reshape(-1, 4),
        site.parked,
    )


def _chunked(objects: list[Mesh]) -> list[Mesh]:
    """Puts near small things together: fewer objects to cull."""
    groups: dict[tuple[int, int, bool], list[Mesh]] = {}
    for mesh in objects:
        points = mesh.corners.reshape(-1, 3)
        x, y = points[:, :2].mean(axis=0)
        size = float(np.ptp(points, axis=0).max())
        key = (int(x // CHUNK), int(y // CHUNK), size > 200.0)
        groups.setdefault(key, []).append(mesh)
    return [
        Mesh(
            np.concatenate([x.corners for x in group]),
            np.concatenate([x.table for x in group]),
            np.concatenate([x.codes for x in group]),
        )
        for group in groups.values()
    ]


def _streets(site: Site, houses_at: bool) -> None:
    rng = site.rng
    carriageway = {'driving', 'shoulder', 'parking', 'biking'}
    for k, spot in enumerate(edge_spots(site.opendrive, 26.0, carriageway)):
        x, y = spot.away(0.7)
        if site.room.claim(rectangle(x, y, (0.3, 0.3), 0.0)[:1].repeat(3, axis=0)) or k >= 0:
            site.lamp(spot, 0.7, 7.0, 2.2)
    if houses_at:
        for spot in edge_spots(site.opendrive, 7.0, None, 0.3):
            half = (float(rng.uniform(6.0, 13.0)), float(rng.uniform(5.0, 8.0)))
            back = float(rng.choice([1.0, 2.0, 5.0])) + half[1]
            x, y = spot.away(back)
            outline = rectangle(x, y, half, spot.yaw)
            if rng.random() < 0.8 and site.room.claim(outline, 0.6):
                walls = site.builder(m.BUILDING)
                height = houses.house(walls, x, y, half, spot.yaw, rng)
                site.add(walls)
                site.casters.append((outline, 0.0, height))
    for spot in edge_spots(site.opendrive, 8.5, carriageway, 0.75):
        if rng.random() < 0.55:
            x, y = spot.away(float(rng.uniform(1.5, 2.2)))
            site.tree(x, y, BROADLEAF, float(rng.uniform(4.5, 8.0)))
    for spot in edge_spots(site.opendrive, 17.0, carriageway, 0.35):
        pick = rng.random()
        if pick < 0.5:
            thing, pole = site.builder(m.TRAFFIC_SIGN), site.builder(m.POLE)
            x, y = spot.away(0.6)
            furniture.sign(thing, pole, x, y, facing(spot), rng)
            site.add(thing, pole)
        elif pick < 0.8:
            thing = site.builder(m.STATIC)
            x, y = spot.away(1.0)
            furniture.clutter(thing, x, y, spot.yaw, rng)
            site.add(thing)
    signals(site)
    for spot in edge_spots(site.opendrive, 5.0, None, 0.5):
        x, y = spot.away(float(rng.uniform(0.8, 1.6)))
        if rng.random() < 0.35 and site.room.claim(rectangle(x, y, (0.8, 0.8), 0.0)):
            site.tree(x, y, BUSH, float(rng.uniform(0.9, 1.7)))


def signals(site: Site) -> None:
    """Traffic lights at the ends of roads that meet a junction of four or more of them."""
    rng = site.rng
    for roads in site.opendrive.junctions().values():
        if len(roads) < 10:
            continue
        seen: list[np.ndarray] = []
        for road in roads:
            strip = next((s for s in site.strips if s.road == road.id), None)
            if strip is None:
                continue
            start = strip.right[0]
            ahead = strip.right[1] - strip.right[0]
            if any(np.linalg.norm(start - other) < 9.0 for other in seen):
                continue
            seen.append(start)
            yaw = float(np.arctan2(ahead[1], ahead[0]))
            right = np.array([-np.sin(yaw), np.cos(yaw)])
            for reach in range(2, 14):
                place = start + right * reach * 0.5
                if not _on_carriageway(site, place):
                    break
            place = place + right * 0.8
            pole, lights = site.builder(m.POLE), site.builder(m.TRAFFIC_LIGHT)
            furniture.traffic_light(pole, lights, place[0], place[1], yaw, rng)
            site.add(pole, lights)


def _on_carriageway(site: Site, place: np.ndarray) -> bool:
    for strip in site.strips:
        if strip.kind in ('driving', 'shoulder', 'parking'):
            outline = strip.outline()
            if (outline.min(axis=0) > place).any() or (outline.max(axis=0) < place).any():
                continue
            if _inside(outline, place):
                return True
    return False


def _inside(outline: np.ndarray, place: np.ndarray) -> bool:
    a, b = outline, np.roll(outline, -1, axis=0)
    crosses = (a[:, 1] > place[1]) != (b[:, 1] > place[1])
    dy = np.where(crosses, b[:, 1] - a[:, 1], 1.0)
    at = a[:, 0] + (place[1] - a[:, 1]) * (b[:, 0] - a[:, 0]) / dy
    return bool((crosses & (place[0] < at)).sum() % 2)


def _highway(site: Site, rails: bool) -> None:
    rng = site.rng
    if rails:
        for road in site.opendrive.roads.values():
            if road.junction >= 0:
                continue
            outer = [list(furniture.rail_line(road, side, 0.55)) for side in (1, -1)]
            for line in [*outer, list(furniture.rail_line(road, 0, 0.0))]:
                for piece in furniture.pieces(line, 24.0):
                    rail = site.builder(m.GUARD_RAIL)
                    furniture.guard_rail(rail, piece)
                    site.add(rail)
    for spot in edge_spots(site.opendrive, 45.0):
        thing, pole = site.builder(m.TRAFFIC_SIGN), site.builder(m.POLE)
        pick = rng.random()
        x, y = spot.away(1.6)
        if pick < 0.3:
            furniture.board(thing, pole, x, y, facing(spot), rng)
        elif pick < 0.55:
            furniture.sign(thing, pole, x, y, facing(spot), rng)
        site.add(thing, pole)
    for spot in edge_spots(site.opendrive, 38.0, None, 0.8):
        if rng.random() < 0.5:
            site.lamp(spot, 1.3, 9.5, 3.0)
    for spot in edge_spots(site.opendrive, 25.0):
        x, y = spot.away(1.1)
        post = site.builder(m.POLE)
        furniture.delineator(post, x, y)
        site.add(post)
    for spot in edge_spots(site.opendrive, 9.0, None, 0.2):
        if rng.random() < 0.55:
            x, y = spot.away(float(rng.uniform(5.0, 14.0)))
            if site.room.from_road(x, y) > 3.5:
                kinds = CONIFER if rng.random() < 0.35 else BROADLEAF
                site.tree(x, y, kinds, float(rng.uniform(5.0, 12.0)))
        if rng.random() < 0.35:
            x, y = spot.away(float(rng.uniform(2.5, 6.0)))
            if site.room.from_road(x, y) > 1.8:
                site.tree(x, y, BUSH, float(rng.uniform(0.8, 2.2)))


def _bays(site: Site, density: float, every: float) -> None:
    """Cars in about half of the marked bays, and along parking lanes without bays.

    density, every: share of the places along parking lanes, and metres from one to the next.
    """
    rng = site.rng
    with_bays = set()
    for road in site.opendrive.roads.values():
        for item in road.objects:
            if item.kind == 'parkingspace' and item.outline:
                with_bays.add(road.id)
                if rng.random() < 0.5:
                    outline = outline_points(road, item)
                    middle = outline.mean(axis=0)
                    into = outline[2:].mean(axis=0) - outline[:2].mean(axis=0)
                    yaw = float(np.arctan2(into[1], into[0])) + rng.normal(0.0, 0.02)
                    yaw += np.pi if rng.random() < 0.4 else 0.0
                    site.park(float(middle[0]), float(middle[1]), yaw)
    for strip in site.strips:
        if strip.kind != 'parking' or strip.road in with_bays:
            continue
        middle = 0.5 * (strip.left + strip.right)
        arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(middle, axis=0).T))])
        for s in np.arange(9.0, arc[-1] - 9.0, every):
            if rng.random() < density:
                at = [float(np.interp(s, arc, middle[:, k])) for k in (0, 1)]
                on = [float(np.interp(s + 0.5, arc, middle[:, k])) for k in (0, 1)]
                yaw = float(np.arctan2(on[1] - at[1], on[0] - at[0]))
                yaw += np.pi if strip.lane > 0 else 0.0
                site.park(at[0], at[1], yaw + rng.normal(0.0, 0.015))


def _wild(site: Site, density: float) -> None:
    """Trees on free ground, denser away from the roads."""
    rng = site.rng
    low, high = site.room.low, site.room.high
    area = float(np.prod(high - low))
    for _ in range(int(min(6000, area * density / 90.0))):
        x, y = rng.uniform(low, high)
        far = site.room.from_road(x, y)
        if far < 4.0 or rng.random() > min(1.0, far / 30.0):
            continue
        tall = float(rng.uniform(5.0, 12.0))
        if site.room.claim(rectangle(x, y, (1.0, 1.0), 0.0)):
            site.tree(x, y, CONIFER if rng.random() < 0.4 else BROADLEAF, tall)


def _horizon(site: Site) -> None:
    """Hills and woods far away, all round."""
    middle = 0.5 * (site.room.low + site.room.high)
    reach = 0.5 * float(np.linalg.norm(site.room.high - site.room.low)) + 120.0
    ring = site.builder(m.VEGETATION)
    furniture.hills(ring, middle, min(reach, 900.0), site.rng)
    site.add(ring)
