"""How exact the pictures and their truth are, against the OpenDRIVE map and each other.

    python -m seg_node_sim.render.accuracy --json out/accuracy.json

Line pixels put back into the world through depth and camera pose: how far they are from the
stripe that the map has there. Paint in the picture against the tagged run of the same row, within
60 m: the shift (pixels) at which they agree best. Paint that is worn off is missing from the
picture but not from the truth, so the shift is also measured on unworn paint.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seg_node.files import write_json
from seg_node_sim.maps import load_town, town_names
from seg_node_sim.maps.markings import Marking, markings
from seg_node_sim.maps.opendrive import parse
from seg_node_sim.render.renderer import Renderer
from seg_node_sim.scene import Camera, CarlaPose, Town, Weather

ROAD, LINE = 1, 24
_FAR_M = 60.0
_MARGIN = 4  # pixels of plain road wanted on both sides of a run
_WIDEST = 14
_SHIFTS = np.arange(-3.0, 3.01, 0.1)
_CONTRAST = 6.0  # standard deviation of a row that shows paint at all
_AGREE = 0.8
_ON_STRIPE_M = 0.3  # what is farther from every stripe is an arrow, a crosswalk, a stop line


def world_points(camera: Camera, pose: CarlaPose, depth: np.ndarray) -> np.ndarray:
    """Every pixel put back into the world: float64 (H, W, 3)."""
    u = (np.arange(camera.width) + 0.5 - camera.width / 2) / camera.focal
    v = (np.arange(camera.height) + 0.5 - camera.height / 2) / camera.focal
    own = np.stack(np.broadcast_arrays(1.0, u[None, :], -v[:, None]), axis=-1)
    matrix = pose.matrix()
    points: np.ndarray = (own * depth[..., None]) @ matrix[:3, :3].T + matrix[:3, 3]
    return points


def to_stripes(points: np.ndarray, stripes: Sequence[Marking]) -> tuple[np.ndarray, np.ndarray]:
    """Distance (metres) of each point (N, 2) to the nearest stripe's centre line; its width."""
    pieces = [
        (a, b, m.width) for m in stripes if m.width > 0.0 for a, b in zip(m.points, m.points[1:])
    ]
    middle = points.mean(axis=0)
    best = np.full(len(points), np.inf)
    width = np.zeros(len(points))
    for a, b, wide in pieces:
        e = b - a
        if np.linalg.norm(a - middle) > 90.0 or not e.any():
            continue
        t = np.clip(((points - a) @ e) / (e @ e), 0.0, 1.0)
        d = np.linalg.norm(points - a - t[:, None] * e, axis=1)
        closer = d < best
        best[closer], width[closer] = d[closer], wide
    return best, width


def paint_shifts(bgr: np.ndarray, tags: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Shift in pixels of each tagged run of paint in each row, to where the picture shows it.

    Runs of at least two pixels with plain road on both sides, whose paint can be seen.
    """
    # Blue would hide yellow on asphalt; in red white and yellow are both bright.
    light = bgr[..., 2].astype(float)
    shifts = []
    for row in range(len(tags)):
        for first, last in _runs(tags[row] == LINE):
            if not 2 <= last - first <= _WIDEST or depth[row, first] > _FAR_M:
                continue
            if first < _MARGIN or last > tags.shape[1] - _MARGIN:
                continue
            beside = np.r_[first - _MARGIN : first, last : last + _MARGIN]
            if (tags[row, beside] == ROAD).all():
                shown = light[row, first - _MARGIN : last + _MARGIN]
                shifts += _best_shift(shown, last - first)
    return np.array(shifts)


def _best_shift(shown: np.ndarray, width: int) -> list[float]:
    if shown.std() < _CONTRAST:
        return []
    x = np.arange(len(shown)) + 0.5
    start = _MARGIN + _SHIFTS[:, None]
    # share of each pixel that a run at this place covers
    covered = np.clip(np.minimum(x + 0.5, start + width) - np.maximum(x - 0.5, start), 0.0, 1.0)
    covered -= covered.mean(axis=1, keepdims=True)
    centred = shown - shown.mean()
    scores = covered @ centred / np.linalg.norm(covered, axis=1) / np.linalg.norm(centred)
    best = int(np.argmax(scores))
    return [float(_SHIFTS[best])] if scores[best] >= _AGREE else []


def _runs(row: np.ndarray) -> Iterator[tuple[int, int]]:
    """(start, stop) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    return zip(edges[::2].tolist(), edges[1::2].tolist())


def measure(town: Town, places: int, wear: float | None) -> dict[str, Any]:
    """Figures of one town from `places` places along its roads."""
    camera, mount = Camera(640, 360, 90.0), CarlaPose(1.5, 0.0, 2.0, -8.0)
    stripes = markings(parse(town.xodr, town.name))
    step = max(1, len(town.spawn_points) // places)
    shifts, distances = [], []
    renderer = Renderer(town, wear=wear)
    for place in town.spawn_points[::step][:places]:
        pose = place.compose(mount)
        seen = renderer.render(camera, pose, [], Weather(), {'rgb', 'semantic', 'depth'}, 0.0)
        shifts.append(paint_shifts(seen['rgb'], seen['semantic'], seen['depth']))
        lines = (seen['semantic'] == LINE) & (seen['depth'] < _FAR_M)
        if lines.any():
            points = world_points(camera, pose, seen['depth'].astype(np.float64))[lines]
            distance, _ = to_stripes(points[:, :2], stripes)
            distances.append(distance[distance < _ON_STRIPE_M])
    renderer.close()
    off, away = np.abs(np.concatenate(shifts)), np.concatenate(distances)
    return {
        'line_pixels': len(away),
        'line_distance_m_p50': round(float(np.median(away)), 4),
        'line_distance_m_p99': round(float(np.quantile(away, 0.99)), 4),
        'runs': len(off),
        'shift_px_p50': round(float(np.median(off)), 2),
        'shift_px_p99': round(float(np.quantile(off, 0.99)), 2),
        'shift_within_1_px': round(float((off <= 1.0).mean()), 4),
    }


def main(arguments: list[str] | None = None) -> int:
    """Entry."""
    parser = argparse.ArgumentParser(
        prog='seg_node_sim.render.accuracy',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--places', type=int, default=12, help='a town (%(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures')
    options = parser.parse_args(arguments)
    figures = {}
    for name in town_names():
        for paint, wear in (('as worn', None), ('unworn', 0.0)):
            figures[f'{name}, {paint}'] = row = measure(load_town(name), options.places, wear)
            print(f'{name}, {paint}: {row}', flush=True)
    if options.json:
        write_json(options.json, figures)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
