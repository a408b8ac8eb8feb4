"""What it costs as the work grows, into docs/growth.md: cameras, pixels, threads, bags, maps.

`python scripts/growth_figures.py`, some twenty minutes on a quiet machine; `--only map bags`
measures these parts anew and keeps the figures of the others.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from seg_node.bags.writer import McapWriter
from seg_node.benchmark.cases import measure_cases
from seg_node.benchmark.rig import RigLoad, measure_one_node
from seg_node.benchmark.scene import road_scene
from seg_node.camera.size import Size
from seg_node.children import child_environment
from seg_node.files import write_json, write_part
from seg_node.model.runner import default_cache_dir
from seg_node.progress import track

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / 'docs' / 'growth.md'
BEGIN, END = '<!-- growth figures -->', '<!-- end of growth figures -->'
CAMERAS = (1, 2, 4, 8)
SIZES = ('320x180', '640x360', '1280x720', '1920x1080', '3840x2160')
THREADS = (1, 2)
BAG_FRAMES = (400, 1200, 2400)
KILOMETRES = (1, 5, 10, 50)
_RIG_HZ, _FULL_HZ = 15.0, 60.0
_STEP_M = 4.0
"""Between frames of the map's drive: 20 m/s at 5 Hz."""


def cameras_figures() -> list[dict[str, Any]]:
    """One node with 1 to 8 cameras of 640x360."""
    loads = [RigLoad(n, None, 0, _FULL_HZ, _RIG_HZ, 6.0, 1) for n in CAMERAS]
    return [measure_one_node(load, Size(640, 360)) for load in track(loads, 'cameras')]


def sizes_figures() -> list[dict[str, Any]]:
    """A picture to its mask, in process, by size and threads."""
    common = {
        'model': None, 'backend': 'openvino', 'precision': 'int8', 'device': 'cpu',
        'cache_dir': str(default_cache_dir()), 'frames': 100,
    }  # fmt: skip
    cases = [
        {**common, 'threads': threads, 'width': size.width, 'height': size.height}
        for size in map(Size.parse, SIZES)
        for threads in THREADS
    ]
    return measure_cases(cases, rounds=3)


def bags_figures() -> list[dict[str, Any]]:
    """`replay` of bags of three lengths: seconds and the most memory it took."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for frames in track(BAG_FRAMES, 'bags'):
            bag = Path(folder) / f'{frames}.mcap'
            _write_bag(bag, frames)
            command = [sys.executable, '-m', 'seg_node', 'replay', str(bag)]
            figures.append({'frames': frames, 'bytes': bag.stat().st_size, **_run(command)})
            bag.unlink()
    return figures


def _write_bag(path: Path, frames: int) -> None:
    """Raw 640x360 pictures at 20 Hz."""
    size = Size(640, 360)
    scenes = [road_scene(size, seed) for seed in range(8)]
    with McapWriter(path) as bag:
        image, header, stamp = (
            bag.types[name]
            for name in (
                'sensor_msgs/msg/Image',
                'std_msgs/msg/Header',
                'builtin_interfaces/msg/Time',
            )
        )
        for number in range(frames):
            at = (number + 1) * 50_000_000
            when = header(stamp(*divmod(at, 1_000_000_000)), 'camera')
            pixels = np.roll(scenes[number % 8], number, axis=1)
            row = 3 * size.width
            message = image(when, size.height, size.width, 'bgr8', 0, row, pixels.reshape(-1))
            bag.put('/camera/image_raw', at, message)


def map_figures() -> list[dict[str, Any]]:
    """A lane map of 1 to 50 km, each in a process of its own."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for km in track(KILOMETRES, 'map'):
            answer = Path(folder) / 'cost.json'
            command = [sys.executable, '-m', 'seg_node.lane_map.cost', '--json', str(answer)]
            command += ['--metres', str(1000 * km), '--step', str(_STEP_M), '--overflow', folder]
            process = _run(command)
            figures.append(json.loads(answer.read_text(encoding='utf-8')) | process)
    return figures


def _run(command: list[str]) -> dict[str, Any]:
    """Run to the end; wall and processor seconds, the most memory (resident, MB)."""
    begin = time.perf_counter()
    process = psutil.Popen(command, env=child_environment(), stdout=-3)
    peak, used = 0.0, 0.0
    while process.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss / 1e6)
            used = sum(process.cpu_times()[:2])
        except psutil.Error:
            break
        time.sleep(0.05)
    if process.wait():
        raise SystemExit(f'{" ".join(command)}: ended with {process.returncode}')
    wall = time.perf_counter() - begin
    return {'seconds': round(wall, 2), 'cpu_s': round(used, 2), 'peak_mb': round(peak, 1)}


PARTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    'cameras': cameras_figures,
    'sizes': sizes_figures,
    'bags': bags_figures,
    'map': map_figures,
}


def tables(figures: Mapping[str, Any]) -> list[str]:
    """The page's lines."""
    lines = [f'Machine: {figures["machine"]}.', '']
    lines += _cameras(figures['cameras']) + _sizes(figures['sizes'])
    return lines + _bags(figures['bags']) + _map(figures['map'])


