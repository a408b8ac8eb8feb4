"""Whether a model can be run as asked, for what starts a node and wants to know before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seg_node.child_answers import run_check
from seg_node.errors import ConfigError
from seg_node.prerequisites import no_runtime


def check(path: str = '', backend: str = '', precision: str = '') -> None:
    """Load and run the model once; empty values are the defaults, an empty path no model.

    Raises `ModelError` or `ConfigError`, one line, also where no runtime is installed.
    """
    if problem := no_runtime():
        raise ConfigError(problem)
    if not path:
        return
    from seg_node.model.loader import load_model
    from seg_node.model.runner import RunOptions, default_cache_dir

    wishes: Mapping[str, Any] = {'backend': backend, 'precision': precision}
    # `auto` measures for seconds, which the node will do; whether the file is sound shows at once.
    options = {name: value for name, value in wishes.items() if value and value != 'auto'}
    load_model(path, RunOptions(cache_dir=default_cache_dir(), **options))


def main(arguments: Sequence[str] | None = None) -> int:
    """See `run_check`."""
    return run_check(check, arguments)
