"""`python -m seg_node_sim.server`."""

import argparse
import importlib
import sys

from seg_node.executables import interrupt_ends


def main() -> int:
    """Entry, also of `carla_server`."""
    with interrupt_ends(0, terminated=True):
        cli = importlib.import_module('seg_node_sim.server.cli')
        parser = argparse.ArgumentParser(prog='seg_node_sim.server', description=__doc__)
        cli.add_arguments(parser)
        options = parser.parse_args()
        cli.follow_parent(options)
        importlib.import_module('seg_node_sim.server.app')  # the renderer: seconds
    return int(cli.main(options))


if __name__ == '__main__':
    sys.exit(main())
