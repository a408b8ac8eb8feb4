"""A clone's commands run the clone's own code, whatever is installed.

`python training/train.py` puts `training/` first on the path; the other two packages follow here.
"""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(_ROOT), str(_ROOT / 'sim')]
