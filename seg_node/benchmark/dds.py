"""The running node over DDS, in turns with an echo node on the same transport."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from seg_node.benchmark.scene import road_scene
from seg_node.camera.size import Size
from seg_node.ros_process import ros_arguments
from seg_node.timing import STAGES, percentiles

_ROUNDS = 3
_JOINS = 5
"""Readers that come in a round while nobody else reads: the node was idle."""


@dataclass(frozen=True)
class OverDds:
    """What is measured: `model` None: the shipped one; `rate_hz` pictures for `seconds` in all."""

    model: Path | None
    threads: int
    rate_hz: float
    seconds: float


def measure_over_dds(options: OverDds, size: Size) -> dict[str, Any]:
    """Echo and node in turns with pictures of `size`; one record.

    Cold start: from the start of the process to the first answer over DDS, and the processor time
    it took until then (of all threads), each the median of the rounds. `first_mask_ms`: from a
    subscription while nobody else reads to its first mask.
    """
    from seg_node.ros.session import private_graph

    node: list[dict[str, Any]] = []
    echo: list[dict[str, Any]] = []
    model = None if options.model is None else str(options.model)
    arguments = ros_arguments({'model': model, 'threads': options.threads})
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
        'rate_hz': options.rate_hz,
        'latency_ms': latencies,
        'echo_latency_ms': echoes,
        'stages_ms': stages,
        'node_adds_ms': round(latencies['p50'] - echoes['p50'] - stages['infer'], 3),
        'first_mask_ms': percentiles(v for part in node for v in part['first_mask_ms']),
        'cold_start_s': _middle(node, 'cold_start_s'),
        'cold_start_cpu_s': _middle(node, 'cold_start_cpu_s'),
        'echo_cold_start_s': _middle(echo, 'cold_start_s'),
        'echo_cold_start_cpu_s': _middle(echo, 'cold_start_cpu_s'),
        'frames_sent': sent,
        'frames_answered': sum(part['answered'] for part in node),
        'frames_unaccounted': sent - settled,
        **counts,
    }


def _trip(
    module: str,
    answer: str,
    arguments: list[str],
    options: OverDds,
    size: Size,
    seconds: float,
) -> dict[str, Any]:
    from seg_node.ros.probe import LatencyProbe
    from seg_node.ros.session import node_process, spinning

    probe, scene = LatencyProbe(answer), road_scene(size)
    # The reader is there first, so that a start is the node's alone.
    with spinning(probe):
        began = time.monotonic()
        with node_process(module, arguments) as process:
            counted = answer.startswith('/seg_node')
            probe.wait_ready()
            probe.warm_up(scene, every_s=0.02)
            cold_start_s = time.monotonic() - began
            used = psutil.Process(process.pid).cpu_times()
            before = probe.settled_counts() if counted else {}
            frames = itertools.islice(_pictures(size), int(seconds * options.rate_hz))
            probe.send_all(frames, options.rate_hz)
            after = probe.settled_counts() if counted else {}
            counts = {name: after[name] - before[name] for name in after}
            trip = probe.take_trip()
            joins = [probe.join_again(scene, options.rate_hz) for _ in range(counted * _JOINS)]
            return {
                'sent': trip.sent,
                'answered': trip.answered,
                'latency_ms': trip.latency_ms,
                'diagnostics': dict(probe.diagnostics),
                'counts': counts,
                'first_mask_ms': joins,
                'cold_start_s': cold_start_s,
                'cold_start_cpu_s': used.user + used.system,
            }


def _middle(rounds: list[dict[str, Any]], name: str) -> float:
    return round(float(np.median([each[name] for each in rounds])), 3)


def _pictures(size: Size) -> Iterator[npt.NDArray[np.uint8]]:
    return itertools.cycle([road_scene(size, seed) for seed in range(4)])
