"""`python training/export.py` from a clone: `seg_node_training.export.cli`."""

import _clone  # noqa: F401
from seg_node_training.export.cli import main

if __name__ == '__main__':
    raise SystemExit(main())
