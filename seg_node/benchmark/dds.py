"""The running node over DDS, in turns with an echo node on the same transport."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.benchmark.scene import road_scene
from seg_node.cli.ros_process import require_rclpy, ros_arguments
from seg_node.cli.table import Table
from seg_node.files import write_json
from seg_node.geometry import Size
from seg_node.timing import STAGES, percentiles

_ROUNDS = 3


def run_over_dds(options: argparse.Namespace) -> int:
    """Echo and node in turns, `--seconds` each in all; prints and writes one record a size."""
    require_rclpy()
    records = [_measure(options, Size.parse(size)) for size in options.size]
    table = Table(f'camera → DDS → node → DDS → reader at {options.rate:g} Hz, ms')
    table.columns('camera')
    table.numbers('node p50', 'p95', 'p99', 'echo p50', 'network p50', 'node adds p50')
    table.numbers('sent', 'answered', 'unaccounted')
    for r in records:
        node, echo = r['latency_ms'], r['echo_latency_ms']
        table.row(
            r['source_size'],
            *(f'{node[p]:.2f}' for p in ('p50', 'p95', 'p99')),
            f'{echo["p50"]:.2f}',
            f'{r["stages_ms"]["infer"]:.2f}',
            f'{r["node_adds_ms"]:.2f}',
            str(r['frames_sent']),
            str(r['frames_answered']),
            str(r['frames_unaccounted']),
        )
    table.print()
    if options.json:
        write_json(options.json, records)
    return 0


def _measure(options: argparse.Namespace, size: Size) -> dict[str, Any]:
    from seg_node.ros.session import private_graph

    node: list[dict[str, Any]] = []
    echo: list[dict[str, Any]] = []
    model = None if options.model[0] is None else str(options.model[0])
    arguments = ros_arguments({'model': model, 'threads': options.threads[0]})
    arguments += ['--log-level', 'warn']
    seconds = options.seconds / _ROUNDS
    with private_graph():
        for _ in range(_ROUNDS):
            echo.append(_trip('seg_node.ros.echo_node', '/echo/mask', [], options, size, seconds))
            node.append(
                _trip('seg_node.ros.node', '/seg_node/mask', arguments, options, size, seconds)
            )
    latencies = percentiles(v for part in node for v in part['latency_ms'])
    echoes = percentiles(v for part in echo for v in part['latency_ms'])
    stages = {
        stage: float(np.median([float(p['diagnostics'][f'{stage}_ms_p50']) for p in node]))
        for stage in STAGES
    }
    sent = sum(part['sent'] for part in node)
    counts = {k: sum(p['counts'][k] for p in node) for k in node[0]['counts']}
    settled = sum(n for name, n in counts.items() if name != 'frames_received')
    return {
        'source_size': str(size),
        'rate_hz': options.rate,
        'latency_ms': latencies,
        'echo_latency_ms': echoes,
        'stages_ms': stages,
        'node_adds_ms': round(latencies['p50'] - echoes['p50'] - stages['infer'], 3),
        'frames_sent': sent,
        'frames_answered': sum(part['answered'] for part in node),
        'frames_unaccounted': sent - settled,
        **counts,
    }


def _trip(
    module: str,
    answer: str,
    arguments: list[str],
    options: argparse.Namespace,
    size: Size,
    seconds: float,
) -> dict[str, Any]:
    from seg_node.ros.probe import Probe
    from seg_node.ros.session import node_process, spinning

    with node_process(module, arguments):
        probe = Probe(answer)
        with spinning(probe):
            counted = answer.startswith('/seg_node')
            probe.wait_ready()
            probe.warm_up(road_scene(size))
            before = probe.settled_counts() if counted else {}
            frames = itertools.islice(_pictures(size), int(seconds * options.rate))
            probe.send_all(frames, options.rate)
            after = probe.settled_counts() if counted else {}
            counts = {name: after[name] - before[name] for name in after}
            return {
                'sent': probe.trip.sent,
                'answered': probe.trip.answered,
                'latency_ms': probe.trip.latency_ms,
                'diagnostics': dict(probe.diagnostics),
                'counts': counts,
            }


def _pictures(size: Size) -> Iterator[npt.NDArray[np.uint8]]:
    return itertools.cycle([road_scene(size, seed) for seed in range(4)])
