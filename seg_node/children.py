"""Child processes that run this project's own modules."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

_PACKAGES = ('seg_node', 'seg_node_sim', 'seg_node_training')


def child_environment(**changes: str) -> dict[str, str]:
    """The environment with which `python -m` finds the packages that this process has.

    Wherever the parent was started and however the packages were installed. `changes` are set on
    top.
    """
    specs = (importlib.util.find_spec(name) for name in _PACKAGES)
    roots = [str(Path(s.origin).absolute().parents[1]) for s in specs if s and s.origin]
    paths = dict.fromkeys([*roots, *os.environ.get('PYTHONPATH', '').split(os.pathsep)])
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(p for p in paths if p), **changes}
