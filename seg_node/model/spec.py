"""What a model file says of itself: the metadata of the model contract.

One ONNX file. Input `image`: uint8 (1, H, W, 3). Everything between the camera's bytes and the
outputs (normalisation, layout) is inside the graph. The description below travels in the file's
`metadata_props`, one JSON value a key.

Contract 1: outputs `mask`, uint8 (1, H, W), class ids, and, for models with few classes, `scores`,
uint8 (1, K, H, W), probability x 255 of each foreground class 1..K.

Contract 2, `encoding: logits` (sigmoid heads): one output `logits`, uint8
(1, H / p, W / p, K * p * p), p = `patch`: for each square of p x p pixels the K classes, of each
the p rows of p pixels; a byte q is the logit `(q - logit_zero) * logit_scale`. Sigmoid, decision
and the pixel shuffle are the runtime's (`seg_node.model.logits`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from seg_node.camera.size import Interpolation, ResizePolicy
from seg_node.classes import ClassSet
from seg_node.errors import ModelError, problems_line
from seg_node.model.logits import SCALE, ZERO, LogitCode

CONTRACT, CONTRACT_2 = 'seg_node/1', 'seg_node/2'
"""Values of the metadata key `contract`; a file without one needs a sidecar."""

Encoding = Literal['scores', 'logits']
"""What the output's bytes are: probability x 255, or logits (contract 2)."""
PATCHES = (1, 2, 4, 8)

Head = Literal['sigmoid', 'softmax']
"""How scores become a class.

`sigmoid`: independent scores; a later class is painted over an earlier one where its score reaches
its threshold; background where none does. `softmax`: the largest of the scores and of what they
leave of 255 to the background.
"""
ColourOrder = Literal['bgr', 'rgb']
Precision = Literal['fp32', 'fp16', 'bf16', 'int8', 'int4']

LOGIT_KEYS = ('encoding', 'patch', 'logit_scale', 'logit_zero', 'temperatures')
_CHOICES: dict[str, tuple[str, ...]] = {
    'head': get_args(Head),
    'colour_order': get_args(ColourOrder),
    'resize': get_args(ResizePolicy),
    'interpolation': get_args(Interpolation),
    'precision': get_args(Precision),
    'encoding': get_args(Encoding),
}


def _integer(value: Any) -> bool:
    return type(value) is int  # JSON's true is no number


def _number(value: Any) -> bool:
    return type(value) in (int, float) and -1e30 < value < 1e30


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _colour(value: Any) -> bool:
    return _list_of(_integer)(value) and len(value) == 3 and all(0 <= c <= 255 for c in value)


def _list_of(part: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(part, value))


_FORMS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    'name': ('a text', _text),
    'classes': ('a list of texts', _list_of(_text)),
    'colours': ('a list of three numbers from 0 to 255 each', _list_of(_colour)),
    'thresholds': ('a list of integers', _list_of(_integer)),
    'training_data': ('a list of objects', _list_of(_mapping)),
    'metrics': ('an object', _mapping),
    'quantization': ('an object', _mapping),
    'tools': ('an object', _mapping),
    'source_revision': ('a text', _text),
    'patch': ('an integer', _integer),
    'logit_scale': ('a number', _number),
    'logit_zero': ('an integer', _integer),
    'temperatures': ('a list of numbers', _list_of(_number)),
}
"""What the JSON value of a key has to be; those of `_CHOICES` are one of theirs."""
_MAY_BE_NULL = ('thresholds', 'training_data', 'temperatures')


