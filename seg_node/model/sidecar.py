"""The sidecar YAML of somebody else's segmentation ONNX: what our contract needs to know of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seg_node.camera.size import ResizePolicy
from seg_node.classes import ClassSet
from seg_node.errors import ConfigError, ModelError, problems_line, validation_problems
from seg_node.model.spec import ColourOrder, ModelSpec
from seg_node.yaml_files import read_mapping

Byte = Annotated[int, Field(ge=0, le=255)]


class SidecarClass(BaseModel):
    """One class: its name and RGB colour."""

    model_config = ConfigDict(extra='forbid', frozen=True)
    name: str = Field(min_length=1)
    colour: tuple[Byte, Byte, Byte]


SidecarHead = Literal['softmax', 'sigmoid', 'probabilities', 'sigmoid_probabilities', 'class_ids']


class HeadPart(BaseModel):
    """One head of a net that has several: its output and the foreground classes it tells apart.

    Channels in the order of `classes`, after the background where the head has one.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)
    output: str | None = None
    head: SidecarHead
    classes: tuple[str, ...] = Field(min_length=1)


class Sidecar(BaseModel):
    """`<model>.onnx.yaml`. Classes in id order; the first is the background.

    Head types: `softmax` (logits of all C classes), `sigmoid` (logits of the C - 1 foreground
    classes), `probabilities` and `sigmoid_probabilities` (the same with softmax or sigmoid already
    applied in the graph), `class_ids` (argmax already applied: integers (1, H, W),
    (1, 1, H, W) or (1, H, W, 1)). `mean` and `std` are of the picture divided by `scale`. A net
    with several heads (drivable area and lanes, say) has `parts` in place of `head` and `output`:
    together they name the foreground classes in id order, and a later class is painted over an
    earlier one.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)
    name: str = Field(min_length=1)
    classes: tuple[SidecarClass, ...] = Field(min_length=2, max_length=255)
    head: SidecarHead | None = None
    parts: tuple[HeadPart, ...] = ()
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
    resize: ResizePolicy = 'stretch'
    thresholds: tuple[Annotated[int, Field(ge=1, le=255)], ...] = ()
    licence: str = ''

    @model_validator(mode='after')
    def _heads_fit(self) -> Sidecar:
        if (self.head is None) != bool(self.parts):
            raise ValueError('expected head, or parts for a net with several heads')
        if not self.parts:
            return self
        if self.output is not None:
            raise ValueError('output: belongs into each of parts')
        if any(part.head == 'class_ids' for part in self.parts):
            raise ValueError('parts: expected heads with scores, got class_ids')
        foreground = [c.name for c in self.classes[1:]]
        named = [name for part in self.parts for name in part.classes]
        if named != foreground:
            raise ValueError(
                f'parts: expected together the classes {", ".join(foreground)} in this order, '
                f'got {", ".join(named)}'
            )
        return self

    @model_validator(mode='after')
    def _thresholds_fit(self) -> Sidecar:
        if self.thresholds and not self.painted:
            raise ValueError('thresholds belong to sigmoid heads and to parts only')
        if self.thresholds and len(self.thresholds) != len(self.classes) - 1:
            raise ValueError(
                f'thresholds: expected {len(self.classes) - 1}, one a foreground class, '
                f'got {len(self.thresholds)}'
            )
        return self

    @model_validator(mode='after')
    def _normalisation_fits(self) -> Sidecar:
        """mmseg writes mean 123.675 for pictures of 0 to 255, torchvision 0.485 for 0 to 1."""
        most = 255.0 / self.scale
        if max(map(abs, self.mean)) > most or max(self.std) > most:
            raise ValueError(
                f'mean, std: expected those of a picture divided by scale {self.scale:g}, so at '
                f'most {most:g}, got {self.mean} and {self.std}; for values of 0 to 255 give '
                'scale: 1'
            )
        # Less than one grey level of 255 is a value for pictures of 0 to 1.
        level = most / 255.0 * (1.0 - 1e-6)
        if min(self.std) < level or 0.0 < max(map(abs, self.mean)) < level:
            raise ValueError(
                f'mean, std: expected those of a picture of 0 to {most:g} (scale '
                f'{self.scale:g}), got {self.mean} and {self.std}; for pictures of 0 to 1 give '
                'scale: 255'
            )
        return self

    @property
    def painted(self) -> bool:
        """Whether the classes have independent scores, the later painted over the earlier."""
        return bool(self.parts) or self.head in ('sigmoid', 'sigmoid_probabilities')

    @property
    def one_softmax(self) -> bool:
        """Whether one head tells all classes apart, the background among them."""
        return self.head in ('softmax', 'probabilities')

    @property
    def all_parts(self) -> tuple[HeadPart, ...]:
        """The heads: `parts`, or the one that `head` and `output` describe."""
        if self.parts or self.head is None:
            return self.parts
        names = tuple(c.name for c in self.classes[1:])
        return (HeadPart(output=self.output, head=self.head, classes=names),)

    def spec(self) -> ModelSpec:
        """The same as the contract's description."""
        return ModelSpec(
            name=self.name,
            classes=ClassSet(
                tuple(c.name for c in self.classes), tuple(c.colour for c in self.classes)
            ),
            head='sigmoid' if self.painted else 'softmax',
            thresholds=self.thresholds,
            colour_order=self.colour_order,
            resize=self.resize,
            training_data=({'name': 'not stated', 'licence': self.licence},),
        )


def read_sidecar(path: Path) -> Sidecar:
    """Read and check a sidecar. Raises `ModelError` that lists every problem at once."""
    try:
        raw = read_mapping(path)
    except ConfigError as error:
        raise ModelError(str(error)) from None
    try:
        return Sidecar.model_validate(raw)
    except ValidationError as error:
        raise ModelError(problems_line(str(path), validation_problems(error))) from None
