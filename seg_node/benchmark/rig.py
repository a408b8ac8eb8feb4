"""Several cameras over DDS: one node that serves all, in turns with a node for each.

The one node is measured with frames side by side in the network, as it does by itself, and with
one after the other.

Two loads: more frames than can be segmented, for the frames a second; and a rate that a rig has,
for what comes of each frame and how old its mask is.
"""

from __future__ import annotations

import contextlib
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from seg_node.benchmark.scene import road_scene
from seg_node.camera.size import Size
from seg_node.ros_process import ros_arguments

if TYPE_CHECKING:
    from seg_node.ros.rig_probe import Reading

_WARM_UP_S = 3.0


@dataclass(frozen=True)
class RigLoad:
    """What is measured: `model` None: the shipped one; rates are of each camera."""

    cameras: int
    model: str | None
    threads: int
    full_hz: float
    rig_hz: float
    seconds: float
    rounds: int

    @property
    def names(self) -> list[str]:
        """Of the cameras."""
        return [f'camera_{number}' for number in range(self.cameras)]


def _words(load: RigLoad, **changes: Any) -> list[str]:
    """The node's command line."""
    own = {'model': load.model, 'threads': load.threads, 'lazy': False, **changes}
    return [*ros_arguments(own), '--log-level', 'warn']


def _alone(load: RigLoad, camera: str) -> list[str]:
    """That of a node for one camera, in a namespace of its name."""
    return [*_words(load), '-r', f'__ns:=/{camera}']


def measure_one_node(load: RigLoad, size: Size) -> dict[str, Any]:
    """One node with all cameras, alone; one record. One camera is a node as it comes."""
    from seg_node.ros.session import private_graph

    names = load.names
    words = _words(load, cameras=names) if len(names) > 1 else _alone(load, names[0])
    with private_graph():
        parts = [_measured([words], names, load, size) for _ in range(load.rounds)]
    return {'cameras': load.cameras, 'source_size': str(size), **_of_rounds(parts)}


def measure_rig(load: RigLoad, size: Size) -> dict[str, Any]:
    """One node with all cameras and a node for each, in turns; one record."""
    from seg_node.ros.session import private_graph

    names = load.names
    ways = {
        'one_node': [_words(load, cameras=names)],
        'one_by_one': [_words(load, cameras=names, streams=1)],
        'node_each': [_alone(load, name) for name in names],
    }
    rounds: dict[str, list[dict[str, Any]]] = {key: [] for key in ways}
    with private_graph():
        for _ in range(load.rounds):
            for key, nodes in ways.items():
                rounds[key].append(_measured(nodes, names, load, size))
    record: dict[str, Any] = {'cameras': load.cameras, 'source_size': str(size)}
    record |= {key: _of_rounds(parts) for key, parts in rounds.items()}
    for name, key, other in (
        ('frames_ratio', 'frames_per_s', 'node_each'),
        ('memory_ratio', 'memory_mb', 'node_each'),
        ('side_by_side_ratio', 'frames_per_s', 'one_by_one'),
    ):
        both = zip(rounds['one_node'], rounds[other])
        record[name] = round(statistics.median(a[key] / b[key] for a, b in both), 3)
    record['rig_hz'], record['period_ms'] = load.rig_hz, 1e3 / load.rig_hz
    return record


def _measured(
    nodes: list[list[str]], names: list[str], load: RigLoad, size: Size
) -> dict[str, Any]:
    from seg_node.ros.rig_probe import COUNTS, RigProbe
    from seg_node.ros.session import node_process, spinning

    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(node_process('seg_node.ros.node', words)) for words in nodes
        ]
        rig = RigProbe(names, [road_scene(size, seed) for seed in range(len(names))])
        stack.enter_context(spinning(rig))
        rig.connect()
        rig.send_for(_WARM_UP_S, load.rig_hz)
        at_rate = rig.send_for(load.seconds, load.rig_hz)
        full = rig.send_for(load.seconds, load.full_hz)
        memory = sum(psutil.Process(p.pid).memory_full_info().pss for p in running)
    last = [readings[-1] for readings in at_rate.values()]
    return {
        'frames_per_s': round(sum(map(_rate, full.values())), 2),
        'sent_per_s': round(sum(_rate(r, 'received') for r in full.values()), 2),
        'memory_mb': round(memory / 1e6, 1),
        'age_p99_ms': max(reading.age_p99_ms for reading in last),
        'unaccounted': sum(max(0, r.unaccounted - 2) for r in last),
        **{f'frames_{key}': sum(r.counts[key] for r in last) for key in COUNTS},
    }


def _rate(readings: list[Reading], count: str = 'published') -> float:
    first, last = readings[0], readings[-1]
    return (last.counts[count] - first.counts[count]) / (last.time_s - first.time_s)


def _of_rounds(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians; what must not be lost and the oldest mask are the worst of all rounds."""
    worst = ('age_p99_ms', 'unaccounted')
    return {
        key: max(p[key] for p in parts)
        if key in worst
        else statistics.median(p[key] for p in parts)
        for key in parts[0]
    }
