"""Declared parameters on a ROS node: declaring, reading, changing, and what a file misspells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
)
from rclpy.exceptions import ParameterException

from seg_node.errors import ConfigError, first_line, near_name, problems_line
from seg_node.ros.declared import Declared, declared, replaced, settings

__all__ = ['Declared', 'ParameterSet', 'declare', 'read', 'warn_of_unknown']

T = TypeVar('T')
_ROS_OWN = ('use_sim_time', 'start_type_description_service', 'qos_overrides')


def descriptor(item: Declared) -> ParameterDescriptor:
    """A declaration as ROS describes parameters."""
    described = ParameterDescriptor(
        name=item.name, description=item.description, read_only=item.read_only
    )
    if item.choices:
        described.additional_constraints = 'one of ' + ', '.join(item.choices)
    if item.bounds is not None and isinstance(item.default, int):
        low, high = (int(bound) for bound in item.bounds)
        described.integer_range = [IntegerRange(from_value=low, to_value=high, step=0)]
    elif item.bounds is not None:
        low_f, high_f = item.bounds
        described.floating_point_range = [
            FloatingPointRange(from_value=low_f, to_value=high_f, step=0.0)
        ]
    if item.may_be_off:
        described.dynamic_typing = True
    if item.default == []:
        described.type = ParameterType.PARAMETER_INTEGER_ARRAY
        described.dynamic_typing = True
    return described


def declare(node: Any, items: Sequence[Declared]) -> None:
    """Declare every parameter of `items` on `node`.

    Raises `ConfigError` that names the parameter when an override has the wrong type or is out of
    range.
    """
    problems = []
    for item in items:
        try:
            node.declare_parameter(item.name, item.default, descriptor(item))
        except (ParameterException, ValueError, TypeError) as error:
            override = node._parameter_overrides.get(item.name)
            value = override.value if override is not None else None
            problems.append(f'{item.name}: cannot be {value!r} ({first_line(error)})')
    if problems:
        raise ConfigError(problems_line('parameters', problems))


def read(node: Any, kind: type[T]) -> T:
    """Settings of `kind` as the node's parameters are now.

    Raises `ConfigError` that lists every impossible one.
    """
    return settings(
        kind, {item.name: node.get_parameter(item.name).value for item in declared(kind)}
    )


def warn_of_unknown(
    node: Any, items: Iterable[Declared], elsewhere: Callable[[], Iterable[str]] = tuple
) -> None:
    """One line for each override that is no parameter of the node, with the nearest name.

    `elsewhere` names parameters of its neighbours, which a block for every node may hold as well;
    it is asked only where there is a doubt.
    """
    names = [item.name for item in items]
    doubtful = {n for n in node._parameter_overrides if n.split('.')[0] not in _ROS_OWN} - {*names}
    for name in sorted(doubtful - {*elsewhere()} if doubtful else ()):
        advice = near_name(name, names, 'see config/seg_node.yaml')
        node.get_logger().warning(f'{name}: no such parameter, {advice}')


class ParameterSet:
    """The settings classes of a node: `of(kind)` gives the values that are in force."""

    def __init__(self, node: Any, kinds: Sequence[type]) -> None:
        self._node = node
        self._kinds = tuple(kinds)
        self.items = {item.name: item for item in declared(*kinds)}
        declare(node, tuple(self.items.values()))
        self._current: dict[type, Any] = {}
        self.read_all()

    def read_all(self) -> None:
        """Take every parameter as it is now. Raises `ConfigError`."""
        self._current = {kind: read(self._node, kind) for kind in self._kinds}

    def of(self, kind: type[T]) -> T:
        """The settings of `kind` in force."""
        settings_in_force: T = self._current[kind]
        return settings_in_force

    def problem(self, name: str, value: Any, *, fixed: bool) -> str | None:
        """Why a parameter cannot become `value`, or None.

        `fixed`: the node is configured, so that only what is live may change.
        """
        item = self.items.get(name)
        if item is None:
            return None
        problem = item.problem(value)
        if problem is not None or not fixed or item.live:
            return problem
        if item.same(value, self._node.get_parameter(name).value):
            return None
        return f'{name}: read when the node is configured; clean up first'

    def replaced(self, values: Mapping[str, Any]) -> dict[type, Any]:
        """The settings with live `values` in place. Raises `ConfigError`."""
        live = {n: v for n, v in values.items() if n in self.items and self.items[n].live}
        return {kind: replaced(current, live) for kind, current in self._current.items()}

    def put(self, current: dict[type, Any]) -> None:
        """Let what `replaced` gave come into force."""
        self._current = current
