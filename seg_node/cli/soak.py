"""The whole system for minutes or hours while its parts are killed and disturbed at random.

Embedded CARLA server, source, node and lane map are processes of their own, over real DDS. Every
frame and every mask is heard and compared; what each part holds is sampled. Exit status 1 when
counts do not add up, a mask has a header that no frame had or comes out of order, or a part
grows. How late the node answers services and its timers fire is measured beside.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from seg_node.errors import ConfigError
from seg_node.files import write_json
from seg_node.ros_process import require_rclpy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--minutes', type=float, default=5.0, metavar='M', help='(%(default)s)')
    parser.add_argument(
        '--cycles', type=int, default=0, metavar='N',
        help='in place of minutes: kill source, server and node N times each',
    )  # fmt: skip
    parser.add_argument(
        '--fault-every', type=float, default=15.0, metavar='S', help='seconds (%(default)s)'
    )
    parser.add_argument(
        '--warm-up', type=float, default=60.0, metavar='S',
        help='seconds before what is held is sampled (%(default)s)',
    )  # fmt: skip
    parser.add_argument('--rate', type=float, default=10.0, help='frames a second (%(default)s)')
    parser.add_argument(
        '--stress', type=int, default=0, metavar='N', help='busy processes beside (%(default)s)'
    )
    parser.add_argument('--town', default='Grid', help='(%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the faults (%(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures')


def run(options: argparse.Namespace) -> int:
    """Run it and print what came of it."""
    if not (options.minutes > 0 and options.fault_every > 0 and 0.1 <= options.rate <= 200):
        raise ConfigError('--minutes, --fault-every: expected above 0; --rate: 0.1 to 200')
    if options.cycles < 0 or options.warm_up < 0 or options.stress < 0:
        raise ConfigError('--cycles, --warm-up, --stress: expected 0 or more')
    require_rclpy()
    from seg_node.soak.run import SoakRequest, soak

    request = SoakRequest(
        minutes=options.minutes,
        folder=Path(tempfile.mkdtemp(prefix='seg_node_soak_')),
        fault_s=options.fault_every,
        warm_up_s=options.warm_up,
        rate=options.rate,
        town=options.town,
        seed=options.seed,
        cycles=options.cycles,
        stress=options.stress,
    )
    figures = soak(request)
    _print(figures)
    for line in figures['violations'][:20]:
        print(f'violation: {line}')
    if options.json:  # last: half an hour's figures are told also where they cannot be written
        write_json(options.json, figures)
    return 1 if figures['violations'] else 130 if figures['interrupted'] else 0


def _print(figures: dict[str, Any]) -> None:
    from seg_node.table import Table

    table = Table('soak')
    table.columns('what')
    table.numbers('figure')
    table.row('seconds', f'{figures["seconds"]:g}')
    table.row('frames sent, masks', f'{figures["frames_sent"]}, {figures["masks"]}')
    for name, count in figures['faults'].items():
        table.row(f'fault: {name}', str(count))
    for name, seconds in figures['masks_again_s'].items():
        table.row(f'{name} killed, masks again', f'{seconds["p50"]} s p50, {seconds["max"]} s max')
    for name, seconds in figures['masks_again_cpu_s'].items():
        table.row(f'{name}: CPU time of that', f'{seconds["p50"]} s p50, {seconds["max"]} s max')
    for name, held in figures['held'].items():
        last = held['last']
        table.row(
            f'{name}: memory, descriptors, threads',
            f'{last["memory_mb"]} MB ({held["memory_grew_mb"]:+g}), {last["descriptors"]} '
            f'({held["descriptors_grew"]:+d}), {last["threads"]} ({held["threads_grew"]:+d})',
        )
    for name, late in figures['promptness_ms'].items():
        table.row(f'{name} of the node', f'{late["p50"]:.1f} ms p50, {late["p99"]:.1f} ms p99')
    table.row('violations', str(len(figures['violations'])))
    table.print()
