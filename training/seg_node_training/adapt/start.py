"""The model that adaptation begins with: its files, its description, a recipe that fits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from seg_node.classes import LANE
from seg_node.errors import ConfigError, ModelError
from seg_node.model.loader import default_model, fp32_twin
from seg_node.model.spec import ModelSpec
from seg_node_training.config import Recipe, parse_recipe

TRANSFORMS = (
    {'tone': {'exposure': [0.6, 1.3], 'contrast': 0.2, 'gamma': 0.2, 'saturation': 0.3}},
    {'noise': {'p': 0.2, 'sigma': [1, 6]}},
)


@dataclass(frozen=True)
class Start:
    """`quantized`: the file to compare with (the float one where there is no other). `size`:
    height and width of the network's picture."""

    quantized: Path
    twin: Path
    spec: ModelSpec
    size: tuple[int, int]


def open_start(path: Path | None) -> Start:
    """The shipped model, or a file of the lane classes with its float twin beside it.

    Raises `ModelError` and `ConfigError` for files that cannot be fine-tuned.
    """
    quantized = path or default_model()
    if not quantized.is_file():
        raise ModelError(f'{quantized}: no such model file')
    twin = fp32_twin(quantized) if quantized.stem.endswith('_int8') else quantized
    if not twin.is_file():
        raise ModelError(f'{quantized}: needs the float file {twin} beside it, it is not there')
    try:
        model = onnx.load(twin)
    except Exception as error:  # protobuf's own kinds
        raise ModelError(f'{twin}: not an ONNX file ({type(error).__name__})') from None
    spec = ModelSpec.from_metadata(str(twin), {p.key: p.value for p in model.metadata_props})
    if spec.classes.names != LANE.names or spec.head != 'sigmoid':
        raise ConfigError(
            f'{twin}: expected classes {", ".join(LANE.names)} and head sigmoid, got '
            f'{", ".join(spec.classes.names)} and {spec.head}'
        )
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    return Start(quantized, twin, spec, (shape[1], shape[2]))


def recipe_for(start: Start, evaluate: Sequence[dict[str, object]], seed: int) -> Recipe:
    """What fine-tuning and the gate need to know, as a recipe."""
    height, width = start.size
    window = {'height': height, 'width': width, 'zoom': [0.9, 1.4], 'shift': 0.03}
    window |= {'aspect': 0.1, 'flip': 0.5, 'rotation': 2, 'perspective': 0.02}
    raw = {
        'name': start.spec.name,
        'head': 'sigmoid',
        'thresholds': list(start.spec.thresholds),
        'input': {
            **{'height': height, 'width': width, 'colour_order': start.spec.colour_order},
            **{'resize': start.spec.resize, 'interpolation': start.spec.interpolation},
        },
        'data': {'evaluate': list(evaluate)},
        'transforms': [{'window': window}, *TRANSFORMS],
        'loss': {'bce': 1.0, 'dice': 0.5},
        'optimizer': {'clip_norm': 1.0},
        'loop': {'batch_size': 8, 'seed': seed},
    }
    return parse_recipe(raw, 'adapt')
