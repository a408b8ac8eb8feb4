"""`python training/gather.py` from a clone: `seg_node_training.data.gather`."""

import _clone  # noqa: F401
from seg_node_training.data.gather import main

if __name__ == '__main__':
    raise SystemExit(main())
