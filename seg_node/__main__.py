"""`python -m seg_node VERB`."""

import sys

from seg_node.cli import main

sys.exit(main())
