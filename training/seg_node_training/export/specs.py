"""The metadata of an exported file: `ModelSpec` filled from a recipe and a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from seg_node.model.spec import ModelSpec, Precision
from seg_node_training.config import Recipe
from seg_node_training.revision import source_revision

TOOLS = ('torch', 'onnx', 'onnxruntime', 'openvino')
PROTOCOL = (
    'IoU over all known pixels of a set, at source size; picture stretched to the network, '
    'uint8 scores enlarged linearly and decided at source size; road = road or marking'
)


def training_data(recipe: Recipe) -> tuple[dict[str, Any], ...]:
    """Name, licence, origin and kind of knowledge of every set that was trained on."""
    return tuple(
        {'name': p.name, 'licence': p.licence, 'origin': p.origin, 'knows': p.knows}
        for p in recipe.data.train
        if p.weight > 0
    )


def describe(
    spec: ModelSpec,
    recipe: Recipe,
    precision: Precision,
    metrics: Mapping[str, Mapping[str, float]],
    quantization: Mapping[str, Any],
    state: Mapping[str, Any],
) -> ModelSpec:
    """`spec` with everything that the model contract asks a file to say of itself."""
    return replace(
        spec,
        precision=precision,
        training_data=training_data(recipe),
        metrics={
            'protocol': PROTOCOL,
            'steps': state['step'],
            **{name: dict(v) for name, v in metrics.items()},
        },
        quantization=dict(quantization) if precision == 'int8' else {},
        tools={name: version(name) for name in TOOLS},
        source_revision=source_revision(),
    )
