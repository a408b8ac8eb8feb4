"""`python -m seg_node_sim.server`."""

import argparse
import sys

from seg_node_sim.server.cli import add_arguments, main

if __name__ == '__main__':
    parser = argparse.ArgumentParser(prog='seg_node_sim.server', description=__doc__)
    add_arguments(parser)
    sys.exit(main(parser.parse_args()))
