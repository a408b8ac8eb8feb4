"""What the node makes of a segmented frame: one file an output.

An output is a module of this package with a function `create(site)` that gives an `Output` or a
`SetOutput` (see `output`), or None where the parameters or the model have no use for it. `RANK`
orders them, lower first; `SETTINGS` is a dataclass with its own parameters. Nothing else names an
output: a new file here is a new output of every camera.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from seg_node.ros.outputs.output import Output, SetOutput
from seg_node.ros.outputs.site import CameraSite

_DEFAULT_RANK = 50


@functools.cache
def modules() -> tuple[ModuleType, ...]:
    """The modules of all outputs, in the order in which a frame goes through them."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    imported = [importlib.import_module(f'{__name__}.{name}') for name in names]
    outputs = [module for module in imported if hasattr(module, 'create')]
    return tuple(sorted(outputs, key=lambda module: getattr(module, 'RANK', _DEFAULT_RANK)))


def settings_kinds() -> tuple[type, ...]:
    """The settings classes of outputs that have parameters of their own."""
    return tuple(module.SETTINGS for module in modules() if hasattr(module, 'SETTINGS'))


def create_all(site: CameraSite) -> Iterator[Output | SetOutput]:
    """Every output at `site`. Raises `ConfigError`."""
    for module in modules():
        output = module.create(site)
        if output is not None:
            yield output
