"""A camera faster than the network: what became of every frame, and how prompt the node is.

`python -m seg_node.soak.load --frames 60000 --rate 200` runs the node in a process of its
own, sends small pictures over reliable DDS and reads every mask. It exits with 0 only when each
frame that reached the node is accounted for and each mask has the header of a frame, in their
order. What DDS lost, whose queues hold 100 frames, is said apart. Beside that it asks for the
node's state ten times a second (`seg_node.ros.promptness`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from seg_node.benchmark.scene import road_scene
from seg_node.camera.size import Size
from seg_node.errors import InputError, SegNodeError
from seg_node.files import write_json
from seg_node.progress import track
from seg_node.ros.session import ensure_running, node_process, private_graph, spinning
from seg_node.ros.soak_watch import SoakWatch
from seg_node.ros_process import ros_arguments

_IMAGE, _CAMERA_INFO, _MASK = '/image', '/camera_info', '/seg_node/mask'
_PATIENCE_S = 60.0
_DEPTH = 100
"""Frames that the queue of the node's reader holds, as that of the sender."""
_AHEAD = 60
"""Frames that may be on their way to the reader of this process: more would fill its queue."""


def probe(frames: int, rate: float, size: Size, model: str = '') -> dict[str, Any]:
    """Send `frames` of `size`, `rate` a second; figures, with `violations`: one line each.

    Raises `InputError` where the node ends or gives no mask.
    """
    reliable = {
        f'qos_overrides.{_IMAGE}.subscription.{key}': value
        for key, value in (('reliability', 'reliable'), ('depth', _DEPTH))
    }
    arguments = ros_arguments({'model': model or None, **reliable})
    arguments += ['--log-level', 'warn']
    with tempfile.TemporaryDirectory(prefix='seg_node-') as folder, private_graph():
        watch, log = SoakWatch(_IMAGE, _CAMERA_INFO, _MASK), Path(folder) / 'node.log'
        with spinning(watch), node_process('seg_node.ros.node', arguments, log) as process:
            end = time.monotonic() + _PATIENCE_S
            while not watch.connected:
                ensure_running(process, log)
                if time.monotonic() > end:
                    raise InputError(f'node: nobody reads {_IMAGE} after {_PATIENCE_S:g} s')
                time.sleep(0.05)
            sent, seconds = _send(watch, frames, rate, size)
            ensure_running(process, log)
            settled = watch.settled(_PATIENCE_S)
            return _figures(watch, sent, seconds, settled)


def _send(watch: SoakWatch, frames: int, rate: float, size: Size) -> tuple[int, float]:
    """Send them; how many, and the seconds it took."""
    pictures = [road_scene(size, seed) for seed in range(4)]
    begun = due = time.monotonic()
    for number in track(range(frames), 'frames'):
        watch.send(time.time_ns(), pictures[number % len(pictures)])
        # Behind by more than a second it does not catch up, nor does it run away from its reader.
        due = max(due + 1.0 / rate, time.monotonic() - 1.0)
        time.sleep(max(0.0, due - time.monotonic()))
        end = time.monotonic() + _PATIENCE_S
        while number - watch.order.frames > _AHEAD and time.monotonic() < end:
            time.sleep(0.001)
    return frames, time.monotonic() - begun


def _figures(watch: SoakWatch, sent: int, seconds: float, settled: bool) -> dict[str, Any]:
    watch.order.close()
    counts = {name.removeprefix('frames_'): count for name, count in watch.counts.items()}
    received = counts.get('received', 0)
    unaccounted = received - sum(n for name, n in counts.items() if name != 'received')
    violations = [*watch.order.violations]
    violations += [f'counts do not add up: {text}' for text in watch.unaccounted]
    if not settled or unaccounted:
        violations.append(f'{unaccounted} of {received} frames are not accounted for')
    if not watch.order.masks:
        violations.append('no mask came')
    return {
        'sent': sent,
        'rate_hz': round(sent / seconds, 1),
        **counts,
        'unaccounted': unaccounted,
        'lost_by_dds': sent - received,
        'masks_heard': watch.order.masks,
        'wrong_headers': len(watch.order.violations),
        'load_1min': round(os.getloadavg()[0], 1),
        'promptness_ms': watch.promptness.figures(),
        'violations': violations,
    }


def main(arguments: list[str] | None = None) -> int:
    """Entry; exit status 1 where a frame is not accounted for or a header is wrong."""
    parser = argparse.ArgumentParser(
        prog='python -m seg_node.soak.load',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--frames', type=int, default=6000, help='(%(default)s)')
    parser.add_argument('--rate', type=float, default=200.0, help='frames a second (%(default)s)')
    parser.add_argument('--size', default='64x36', help='WIDTHxHEIGHT (%(default)s)')
    parser.add_argument('--model', default='', help='default: the shipped one')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures')
    options = parser.parse_args(arguments)
    if options.frames < 1 or not 0.1 <= options.rate <= 1000.0:
        parser.error('--frames: expected 1 or more; --rate: 0.1 to 1000')
    try:
        size = Size.parse(options.size)
        figures = probe(options.frames, options.rate, size, options.model)
        for name, value in figures.items():
            if name not in ('violations', 'promptness_ms'):
                print(f'{name:14} {value}')
        for name, late in figures['promptness_ms'].items():
            print(f'{name:14} {late["p50"]:.1f} ms p50, {late["p99"]:.1f} ms p99')
        for line in figures['violations'][:20]:
            print(f'violation: {line}')
        if options.json:
            write_json(options.json, figures)
    except SegNodeError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 1 if figures['violations'] else 0


if __name__ == '__main__':
    sys.exit(main())
