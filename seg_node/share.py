"""Where the installed files that are not code lie: models, config, launch, rviz."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

from seg_node.errors import ConfigError


def share_dir() -> Path:
    """The folder with `models/` and `config/`.

    The clone when run from one (also an editable install), else `share/seg_node` of the install
    prefix or of a colcon workspace (`AMENT_PREFIX_PATH`). Raises `ConfigError` when none is there.
    """
    clone = Path(__file__).resolve().parent.parent
    prefixes = [p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    prefixes.append(sysconfig.get_path('data'))
    places = [clone, *(Path(prefix) / 'share' / 'seg_node' for prefix in prefixes)]
    for place in places:
        if (place / 'config').is_dir() and (place / 'models').is_dir():
            return place
    raise ConfigError(
        f'installed files: expected config/ and models/ in one of {", ".join(map(str, places))}'
    )
