"""Road and lane-marking segmentation for ROS 2, on a quantized network.

The names below are the programmers' door: they stay. Each is imported when it is first used, so
that `import seg_node` costs nothing; README.md has an example.

    model = load_model()                       # the shipped network, or a path to an ONNX file
    segmenter = Segmenter(model.runner)
    result = segmenter(Frame(bgr, 'bgr'))      # uint8 (H, W, 3) of any size
    result.mask                                # uint8 (H, W), class ids of model.runner.spec
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seg_node.camera.size import Size
    from seg_node.classes import LANE, ClassSet
    from seg_node.errors import ConfigError, FrameError, InputError, ModelError, SegNodeError
    from seg_node.images.frames import Frame
    from seg_node.images.overlay import paint
    from seg_node.images.reading import read_bgr
    from seg_node.model.loader import LoadedModel, default_model, load_model
    from seg_node.model.runner import RunOptions
    from seg_node.model.spec import ModelSpec
    from seg_node.pipeline import Segmentation, Segmenter
    from seg_node.sources import Source, SourceFrame, open_source

__all__ = [
    'LANE',
    'ClassSet',
    'ConfigError',
    'Frame',
    'FrameError',
    'InputError',
    'LoadedModel',
    'ModelError',
    'ModelSpec',
    'RunOptions',
    'SegNodeError',
    'Segmentation',
    'Segmenter',
    'Size',
    'Source',
    'SourceFrame',
    'default_model',
    'load_model',
    'open_source',
    'paint',
    'read_bgr',
]

_PLACES = {
    'camera.size': ('Size',),
    'classes': ('LANE', 'ClassSet'),
    'errors': ('ConfigError', 'FrameError', 'InputError', 'ModelError', 'SegNodeError'),
    'images.frames': ('Frame',),
    'images.overlay': ('paint',),
    'images.reading': ('read_bgr',),
    'model.loader': ('LoadedModel', 'default_model', 'load_model'),
    'model.runner': ('RunOptions',),
    'model.spec': ('ModelSpec',),
    'pipeline': ('Segmentation', 'Segmenter'),
    'sources': ('Source', 'SourceFrame', 'open_source'),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    """PEP 562: the public name, from where it lives."""
    if name not in _PLACE_OF:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = getattr(importlib.import_module(f'{__name__}.{_PLACE_OF[name]}'), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
