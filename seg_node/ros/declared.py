"""Parameters declared once, as fields of a frozen dataclass.

A field made by `parameter` holds default, description, range and choices. From it come the ROS
declaration, the reader, config/seg_node.yaml, the tables of the documentation and the choices of
the launch files; see `parameters` and `parameter_docs`. Nothing here imports ROS.
"""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from seg_node.errors import ConfigError, problems_line

_KEY = 'parameter'
T = TypeVar('T')


@dataclass(frozen=True)
class Declared:
    """One parameter: default, description, allowed values, and when it may change.

    `live`: takes effect while the node runs; otherwise it is read when the node is configured.
    `default` `[]` is an empty list of integers, `['']` an empty list of strings, which ROS cannot
    declare.
    """

    name: str
    default: Any
    description: str
    choices: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None
    live: bool = False
    read_only: bool = False

    @property
    def may_be_off(self) -> bool:
        """Whether `off` is a choice, which YAML 1.1 and so `ros2 param` hand on as false."""
        return 'off' in self.choices

    def plain(self, value: Any) -> Any:
        """`value` as the settings hold it: lists as tuples, without ROS's empty string."""
        if self.may_be_off and value is False:
            return 'off'
        if value is None:
            return ()
        if isinstance(value, list | tuple | array):
            return tuple(item for item in value if item != '')
        return value

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value`, or None."""
        value = 'off' if self.may_be_off and value is False else value
        if self.choices and value not in self.choices:
            return f'{self.name}: expected one of {", ".join(self.choices)}, got {value!r}'
        if self.default == [] and not _integers(value):
            return f'{self.name}: expected a list of integers, got {value!r}'
        return None

    def same(self, value: Any, other: Any) -> bool:
        """Whether two values of this parameter mean the same."""
        return bool(self.plain(value) == self.plain(other))


def parameter(
    default: Any,
    description: str,
    *,
    name: str = '',
    choices: tuple[str, ...] = (),
    bounds: tuple[float, float] | None = None,
    live: bool = False,
    read_only: bool = False,
) -> Any:
    """A dataclass field that is a ROS parameter; `name` where it is not the field's own.

    Lists are tuples in the dataclass: `tuple[int, ...]` or `tuple[str, ...]`.
    """
    declared = Declared(name, default, description, choices, bounds, live, read_only)
    return dataclasses.field(default=default, metadata={_KEY: declared})


def declared(*kinds: type) -> tuple[Declared, ...]:
    """The parameters of settings classes, in the order of their fields."""
    return tuple(item for kind in kinds for item in _by_field(kind).values())


def settings(kind: type[T], values: Mapping[str, Any]) -> T:
    """An instance of `kind` from values by parameter name.

    Raises `ConfigError` that lists every impossible value.
    """
    items = _by_field(kind)
    problems = [p for item in items.values() if (p := item.problem(values[item.name]))]
    if problems:
        raise ConfigError(problems_line('parameters', problems))
    return kind(**{field: item.plain(values[item.name]) for field, item in items.items()})


def replaced(current: T, values: Mapping[str, Any]) -> T:
    """`current` with the parameters in `values`, by parameter name, that are its own."""
    changes = {
        field: item.plain(values[item.name])
        for field, item in _by_field(type(current)).items()
        if item.name in values
    }
    return dataclasses.replace(current, **changes) if changes else current  # type: ignore[type-var]


def _by_field(kind: type) -> dict[str, Declared]:
    hints = get_type_hints(kind)
    by_field = {}
    for field in dataclasses.fields(kind):
        item: Declared | None = field.metadata.get(_KEY)
        if item is None:
            continue
        default = item.default
        if isinstance(default, tuple):
            empty = [''] if hints[field.name] == tuple[str, ...] else []
            default = list(default) or empty
        by_field[field.name] = dataclasses.replace(
            item, name=item.name or field.name, default=default
        )
    return by_field


def _integers(value: Any) -> bool:
    """Whether a parameter's value is a list of integers, empty or not set."""
    if value is None:
        return True
    return isinstance(value, Sequence | array) and all(type(item) is int for item in value)
