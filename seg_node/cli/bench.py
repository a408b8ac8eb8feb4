"""Latency of every stage for models, backends, precisions, threads and camera sizes.

Each case runs in a process of its own, in several rounds in turns with the others, so that the
noise of a shared machine falls on all of them alike. With --dds the running node is measured over
DDS beside an echo node on the same transport. Medians and p99; on shared machines read the ratios.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seg_node.cli.table import Table
from seg_node.errors import ConfigError, SegNodeError
from seg_node.files import write_json
from seg_node.geometry import Size
from seg_node.model.runner import BACKENDS, DEVICES, PRECISIONS, default_cache_dir
from seg_node.progress import track
from seg_node.timing import STAGES, percentiles


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--model', type=Path, nargs='+', default=[None], help='model files')
    parser.add_argument('--backend', nargs='+', choices=BACKENDS, default=['openvino'])
    parser.add_argument('--precision', nargs='+', choices=PRECISIONS, default=['int8'])
    parser.add_argument('--device', choices=DEVICES, default='cpu')
    parser.add_argument('--threads', type=int, nargs='+', default=[0], help='0: one a core')
    parser.add_argument('--size', nargs='+', default=['1280x720'], metavar='WxH')
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
    dds.add_argument('--rate', type=float, default=30.0, help='frames a second')
    dds.add_argument('--seconds', type=float, default=60.0)


def run(options: argparse.Namespace) -> int:
    """Measure, print a table, write the records."""
    if options.table is not None:
        return _whole_table(options.table)
    if options.frames < 1 or options.rounds < 1:
        raise ConfigError('--frames, --rounds: expected at least 1')
    if options.dds:
        from seg_node.benchmark.dds import run_over_dds

        return run_over_dds(options)
    cases = [
        _case(options, model, backend, precision, threads, Size.parse(size))
        for model in options.model
        for backend in options.backend
        for precision in options.precision
        for threads in options.threads
        for size in options.size
    ]
    rounds: list[list[dict[str, Any]]] = [[] for _ in cases]
    turns = [i for _ in range(options.rounds) for i in range(len(cases))]
    for i in track(turns, 'bench'):
        rounds[i].append(_run_case(cases[i]))
    records = [_record(case, found) for case, found in zip(cases, rounds)]
    _print(records)
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
    return subprocess.call([sys.executable, '-m', 'seg_node_training.benchmark', *words])


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


def _run_case(case: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, '-m', 'seg_node.benchmark.case', json.dumps(case)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = done.stderr.strip().splitlines()[-1:] or [f'exit status {done.returncode}']
        raise SegNodeError(f'bench case {case["model"]} {case["backend"]}: {tail[0]}')
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if 'error' in answer:
        raise SegNodeError(answer['error'])
    return answer


def _record(case: dict[str, Any], rounds: list[dict[str, Any]]) -> dict[str, Any]:
    laps = [lap for found in rounds for lap in found['laps']]
    stages = {s: percentiles(lap[s] for lap in laps) for s in STAGES if s in laps[0]}
    first = rounds[0]
    outside = [sum(lap.values()) - lap['infer'] for lap in laps]
    return {
        **{key: first[key] for key in ('model', 'backend', 'precision', 'threads')},
        'source_size': f'{case["width"]}x{case["height"]}',
        'network_size': first['network_size'],
        'total_ms': percentiles(sum(lap.values()) for lap in laps),
        'stages_ms': stages,
        'not_network_ms': percentiles(outside),
        'cold_start_s': round(statistics.median(r['cold_start_s'] for r in rounds), 3),
        'rss_mb': round(statistics.median(r['rss_mb'] for r in rounds), 1),
        'frames': len(laps),
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
