"""Contact sheets of the towns: one PNG per town, weathers across, places and cameras down.

python -m seg_node_sim.render.preview -o DIR [--town Grid] [--size 480x270]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from seg_node.errors import SegNodeError
from seg_node.progress import track
from seg_node_sim.maps import load_town, town_names
from seg_node_sim.render.renderer import Renderer
from seg_node_sim.render.site import CARS, COLOURS
from seg_node_sim.scene import Body, Camera, CarlaPose, Town, Weather

WEATHERS = {
    'noon': Weather(),
    'low sun': Weather(cloudiness=20, sun_altitude_angle=7, sun_azimuth_angle=35),
    'overcast': Weather(cloudiness=95, fog_density=6),
    'rain': Weather(
        cloudiness=90, precipitation=75, precipitation_deposits=60, wetness=80, fog_density=8
    ),
    'wet sunset': Weather(
        cloudiness=40, precipitation_deposits=50, wetness=60, sun_altitude_angle=10,
        sun_azimuth_angle=200,
    ),
    'fog': Weather(cloudiness=70, fog_density=65, sun_altitude_angle=30),
    'night': Weather(cloudiness=20, sun_altitude_angle=-40),
    'wet night': Weather(
        cloudiness=80, sun_altitude_angle=-40, wetness=80, precipitation_deposits=70,
        precipitation=40,
    ),
}  # fmt: skip
MOUNTS = (CarlaPose(1.4, 0, 1.5, -4), CarlaPose(1.5, 0, 2.4, -10), CarlaPose(0, 0, 4.5, -18))
EXTRA = (
    ('vehicle.mitsubishi.fusorosa', (5.1, 1.25, 1.55), 16),
    ('vehicle.carlamotors.carlacola', (2.6, 1.3, 1.24), 15),
    ('vehicle.yamaha.yzf', (1.1, 0.4, 0.76), 18),
    ('vehicle.bh.crossbike', (0.75, 0.35, 0.9), 19),
)


def traffic(town: Town, count: int, seed: int) -> list[Body]:
    """Some vehicles on the town's spawn points, drawn from a seed."""
    rng = np.random.default_rng(seed)
    places = rng.permutation(len(town.spawn_points))[:count]
    bodies = []
    for k, place in enumerate(places):
        pose = replace(town.spawn_points[int(place)], z=0.0)
        if k % 6 == 5:
            blueprint, extent, tag = EXTRA[k // 6 % len(EXTRA)]
        else:
            blueprint, extent = CARS[k % len(CARS)]
            tag = 14
        colour = COLOURS[int(rng.integers(len(COLOURS)))]
        shown = [round(255 * v ** (1 / 2.2)) for v in colour]
        bodies.append(Body(100 + k, blueprint, pose, extent, (shown[0], shown[1], shown[2]), tag))
    return bodies


def sheet(town: Town, camera: Camera, places: list[int]) -> np.ndarray:
    """uint8 (rows * H, weathers * W, 3): the town's contact sheet, BGR."""
    renderer = Renderer(town)
    bodies = traffic(town, max(8, len(town.spawn_points) // 5), 3)
    rows = []
    for k, place in enumerate(places):
        ego = replace(town.spawn_points[place % len(town.spawn_points)], z=0.0)
        others = [
            b for b in bodies
            if abs(b.pose.x - ego.x) + abs(b.pose.y - ego.y) > 9.0
        ]  # fmt: skip
        others.append(Body(1, CARS[0][0], ego, CARS[0][1], (90, 20, 20)))
        row = []
        for name, weather in WEATHERS.items():
            pose = ego.compose(MOUNTS[k % len(MOUNTS)])
            image = renderer.render(camera, pose, others, weather, {'rgb'}, 2.0 + k)['rgb'].copy()
            cv2.putText(image, name, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 3)
            cv2.putText(image, name, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
            row.append(image)
        rows.append(np.hstack(row))
    renderer.close()
    return np.vstack(rows)


def main(argv: list[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog='python -m seg_node_sim.render.preview')
    parser.description = __doc__.splitlines()[0] if __doc__ else None
    parser.add_argument('-o', '--output', type=Path, required=True, help='folder for the PNGs')
    parser.add_argument('--town', action='append', help='only this town (may be repeated)')
    parser.add_argument('--size', default='480x270', help='of one picture, WIDTHxHEIGHT')
    parser.add_argument('--seed', type=int, default=0, help='of the look of the towns')
    parser.add_argument('--places', type=int, default=3, help='number of places for each town')
    options = parser.parse_args(argv)
    try:
        width, height = (int(v) for v in options.size.split('x'))
    except ValueError:
        print(f'preview: --size: expected WIDTHxHEIGHT, got {options.size}', file=sys.stderr)
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        towns = [load_town(name, options.seed) for name in options.town or town_names()]
    except SegNodeError as error:
        print(f'preview: {error}', file=sys.stderr)
        return 1
    for town in track(towns, 'towns', len(towns)):
        step = max(1, len(town.spawn_points) // options.places)
        places = [step // 2 + k * step for k in range(options.places)]
        image = sheet(town, Camera(width, height, 90.0), places)
        cv2.imwrite(str(options.output / f'{town.name}.png'), image)
    return 0


if __name__ == '__main__':
    sys.exit(main())
