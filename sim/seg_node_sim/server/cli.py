"""Command line of the server, for `seg_node sim serve` and `python -m seg_node_sim.server`."""

from __future__ import annotations

import argparse
import os
import sys

from seg_node.errors import SegNodeError
from seg_node_sim.server import ServerOptions, run_server
from seg_node_sim.server.parent import end_with


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the server's options to a parser."""
    default = ServerOptions()
    parser.add_argument('--host', default=default.host, help='address to listen on (%(default)s)')
    parser.add_argument(
        '--port', type=int, default=default.port, help='control port (%(default)s)'
    )
    parser.add_argument('--town', default=default.town, help='town to begin with (%(default)s)')
    parser.add_argument(
        '--fps',
        type=float,
        default=default.fps,
        help='ticks per second in asynchronous mode (%(default)s)',
    )
    parser.add_argument(
        '--announce',
        default=default.announce,
        metavar='VERSION',
        help='CARLA version to present; sensor ids follow it (%(default)s)',
    )
    parser.add_argument(
        '--seed', type=int, default=default.seed, help='seed of sensor noise (%(default)s)'
    )
    parser.add_argument(
        '--no-preload',
        dest='preload',
        action='store_false',
        help='build the renderer at the first camera, not at the start',
    )
    parser.add_argument(
        '--exit-with-parent',
        type=int,
        nargs='?',
        const=os.getppid(),
        metavar='PID',
        help='end when the process that started the server (PID, if it says so) is gone',
    )


def follow_parent(args: argparse.Namespace) -> None:
    """Begin to watch the parent, if asked for; before what takes seconds."""
    if args.exit_with_parent is not None:
        end_with(args.exit_with_parent)


def main(args: argparse.Namespace) -> int:
    """Run the server with parsed arguments; returns the exit status."""
    try:
        options = ServerOptions(
            host=args.host,
            port=args.port,
            town=args.town,
            fps=args.fps,
            announce=args.announce,
            seed=args.seed,
            preload=args.preload,
        )
    except SegNodeError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return run_server(options)
