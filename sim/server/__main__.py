"""`python -m seg_node_sim.server`."""

import argparse
import importlib
import sys

from seg_node.executables import interrupt_ends


def main() -> int:
    """Entry, also of `carla_server`."""
    with interrupt_ends(0):
        cli = importlib.import_module('seg_node_sim.server.cli')
        importlib.import_module('seg_node_sim.server.app')  # the renderer: seconds
    parser = argparse.ArgumentParser(prog='seg_node_sim.server', description=__doc__)
    cli.add_arguments(parser)
    return int(cli.main(parser.parse_args()))


if __name__ == '__main__':
    sys.exit(main())
