"""`python training/train.py` from a clone: `seg_node_training.train.cli`."""

import _clone  # noqa: F401
from seg_node_training.train.cli import main

if __name__ == '__main__':
    raise SystemExit(main())
