"""What a model file says of itself: the metadata of the model contract.

One ONNX file. Input `image`: uint8 (1, H, W, 3). Outputs `mask`: uint8 (1, H, W), class ids, and,
for models with few classes, `scores`: uint8 (1, K, H, W), probability x 255 of each foreground
class 1..K. Everything between (normalisation, layout, sigmoid or softmax, decision) is inside the
graph. The description below travels in the file's `metadata_props`, one JSON value a key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from seg_node.classes import ClassSet
from seg_node.errors import ModelError, problems_line

CONTRACT = 'seg_node/1'
"""Value of the metadata key `contract`; a file without it needs a sidecar."""

Head = Literal['sigmoid', 'softmax']
"""How scores become a class.

`sigmoid`: independent scores; a later class is painted over an earlier one where its score reaches
its threshold; background where none does. `softmax`: the largest of the scores and of what they
leave of 255 to the background.
"""
ColourOrder = Literal['bgr', 'rgb']
Resize = Literal['stretch', 'letterbox']
"""How a camera picture is fitted to the network: both axes scaled, or one scale and grey bars."""
Interpolation = Literal['linear', 'area']
Precision = Literal['fp32', 'fp16', 'bf16', 'int8', 'int4']

_CHOICES: dict[str, tuple[str, ...]] = {
    'head': get_args(Head),
    'colour_order': get_args(ColourOrder),
    'resize': get_args(Resize),
    'interpolation': get_args(Interpolation),
    'precision': get_args(Precision),
}


@dataclass(frozen=True)
class ModelSpec:
    """Description of one model file.

    `thresholds`: a uint8 score for each foreground class (sigmoid heads only; a pixel has the
    class where score >= threshold). `interpolation`: of the camera picture on its way in.
    `training_data`: one `{name, licence, ...}` a data set. `metrics`: free form, by precision.
    """

    name: str
    classes: ClassSet
    head: Head
    thresholds: tuple[int, ...] = ()
    colour_order: ColourOrder = 'bgr'
    resize: Resize = 'stretch'
    interpolation: Interpolation = 'linear'
    precision: Precision = 'fp32'
    training_data: tuple[dict[str, Any], ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
    quantization: dict[str, Any] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    source_revision: str = ''

    def __post_init__(self) -> None:
        problems = [
            f'{key}: expected one of {", ".join(allowed)}, got {getattr(self, key)!r}'
            for key, allowed in _CHOICES.items()
            if getattr(self, key) not in allowed
        ]
        if self.head == 'sigmoid':
            if not self.thresholds:
                object.__setattr__(self, 'thresholds', (128,) * (len(self.classes) - 1))
            if len(self.thresholds) != len(self.classes) - 1:
                problems.append(
                    f'thresholds: expected one for each of {len(self.classes) - 1} foreground '
                    f'classes, got {len(self.thresholds)}'
                )
            if not all(isinstance(t, int) and 1 <= t <= 255 for t in self.thresholds):
                problems.append(f'thresholds: expected 1 to 255, got {list(self.thresholds)}')
        if problems:
            raise ModelError(problems_line(f'model {self.name}', problems))

    def to_metadata(self) -> dict[str, str]:
        """The description as ONNX `metadata_props`: JSON text by key."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != 'classes'}
        values['classes'] = list(self.classes.names)
        values['colours'] = [list(colour) for colour in self.classes.colours]
        values['contract'] = CONTRACT
        return {key: json.dumps(value) for key, value in values.items()}

    @classmethod
    def from_metadata(cls, subject: str, metadata: Mapping[str, str]) -> ModelSpec:
        """Read the description back.

        `subject` names the file in errors. Raises `ModelError` that lists every missing or broken
        key, or says that the file is not of this contract.
        """
        values, problems = _decoded(metadata)
        if values.get('contract') != CONTRACT:
            raise ModelError(
                f'{subject}: not described by its metadata (contract: expected {CONTRACT!r}, got '
                f'{values.get("contract")!r}); give it a sidecar {subject}.yaml'
            )
        problems += [
            f'{key}: missing'
            for key in ('name', 'classes', 'colours', 'head')
            if key not in values
        ]
        if problems:
            raise ModelError(problems_line(subject, problems))
        try:
            known = {f.name for f in fields(cls)} - {'classes'}
            given = {key: value for key, value in values.items() if key in known}
            given['thresholds'] = tuple(given.get('thresholds') or ())
            given['training_data'] = tuple(given.get('training_data') or ())
            classes = ClassSet(
                tuple(str(name) for name in values['classes']),
                tuple((int(c[0]), int(c[1]), int(c[2])) for c in values['colours']),
            )
            return cls(classes=classes, **given)
        except (TypeError, ValueError, IndexError) as error:
            raise ModelError(f'{subject}: metadata of the wrong form: {error}') from error


def _decoded(metadata: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    problems = []
    ours = {f.name for f in fields(ModelSpec)} | {'colours', 'contract'}
    for key in ours & set(metadata):
        try:
            values[key] = json.loads(metadata[key])
        except ValueError:
            if key == 'contract':
                continue
            problems.append(f'{key}: expected JSON, got {metadata[key][:40]!r}')
    return values, problems
