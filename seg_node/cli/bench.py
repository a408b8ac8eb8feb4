"""Latency of every stage for models, backends, precisions, threads and camera sizes.

Each case runs in a process of its own, in several rounds in turns with the others, so that the
noise of a shared machine falls on all of them alike. With --dds the running node is measured over
DDS beside an echo node on the same transport. Medians and p99; on shared machines read the ratios.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seg_node.benchmark.cases import measure_cases
from seg_node.camera.size import Size
from seg_node.children import child_environment
from seg_node.errors import ConfigError
from seg_node.files import write_json
from seg_node.model.runner import BACKENDS, DEVICES, PRECISIONS, default_cache_dir
from seg_node.ros_process import require_rclpy
from seg_node.table import Table

_FULL_HZ = 60.0
"""Of each camera, for the frames a second: more than two cores segment."""
_OUTCOMES = ('received', 'published', 'superseded')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--model', type=Path, nargs='+', default=[None], help='model files')
    parser.add_argument('--backend', nargs='+', choices=BACKENDS, default=['openvino'])
    parser.add_argument('--precision', nargs='+', choices=PRECISIONS, default=['int8'])
    parser.add_argument('--device', choices=DEVICES, default='cpu')
    parser.add_argument('--threads', type=int, nargs='+', default=[0], help='0: one a core')
    parser.add_argument(
        '--size', nargs='+', metavar='WxH', help='default 1280x720; with --cameras 640x360'
    )
    parser.add_argument('--frames', type=int, default=200, help='frames a round')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--no-cache', action='store_true', help='compile the model anew')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write one record a case')
    parser.add_argument(
        '--table',
        nargs=argparse.REMAINDER,
        metavar='OPTIONS',
        help='rebuild docs/benchmarks.md (models x precisions x runtimes, peers beside them); '
        'what follows goes to training/benchmark.py; needs the extras training and bench',
    )
    dds = parser.add_argument_group('over DDS')
    dds.add_argument('--dds', action='store_true', help='measure the running node instead')
    dds.add_argument(
        '--rate', type=float, help='frames a second; default 30, of each of several cameras 15'
    )
    dds.add_argument('--seconds', type=float, default=60.0)
    dds.add_argument(
        '--cameras',
        type=int,
        metavar='N',
        help='one node that serves N cameras, in turns with N nodes: frames a second at more than '
        'can be done, memory, and what comes of every frame at --rate',
    )


def run(options: argparse.Namespace) -> int:
    """Measure, print a table, write the records."""
    if options.table is not None:
        return _whole_table(options.table)
    several = options.cameras is not None
    options.size = options.size or ['640x360' if several else '1280x720']
    options.rate = options.rate or (15.0 if several else 30.0)
    if options.frames < 1 or options.rounds < 1:
        raise ConfigError('--frames, --rounds: expected at least 1')
    if options.cameras is not None:
        return _rig(options)
    if options.dds:
        return _over_dds(options)
    cases = [
        _case(options, model, backend, precision, threads, Size.parse(size))
        for model in options.model
        for backend in options.backend
        for precision in options.precision
        for threads in options.threads
        for size in options.size
    ]
    records = measure_cases(cases, options.rounds)
    _print(records)
    if options.json:
        write_json(options.json, records)
    return 0


def _over_dds(options: argparse.Namespace) -> int:
    require_rclpy()
    from seg_node.benchmark.dds import OverDds, measure_over_dds

    measurement = OverDds(options.model[0], options.threads[0], options.rate, options.seconds)
    records = [measure_over_dds(measurement, Size.parse(size)) for size in options.size]
    table = Table(f'camera → DDS → node → DDS → reader at {options.rate:g} Hz, ms')
    table.columns('camera')
    table.numbers('node p50', 'p95', 'p99', 'echo p50', 'network p50', 'node adds p50')
    table.numbers('first mask to a new reader p50 (p99)')
    table.numbers('cold start s (processor)', 'echo', 'sent', 'answered', 'unaccounted')
    for r in records:
        node, echo = r['latency_ms'], r['echo_latency_ms']
        table.row(
            r['source_size'],
            *(f'{node[p]:.2f}' for p in ('p50', 'p95', 'p99')),
            f'{echo["p50"]:.2f}',
            f'{r["stages_ms"]["infer"]:.2f}',
            f'{r["node_adds_ms"]:.2f}',
            f'{r["first_mask_ms"]["p50"]:.1f} ({r["first_mask_ms"]["p99"]:.1f})',
            f'{r["cold_start_s"]:.2f} ({r["cold_start_cpu_s"]:.2f})',
            f'{r["echo_cold_start_s"]:.2f} ({r["echo_cold_start_cpu_s"]:.2f})',
            str(r['frames_sent']),
            str(r['frames_answered']),
            str(r['frames_unaccounted']),
        )
    table.print()
    if options.json:
        write_json(options.json, records)
    return 0


def _rig(options: argparse.Namespace) -> int:
    require_rclpy()
    if options.cameras < 2:
        raise ConfigError(f'--cameras: expected at least 2, got {options.cameras}')
    from seg_node.benchmark.rig import RigLoad, measure_rig

    model = None if options.model[0] is None else str(options.model[0])
    load = RigLoad(
        options.cameras, model, options.threads[0], _FULL_HZ, options.rate, options.seconds,
        options.rounds,
    )  # fmt: skip
    records = [measure_rig(load, Size.parse(size)) for size in options.size]
    table = Table(f'{options.cameras} cameras over DDS; one node that serves all, a node for each')
    table.columns('camera', 'nodes')
    table.numbers('frames/s', 'memory MB', f'at {options.rate:g} Hz: received', 'published')
    table.numbers('superseded', 'unaccounted', 'age p99 ms')
    for record in records:
        for key, nodes in (
            ('one_node', '1'),
            ('one_by_one', '1, streams: 1'),
            ('node_each', str(options.cameras)),
        ):
            part = record[key]
            table.row(
                record['source_size'],
                nodes,
                f'{part["frames_per_s"]:.1f}',
                f'{part["memory_mb"]:.0f}',
                *(f'{part[f"frames_{name}"]:.0f}' for name in _OUTCOMES),
                str(part['unaccounted']),
                f'{part["age_p99_ms"]:.1f}',
            )
        print(
            f'{record["source_size"]}: frames a second {record["frames_ratio"]:.2f} times, memory '
            f'{record["memory_ratio"]:.2f} times those of a node for each camera; side by side '
            f'{record["side_by_side_ratio"]:.2f} times one after the other'
        )
        one = record['one_node']
        print(
            f'{record["source_size"]} at {options.rate:g} Hz: {one["unaccounted"]} frames neither '
            f'published nor counted; age at p99 {one["age_p99_ms"]:.0f} ms, two periods are '
            f'{2 * record["period_ms"]:.0f} ms'
        )
    table.print()
    if options.json:
        write_json(options.json, records)
    return 0


def _whole_table(words: list[str]) -> int:
    """In a process of its own: torch stays out of this one."""
    for package in ('seg_node_training', 'torch', 'lightning'):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f'bench --table: needs the package {package}, it is not installed; '
                "in the repository: pip install -e '.[training,bench]'"
            )
    return subprocess.call(
        [sys.executable, '-m', 'seg_node_training.benchmark_table.cli', *words],
        env=child_environment(),
    )


def _case(
    options: argparse.Namespace,
    model: Path | None,
    backend: str,
    precision: str,
    threads: int,
    size: Size,
) -> dict[str, Any]:
    return {
        'model': None if model is None else str(model),
        'backend': backend,
        'precision': precision,
        'threads': threads,
        'device': options.device,
        'cache_dir': None if options.no_cache else str(default_cache_dir()),
        'width': size.width,
        'height': size.height,
        'frames': options.frames,
    }


def _print(records: Iterable[dict[str, Any]]) -> None:
    table = Table('camera frame (bgr8) to mask (mono8), in process, ms')
    table.columns('model', 'backend', 'precision', 'threads', 'camera', 'network')
    table.numbers('p50', 'p95', 'p99', 'network p50', 'rest p50', 'cold start s', 'RSS MB')
    for r in records:
        total = r['total_ms']
        table.row(
            r['model'],
            r['backend'],
            r['precision'],
            str(r['threads']),
            r['source_size'],
            r['network_size'],
            *(f'{total[p]:.2f}' for p in ('p50', 'p95', 'p99')),
            f'{r["stages_ms"]["infer"]["p50"]:.2f}',
            f'{r["not_network_ms"]["p50"]:.2f}',
            f'{r["cold_start_s"]:.2f}',
            f'{r["rss_mb"]:.0f}',
        )
    table.print()
