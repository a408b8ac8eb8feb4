"""`openvino` without its model converter, which a node has no use for and which starts slowly.

The package treats that part (`openvino.tools.ovc`, with telemetry) as optional: it catches the
`ImportError`. Left out, a process starts some 0.1 s earlier. Who wants it imports it afterwards as
usual; `openvino.convert_model` is then found too.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_CONVERTER = 'openvino.tools.ovc'


def _import() -> Any:
    if 'openvino' in sys.modules or _CONVERTER in sys.modules:
        return importlib.import_module('openvino')
    sys.modules[_CONVERTER] = None  # type: ignore[assignment]  # makes its import fail
    try:
        package = importlib.import_module('openvino')
    finally:
        del sys.modules[_CONVERTER]

    def late(name: str) -> Any:
        """PEP 562: what the package would have taken from the converter."""
        if name == 'convert_model':
            return importlib.import_module(_CONVERTER).convert_model
        raise AttributeError(f'module {package.__name__!r} has no attribute {name!r}')

    vars(package).setdefault('__getattr__', late)
    return package


ov = _import()
