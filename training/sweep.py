"""`python training/sweep.py` from a clone: `seg_node_training.studies.sweep`."""

import _clone  # noqa: F401
from seg_node_training.studies.sweep import main

if __name__ == '__main__':
    raise SystemExit(main())
