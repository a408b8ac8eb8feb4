"""From the `transforms:` list of a recipe to a chain of v2 transforms."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from torchvision.transforms import v2

from seg_node.errors import ConfigError, problems_line
from seg_node_training.data.transforms.geometry import Crop, Flip, Resize, Rotation, Shear, Window
from seg_node_training.data.transforms.scene import Bonnet, Markings
from seg_node_training.data.transforms.seeded import OneOf
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

STEPS: dict[str, type[v2.Transform]] = {
    'resize': Resize,
    'crop': Crop,
    'window': Window,
    'flip': Flip,
    'rotation': Rotation,
    'shear': Shear,
    'brightness': Brightness,
    'contrast': Contrast,
    'colour_jitter': ColourJitter,
    'tone': Tone,
    'shadow': Shadow,
    'blur': Blur,
    'noise': Noise,
    'jpeg': Jpeg,
    'markings': Markings,
    'bonnet': Bonnet,
}
"""Transforms by the name that recipes use; besides these `one_of: {p: 1, of: [...]}`."""

Step = Mapping[str, Any]
"""One entry of a recipe's list: a name and its parameters, `{flip: {p: 0.5}}`."""


@cache
def _parameters(kind: type[v2.Transform]) -> type[BaseModel]:
    """A model that checks the arguments of a transform, made from its signature."""
    hints = get_type_hints(kind.__init__, include_extras=True)
    fields: dict[str, Any] = {}
    for name, argument in list(inspect.signature(kind.__init__).parameters.items())[1:]:
        required = argument.default is inspect.Parameter.empty
        fields[name] = (hints[name], ... if required else argument.default)
    return create_model(kind.__name__, __config__=ConfigDict(extra='forbid'), **fields)


def _near(name: str, known: Iterable[str]) -> str:
    listed = list(known)
    found = difflib.get_close_matches(name, listed, 1, 0.5)
    return f'did you mean {found[0]}?' if found else f'expected one of {", ".join(listed)}'


def check_steps(steps: Sequence[Any]) -> list[str]:
    """Everything that is wrong with a list of steps, a line each."""
    faults = []
    for index, step in enumerate(steps):
        if not isinstance(step, Mapping) or len(step) != 1:
            faults.append(f'{index}: expected one name with its parameters, got {step!r}')
            continue
        name, given = next(iter(step.items()))
        given = given or {}
        if not isinstance(given, Mapping):
            faults.append(f'{index}.{name}: expected a mapping of parameters, got {given!r}')
        elif name == 'one_of':
            faults += [f'{index}.one_of.{fault}' for fault in check_steps(given.get('of', ()))]
            if not given.get('of') or set(given) - {'of', 'p'}:
                faults.append(f'{index}.one_of: expected p and a list of')
        elif name not in STEPS:
            faults.append(f'{index}.{name}: unknown transform, {_near(name, (*STEPS, "one_of"))}')
        else:
            faults += [f'{index}.{name}.{fault}' for fault in _argument_faults(name, given)]
    return faults


def _argument_faults(name: str, given: Mapping[str, Any]) -> list[str]:
    model = _parameters(STEPS[name])
    try:
        model.model_validate(dict(given))
    except ValidationError as error:
        lines = []
        for fault in error.errors():
            where = '.'.join(map(str, fault['loc']))
            if fault['type'] == 'extra_forbidden':
                lines.append(f'{where}: unknown key, {_near(where, model.model_fields)}')
            else:
                lines.append(f'{where}: {fault["msg"].lower()}, got {fault["input"]!r}')
        return lines
    return []


def build(steps: Sequence[Step]) -> v2.Transform:
    """The chain of a list of steps, in order; raises `ConfigError` that lists every fault."""
    faults = check_steps(steps)
    if faults:
        raise ConfigError(problems_line('transforms', faults))
    made = [_make(*next(iter(step.items()))) for step in steps]
    return v2.Compose(made) if made else v2.Identity()


def _make(name: str, given: Mapping[str, Any] | None) -> v2.Transform:
    given = given or {}
    if name == 'one_of':
        choices = [_make(*next(iter(step.items()))) for step in given['of']]
        return OneOf(choices, float(given.get('p', 1.0)))
    checked = _parameters(STEPS[name]).model_validate(dict(given))
    return STEPS[name](**{field: getattr(checked, field) for field in type(checked).model_fields})


def parameters_of(steps: Sequence[Step], name: str) -> dict[str, Any] | None:
    """Parameters of the first step called `name`, with their defaults; None without one."""
    for step in steps:
        if name in step:
            return _parameters(STEPS[name]).model_validate(dict(step[name] or {})).model_dump()
    return None


def at_size(steps: Sequence[Step], height: int, width: int) -> list[dict[str, Any]]:
    """The same steps with output `height` x `width` wherever a step decides on it."""
    made = []
    for step in steps:
        name, given = next(iter(step.items()))
        sized = name in STEPS and 'height' in _parameters(STEPS[name]).model_fields
        size = {'height': height, 'width': width} if sized else {}
        made.append({name: {**(given or {}), **size}})
    return made


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
        hints = [f'augmentation.{name}: unknown key, {_near(name, known)}' for name in unknown]
        raise ConfigError('; '.join(hints))
    fused = [
        {name: {key: old[key] for key in keys if key in old}} for name, keys in _OLD_PARTS.items()
    ]
    single = {name: old.get(name, _OLD_DEFAULTS.get(name, 0.0)) for name in chances}
    steps = [{name: {'p': p}} for name, p in single.items() if p > 0]
    painted = [step for step in steps if set(step) & {'markings', 'bonnet'}]
    return [*painted, *fused, *(step for step in steps if step not in painted)]
