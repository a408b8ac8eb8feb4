"""Paint a finished RTAB-Map database: a copy whose nodes hold the mask instead of the camera.

A map made of raw RGB-D closes its loops; one made of painted pictures hardly does. So map first,
then paint: the graph, the loops and the odometry of MAP.db stay as they are.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from seg_node.cli.model_options import add_model_arguments, run_options
from seg_node.files import write_json
from seg_node.model.loader import load_model
from seg_node.pipeline import Segmenter
from seg_node.progress import track
from seg_node.rgbd import MODES, RgbdMode
from seg_node.rtabmap.paint import paint_map


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('map', type=Path, metavar='MAP.db', help='database of a finished map')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='PAINTED.db')
    parser.add_argument(
        '--mode', choices=MODES[1:], default='lane_rgb', help="as the node's rtabmap.mode"
    )
    parser.add_argument(
        '--drop-classes', nargs='+', default=[], metavar='CLASS', help='with mode drop_classes'
    )
    parser.add_argument('--dilate-px', type=int, default=0, metavar='N', help='widen the classes')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write figures')
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Paint every node; 1 when some had to be left as they were."""
    started = time.monotonic()
    loaded = load_model(options.model, run_options(options))
    segmenter = Segmenter(loaded.runner)
    mode = RgbdMode.of(
        options.mode, loaded.runner.spec.classes, options.drop_classes, options.dilate_px
    )
    report = paint_map(
        options.map,
        options.output,
        mode,
        lambda frame: segmenter(frame).mask,
        lambda nodes, count: track(nodes, 'paint', count),
    )
    for node, why in report.left.items():
        print(f'node {node}: left as it was: {why}', file=sys.stderr)
    seconds = time.monotonic() - started
    print(f'{report.painted} nodes painted in {options.output} ({mode.mode}), {seconds:.1f} s')
    if options.json:
        left = {str(node): why for node, why in report.left.items()}
        figures = {'mode': mode.mode, 'painted': report.painted, 'left': left}
        write_json(options.json, figures | {'seconds': round(seconds, 3)})
    return 1 if report.left else 0
