"""Errors of the package: one public base, messages of one line.

Every message names the thing, what was expected and what came, so that it can be shown to a person
as it is. The command line prints it without a traceback; the node logs and counts it.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, get_args


class SegNodeError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(SegNodeError):
    """An image, bag, video or folder that cannot be used."""


class FrameError(InputError):
    """One camera frame that cannot be used; the stream goes on.

    `cause` is a short, countable word for diagnostics, e.g. `encoding` or `size`.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class ModelError(SegNodeError):
    """A model file that is missing, corrupt, or not described well enough to be run."""


class BackendError(SegNodeError):
    """A runtime that failed while it ran a model which it had loaded."""


class ConfigError(SegNodeError):
    """A parameter, option or configuration file with an impossible value."""


def problems_line(subject: str, problems: Sequence[str]) -> str:
    """All `problems` of `subject` in one line, so that nobody has to mend them one at a time."""
    if len(problems) == 1:
        return f'{subject}: {problems[0]}'
    listed = '; '.join(f'({i}) {problem}' for i, problem in enumerate(problems, 1))
    return f'{subject}: {len(problems)} problems: {listed}'


def first_line(error: BaseException | str, most: int = 200) -> str:
    """The first line that says something of an error or a text; an error's type where none does.

    Libraries put the cause there and pages of advice after it.
    """
    return _line(error, 0, most)


def last_line(error: BaseException | str, most: int = 200) -> str:
    """The last line that says something: where runtimes and child processes put the cause."""
    return _line(error, -1, most)


def _line(error: BaseException | str, place: int, most: int) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines:
        return lines[place][:most]
    return type(error).__name__ if isinstance(error, BaseException) else ''


def cause_line(error: BaseException) -> str:
    """One line for an exception that nobody foresaw, with its cause.

    What the system says (permission, disk, memory) as it says it; anything else with its type and
    the place it came from, for a report.
    """
    if isinstance(error, SegNodeError):
        return str(error)
    if isinstance(error, MemoryError):
        return f'not enough memory: {first_line(error)}' if str(error) else 'not enough memory'
    if isinstance(error, OSError) and error.strerror:
        subject = f'{error.filename}: ' if error.filename is not None else ''
        return f'{subject}{error.strerror}'
    frames = traceback.extract_tb(error.__traceback__)
    place = f' ({Path(frames[-1].filename).name}:{frames[-1].lineno})' if frames else ''
    return f'unexpected {type(error).__name__}: {first_line(error)}{place}'


_SHOWN = 60
"""Characters of a wrong value that are shown."""


def near_name(name: str, known: Iterable[str], otherwise: str = '') -> str:
    """`did you mean X?` where one of `known` is like `name`; else `otherwise`, or all of them."""
    names = list(known)
    nearest = difflib.get_close_matches(name, names, 1)
    if nearest:
        return f'did you mean {nearest[0]}?'
    return otherwise or f'expected one of {", ".join(names)}'


class Invalid(Protocol):
    """What pydantic's `ValidationError` offers; this module does without pydantic."""

    def errors(self) -> list[Any]:
        """A mapping for each fault: `loc`, `msg`, `input` and more."""


def validation_problems(error: Invalid, where: str = '', model: Any = None) -> list[str]:
    """One `place: what was expected, got value` for each fault that pydantic lists.

    `where` goes before every place; with the pydantic class `model` that was checked, an unknown
    key comes with the nearest known one.
    """
    problems = []
    for fault in error.errors():
        parts = (str(part) for part in (where, *fault['loc']) if part not in ('', '[key]'))
        place = '.'.join(parts)
        said = str(fault['msg']).removeprefix('Value error, ')
        if model is not None and fault['type'] == 'extra_forbidden':
            *outer, key = fault['loc']
            said = f'unknown key, {near_name(str(key), _known_keys(model, outer))}'
        elif fault['type'] not in ('missing', 'value_error'):
            # Validators of our own say themselves what came.
            said = f'{said}, got {shown(fault["input"])}'
        problems.append(f'{place}: {said}' if place else said)
    return problems


def shown(value: object) -> str:
    """A wrong value as a message shows it, cut where it is long."""
    return repr(value)[:_SHOWN]


def _known_keys(model: Any, location: Iterable[str | int]) -> list[str]:
    """Fields that somebody can give in the part of `model` to which `location` leads."""
    parts = [model]
    for step in location:
        fields = [part.model_fields[step] for part in parts if step in part.model_fields]
        if fields:
            parts = _models_in(fields[0].annotation)
        else:  # the tag of one of several models; a number is the place in a list
            parts = [part for part in parts if step in _constants(part).values()] or parts
    return [name for name in parts[0].model_fields if name not in _constants(parts[0])]


def _models_in(annotation: Any) -> list[Any]:
    if hasattr(annotation, 'model_fields'):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _constants(model: Any) -> dict[str, str]:
    """Fields with a single possible value, which tell models of a union apart."""
    values = {name: get_args(field.annotation) for name, field in model.model_fields.items()}
    return {
        name: one[0] for name, one in values.items() if len(one) == 1 and isinstance(one[0], str)
    }