@dataclass(frozen=True)
class ModelSpec:
    """Description of one model file.

    `thresholds`: a uint8 score for each foreground class (sigmoid heads only; a pixel has the
    class where score >= threshold). `interpolation`: of the camera picture on its way in.
    `training_data`: one `{name, licence, ...}` a data set. `metrics`: free form, by precision.
    `encoding` `logits`: see above; `temperatures`: what the logits of each foreground class are
    divided by before the sigmoid.
    """

    name: str
    classes: ClassSet
    head: Head
    thresholds: tuple[int, ...] = ()
    colour_order: ColourOrder = 'bgr'
    resize: ResizePolicy = 'stretch'
    interpolation: Interpolation = 'linear'
    precision: Precision = 'fp32'
    training_data: tuple[dict[str, Any], ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
    quantization: dict[str, Any] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    source_revision: str = ''
    encoding: Encoding = 'scores'
    patch: int = 1
    logit_scale: float = SCALE
    logit_zero: int = ZERO
    temperatures: tuple[float, ...] = ()

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
        if self.encoding == 'logits':
            problems += self._logit_problems()
        if problems:
            raise ModelError(problems_line(f'model {self.name}', problems))

    def _logit_problems(self) -> list[str]:
        count = len(self.classes) - 1
        if not self.temperatures:
            object.__setattr__(self, 'temperatures', (1.0,) * count)
        problems = []
        if self.head != 'sigmoid':
            problems.append(f'encoding: logits are for sigmoid heads, got head {self.head}')
        if self.patch not in PATCHES:
            problems.append(f'patch: expected one of {list(PATCHES)}, got {self.patch!r}')
        if len(self.temperatures) != count or not all(t > 0 for t in self.temperatures):
            problems.append(
                f'temperatures: expected {count} above 0, got {list(self.temperatures)}'
            )
        if not self.logit_scale > 0:
            problems.append(f'logit_scale: expected above 0, got {self.logit_scale!r}')
        if not (isinstance(self.logit_zero, int) and 0 <= self.logit_zero <= 255):
            problems.append(f'logit_zero: expected 0 to 255, got {self.logit_zero!r}')
        return problems

    @property
    def logit_code(self) -> LogitCode | None:
        """How the output's bytes are read; None where they are scores."""
        if self.encoding != 'logits':
            return None
        return LogitCode(self.logit_scale, self.logit_zero, self.temperatures)

    def to_metadata(self) -> dict[str, str]:
        """The description as ONNX `metadata_props`: JSON text by key."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != 'classes'}
        values['classes'] = list(self.classes.names)
        values['colours'] = [list(colour) for colour in self.classes.colours]
        values['contract'] = CONTRACT
        if self.encoding == 'logits':
            values['contract'] = CONTRACT_2
        else:
            for key in LOGIT_KEYS:  # contract 1 does not know them
                del values[key]
        return {key: json.dumps(value) for key, value in values.items()}

    @classmethod
    def from_metadata(cls, subject: str, metadata: Mapping[str, str]) -> ModelSpec:
        """Read the description back.

        `subject` names the file in errors. Raises `ModelError` that lists every missing or broken
        key, or says that the file is not of this contract.
        """
        values, problems = _decoded(metadata)
        if values.get('contract') not in (CONTRACT, CONTRACT_2):
            raise ModelError(
                f'{subject}: not described by its metadata (contract: expected {CONTRACT!r} or '
                f'{CONTRACT_2!r}, got '
                f'{values.get("contract")!r}); give it a sidecar {subject}.yaml'
            )
        problems += [
            f'{key}: missing'
            for key in ('name', 'classes', 'colours', 'head')
            if key not in values
        ]
        problems += [
            f'{key}: expected {form}, got {repr(values[key])[:40]}'
            for key, (form, fits) in _FORMS.items()
            if key in values and not fits(values[key])
        ]
        if problems:
            raise ModelError(problems_line(subject, problems))
        known = {f.name for f in fields(cls)} - {'classes'}
        ours: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in values.items()
            if key in known
        }
        classes = ClassSet(
            tuple(values['classes']), tuple((r, g, b) for r, g, b in values['colours'])
        )
        return cls(classes=classes, **ours)


def _decoded(metadata: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    problems = []
    ours = {f.name for f in fields(ModelSpec)} | {'colours', 'contract'}
    for key in ours & set(metadata):
        try:
            value = json.loads(metadata[key])
            if value is not None or key not in _MAY_BE_NULL:
                values[key] = value
        except (ValueError, RecursionError):
            if key == 'contract':
                continue
            problems.append(f'{key}: expected JSON, got {metadata[key][:40]!r}')
    return values, problems
