"""From the `transforms:` list of a recipe to a chain of v2 transforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, WrapSerializer
from torchvision.transforms import v2

from seg_node.errors import ConfigError, near_name, shown
from seg_node_training.data.transforms.geometry import Crop, Flip, Resize, Rotation, Shear, Window
from seg_node_training.data.transforms.scene import Bonnet, Markings
from seg_node_training.data.transforms.seeded import Chance, SeededChoice, Step
from seg_node_training.data.transforms.tones import (
    Blur,
    Brightness,
    ColourJitter,
    Contrast,
    Jpeg,
    Noise,
    Shadow,
    Tone,
)


class OneOf(Step):
    """One of the steps in `of`, each as likely, with chance `p`; else none."""

    kind: Literal['one_of'] = 'one_of'
    p: Chance = 1.0
    of: tuple[AnyStep, ...] = Field(min_length=1)

    def transform(self) -> v2.Transform:
        """The choice, for a chain of v2 transforms."""
        return SeededChoice([step.transform() for step in self.of], self.p)


_Steps = (
    Resize
    | Crop
    | Window
    | Flip
    | Rotation
    | Shear
    | Brightness
    | Contrast
    | ColourJitter
    | Tone
    | Shadow
    | Blur
    | Noise
    | Jpeg
    | Markings
    | Bonnet
    | OneOf
)


def _with_kind(entry: Any) -> Any:
    """`{flip: {p: 0.5}}`, as a recipe has it, with the name as the field `kind`."""
    if isinstance(entry, Step):
        return entry
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ValueError(f'expected one name with its parameters, got {shown(entry)}')
    name, parameters = next(iter(entry.items()))
    if name not in STEPS:
        raise ValueError(f'{name}: unknown transform, {near_name(str(name), STEPS)}')
    if parameters is not None and (not isinstance(parameters, Mapping) or 'kind' in parameters):
        raise ValueError(f'{name}: expected a mapping of parameters, got {shown(parameters)}')
    return {**(parameters or {}), 'kind': name}


def _as_read(step: Step, parameters: SerializerFunctionWrapHandler) -> dict[str, Any]:
    return {step.kind: {k: v for k, v in parameters(step).items() if k != 'kind'}}


AnyStep = Annotated[
    _Steps,
    Field(discriminator='kind'),
    BeforeValidator(_with_kind),
    WrapSerializer(_as_read),
]
"""An entry of a recipe's list: a name and its parameters, `{flip: {p: 0.5}}`."""

OneOf.model_rebuild()
STEPS: dict[str, type[Step]] = {
    step.model_fields['kind'].default: step for step in get_args(_Steps)
}
"""Steps by the name that recipes use."""


def build(steps: Sequence[AnyStep]) -> v2.Transform:
    """The chain of a list of steps, in order."""
    chain = [step.transform() for step in steps]
    return v2.Compose(chain) if chain else v2.Identity()


def at_size(steps: Sequence[AnyStep], height: int, width: int) -> tuple[AnyStep, ...]:
    """The same steps with output `height` x `width` wherever a step decides on it."""
    size = {'height': height, 'width': width}
    return tuple(
        step.model_copy(update=size) if 'height' in type(step).model_fields else step
        for step in steps
    )


_OLD_DEFAULTS = {'flip': 0.5, 'shadow': 0.35, 'blur': 0.2, 'noise': 0.3, 'jpeg': 0.25}
_OLD_PARTS = {
    'window': ('height', 'width', 'zoom', 'shift', 'aspect', 'flip', 'rotation', 'perspective'),
    'tone': ('exposure', 'contrast', 'gamma', 'colour_gain', 'saturation', 'grey'),
}


def from_strengths(old: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Steps of an `augmentation:` mapping of strengths, as checkpoints of before have it."""
    chances = ('markings', 'bonnet', 'shadow', 'blur', 'noise', 'jpeg')
    known = {*chances, *_OLD_PARTS['window'], *_OLD_PARTS['tone']}
    unknown = sorted(set(old) - known)
    if unknown:
        hints = [f'augmentation.{name}: unknown key, {near_name(name, known)}' for name in unknown]
        raise ConfigError('; '.join(hints))
    fused = [
        {name: {key: old[key] for key in keys if key in old}} for name, keys in _OLD_PARTS.items()
    ]
    single = {name: old.get(name, _OLD_DEFAULTS.get(name, 0.0)) for name in chances}
    steps = [{name: {'p': p}} for name, p in single.items() if p > 0]
    painted = [step for step in steps if set(step) & {'markings', 'bonnet'}]
    return [*painted, *fused, *(step for step in steps if step not in painted)]