def _cameras(records: list[dict[str, Any]]) -> list[str]:
    rows = [
        f'| {r["cameras"]} | {r["frames_per_s"]:.0f} | {r["memory_mb"]:.0f} | '
        f'{r["frames_received"]:.0f} | {r["frames_published"]:.0f} | '
        f'{r["frames_superseded"]:.0f} | {r["unaccounted"]} | {r["age_p99_ms"]:.0f} |'
        for r in records
    ]
    return [
        '## Cameras', '',
        f'One node, 640x360 each, over DDS; frames a second at {_FULL_HZ:g} Hz of each camera, '
        f'the rest at {_RIG_HZ:g} Hz (two periods: {2e3 / _RIG_HZ:.0f} ms).', '',
        '| cameras | frames/s at most | memory MB | received | published | superseded '
        '| unaccounted | age p99 ms |',
        '|---|---|---|---|---|---|---|---|', *rows, '',
    ]  # fmt: skip


def _sizes(records: list[dict[str, Any]]) -> list[str]:
    by = {(r['source_size'], r['threads']): r for r in records}
    base = by['640x360', THREADS[-1]]['total_ms']['p50']
    rows = []
    for size in SIZES:
        cells = [
            f'{by[size, t]["total_ms"]["p50"]:.1f} / {by[size, t]["total_ms"]["p99"]:.1f} | '
            f'{by[size, t]["not_network_ms"]["p50"]:.2f}'
            for t in THREADS
        ]
        ratio = by[size, THREADS[-1]]['total_ms']['p50'] / base
        rows.append(f'| {size} | {" | ".join(cells)} | {ratio:.2f} |')
    heads = ' | '.join(f'{t} threads: p50 / p99 ms | without the network' for t in THREADS)
    return [
        '## Pixels and threads', '',
        'A bgr8 picture to its mask of the same size, in process, three rounds in turns.', '',
        f'| picture | {heads} | over 640x360 |', '|---|' + '---|' * (2 * len(THREADS) + 1), *rows,
        '',
    ]  # fmt: skip


def _bags(records: list[dict[str, Any]]) -> list[str]:
    size, peak, seconds = (
        np.array([r[k] for r in records]) for k in ('bytes', 'peak_mb', 'seconds')
    )
    gigabytes = size / 1e9
    growth, speed = np.polyfit(gigabytes, peak, 1)[0], np.polyfit(gigabytes, seconds, 1)[0]
    rows = [
        f'| {r["frames"]:,} | {r["bytes"] / 1e9:.2f} | {r["seconds"]:.1f} | '
        f'{r["frames"] / r["seconds"]:.0f} | {r["peak_mb"]:.0f} |'
        for r in records
    ]
    memory = np.poly1d([growth, peak[-1] - growth * gigabytes[-1]])
    further = [
        f'| (line) | {gb} | {speed * gb / 60:.0f} min | | {memory(gb):.0f} |' for gb in (10, 100)
    ]
    return [
        '## Bags', '',
        '`replay` of raw 640x360 pictures in an MCAP file (zstd). Messages are read one by one: '
        f'what grows is the record of each frame, {growth:.1f} MB a GB. The last rows are the '
        'line through the measured ones, not measured.', '',
        '| frames | GB | seconds | frames/s | most memory MB |', '|---|---|---|---|---|',
        *rows, *further, '',
    ]  # fmt: skip


def _map(records: list[dict[str, Any]]) -> list[str]:
    rows = []
    for r in records:
        ms = r['milliseconds']
        rows.append(
            f'| {r["metres"] / 1000:g} | {r["frames"]:,} | {r["voxels"]:,} | '
            f'{r["voxels_on_disk"]:,} | {r["map_megabytes"]:.0f} | {r["peak_mb"]:.0f} | '
            f'{ms["update"]["p50"]:.1f} / {ms["update"]["p99"]:.1f} | '
            f'{ms["points_in_memory"]["p50"]:.0f} | {ms["points"]["p50"]:.0f} |'
        )
    return [
        '## Lane map', '',
        f'A road with three solid lines, a frame every {_STEP_M:g} m, `max_voxels` 1,000,000, '
        'what does not fit on disk; the process reads the whole map once at the end.', '',
        '| km | frames | voxels | on disk | map MB | process MB '
        '| update p50 / p99 ms | cloud of the near map ms | cloud of all ms |',
        '|---|---|---|---|---|---|---|---|---|', *rows, '',
    ]  # fmt: skip


def write_page(page: Path, figures: Mapping[str, Any]) -> None:
    """Write the tables between the page's markers."""
    write_part(page, BEGIN, END, ['', *tables(figures)])


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--only', nargs='+', choices=PARTS, default=list(PARTS))
    parser.add_argument('--json', type=Path, default=REPOSITORY / 'out' / 'growth.json')
    parser.add_argument('--page', type=Path, default=PAGE)
    parser.add_argument('--machine', required=True, help='what the page says of it')
    options = parser.parse_args()
    known = json.loads(options.json.read_text(encoding='utf-8')) if options.json.exists() else {}
    for name in options.only:
        known[name] = PARTS[name]()
        write_json(options.json, known)
    known['machine'] = options.machine
    write_json(options.json, known)
    if all(name in known for name in PARTS):
        write_page(options.page, known)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
