"""The sidecar YAML of somebody else's segmentation ONNX: what our contract needs to know of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seg_node.classes import ClassSet
from seg_node.errors import ModelError, problems_line
from seg_node.model.spec import ColourOrder, ModelSpec, Resize

Byte = Annotated[int, Field(ge=0, le=255)]


class SidecarClass(BaseModel):
    """One class: its name and RGB colour."""

    model_config = ConfigDict(extra='forbid', frozen=True)
    name: str = Field(min_length=1)
    colour: tuple[Byte, Byte, Byte]


class Sidecar(BaseModel):
    """`<model>.onnx.yaml`. Classes in id order; the first is the background.

    Head types: `softmax` (logits of all C classes), `sigmoid` (logits of the C - 1 foreground
    classes), `probabilities` (softmax already applied), `class_ids` (argmax already applied:
    integers (1, H, W) or (1, 1, H, W)). `mean` and `std` are of the picture divided by `scale`.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)
    name: str = Field(min_length=1)
    classes: tuple[SidecarClass, ...] = Field(min_length=2, max_length=255)
    head: Literal['softmax', 'sigmoid', 'probabilities', 'class_ids']
    layout: Literal['nchw', 'nhwc'] = 'nchw'
    colour_order: ColourOrder = 'rgb'
    scale: float = Field(default=255.0, gt=0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[
        Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]
    ] = (1.0, 1.0, 1.0)
    input_size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] | None = None
    """Width, height; needed where the file leaves them open."""
    output: str | None = None
    """Name of the output to use; needed where there are several."""
    resize: Resize = 'stretch'
    thresholds: tuple[Annotated[int, Field(ge=1, le=255)], ...] = ()
    licence: str = ''

    @model_validator(mode='after')
    def _thresholds_fit(self) -> Sidecar:
        if self.thresholds and self.head != 'sigmoid':
            raise ValueError('thresholds belong to head sigmoid only')
        if self.thresholds and len(self.thresholds) != len(self.classes) - 1:
            raise ValueError(
                f'thresholds: expected {len(self.classes) - 1}, one a foreground class, '
                f'got {len(self.thresholds)}'
            )
        return self

    def spec(self) -> ModelSpec:
        """The same as the contract's description."""
        return ModelSpec(
            name=self.name,
            classes=ClassSet(
                tuple(c.name for c in self.classes), tuple(c.colour for c in self.classes)
            ),
            head='sigmoid' if self.head == 'sigmoid' else 'softmax',
            thresholds=self.thresholds,
            colour_order=self.colour_order,
            resize=self.resize,
            training_data=({'name': 'not stated', 'licence': self.licence},),
        )


def read_sidecar(path: Path) -> Sidecar:
    """Read and check a sidecar. Raises `ModelError` that lists every problem at once."""
    try:
        raw = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f'{path}: not YAML: {str(error).splitlines()[0]}') from None
    if not isinstance(raw, dict):
        raise ModelError(f'{path}: expected a mapping, got {type(raw).__name__}')
    try:
        return Sidecar.model_validate(raw)
    except ValidationError as error:
        problems = [
            f'{".".join(map(str, e["loc"])) or "sidecar"}: {e["msg"]}, got {str(e["input"])[:60]}'
            for e in error.errors()
        ]
        raise ModelError(problems_line(str(path), problems)) from None
