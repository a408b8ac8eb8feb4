"""`python training/calibrate.py` from a clone: `seg_node_training.evaluate.calibrate_cli`."""

import _clone  # noqa: F401
from seg_node_training.evaluate.calibrate_cli import main

if __name__ == '__main__':
    raise SystemExit(main())
