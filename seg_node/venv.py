"""The virtual environment beside a ROS workspace, which `make ros-setup` makes.

`ros2 run` and `ros2 launch` start our scripts with the system's Python, whatever environment is
activated. It has the distribution's numpy and OpenCV, not the runtimes. So our programs take the
environment's packages in by themselves, at the place where its own Python would have them: after
the workspace, before the system's.
"""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterator
from pathlib import Path

NAME = 'seg_node_venv'
VARIABLE = 'SEG_NODE_VENV'


def venv_dir() -> Path | None:
    """`$SEG_NODE_VENV`, or the nearest `seg_node_venv` above the package; None: there is none."""
    if VARIABLE in os.environ:
        return Path(os.environ[VARIABLE]).expanduser()
    return next((path for path in _places() if (path / 'pyvenv.cfg').is_file()), None)


def _places() -> Iterator[Path]:
    here = Path(__file__).absolute()  # build/seg_node of a workspace, with --symlink-install
    for file in (here, here.resolve()):
        for folder in file.parents:
            yield folder / NAME


def packages_of(venv: Path) -> Path:
    """Its folder of packages for the Python that runs, there or not."""
    major, minor = sys.version_info[:2]
    return venv / 'lib' / f'python{major}.{minor}' / 'site-packages'


def use_venv(children: bool = True) -> Path | None:
    """Take its packages in, for this process and its `children`; where they are, or None.

    Nothing happens inside a virtual environment, which has chosen its packages already.
    """
    if sys.prefix != sys.base_prefix:
        return None
    venv = venv_dir()
    if venv is None or not packages_of(venv).is_dir():
        return None
    packages = str(packages_of(venv))
    if packages not in sys.path:
        system = {*site.getsitepackages(), site.getusersitepackages()}
        at = next((i for i, entry in enumerate(sys.path) if entry in system), len(sys.path))
        sys.path.insert(at, packages)
    inherited = [p for p in os.environ.get('PYTHONPATH', '').split(os.pathsep) if p]
    if children and packages not in inherited:
        os.environ['PYTHONPATH'] = os.pathsep.join([*inherited, packages])
    return Path(packages)
