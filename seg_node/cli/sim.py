"""CARLA: the embedded server, captures, and drives; the same with a real server (--host)."""

from __future__ import annotations

import argparse
import importlib

from seg_node.errors import ConfigError
from seg_node.executables import interrupt_ends
from seg_node.prerequisites import missing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of every sub-verb."""
    try:
        with interrupt_ends(130, 'interrupted'):
            command = importlib.import_module('seg_node_sim.command')
    except ImportError as error:
        # Told by run(), so that --help and usage errors work without the simulator's packages.
        parser.add_argument('rest', nargs=argparse.REMAINDER)
        parser.set_defaults(missing=missing(error))
        return
    command.add_arguments(parser)
    parser.set_defaults(missing='')


def run(options: argparse.Namespace) -> int:
    """Run the sub-verb."""
    if options.missing:
        raise ConfigError(options.missing)
    command = importlib.import_module('seg_node_sim.command')
    return int(command.run(options))
