"""The node's parameters: declared with description and range, read into one frozen object."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
)
from rclpy.exceptions import ParameterException

from seg_node.errors import ConfigError, problems_line
from seg_node.model.runner import BACKENDS, DEVICES, PRECISIONS, RunOptions, default_cache_dir
from seg_node.pipeline import OutputSize

TRANSPORTS = ('raw', 'compressed')
OUTPUT_SIZES = ('source', 'network')


@dataclass(frozen=True)
class Declared:
    """One parameter: default, description, allowed values, and when it may change.

    `live`: takes effect while the node runs; otherwise it is read when the node is configured.
    """

    name: str
    default: Any
    description: str
    choices: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None
    live: bool = False
    read_only: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """The same as ROS describes parameters."""
        descriptor = ParameterDescriptor(
            name=self.name, description=self.description, read_only=self.read_only
        )
        if self.choices:
            descriptor.additional_constraints = 'one of ' + ', '.join(self.choices)
        if self.bounds is not None and isinstance(self.default, int):
            low, high = (int(bound) for bound in self.bounds)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=0)]
        elif self.bounds is not None:
            low_f, high_f = self.bounds
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=low_f, to_value=high_f, step=0.0)
            ]
        if self.default == []:
            descriptor.type = ParameterType.PARAMETER_INTEGER_ARRAY
            descriptor.dynamic_typing = True
        return descriptor

    def problem(self, value: Any) -> str | None:
        """What is wrong with `value`, or None."""
        if self.choices and value not in self.choices:
            return f'{self.name}: expected one of {", ".join(self.choices)}, got {value!r}'
        if self.default == [] and not _integers(value):
            return f'{self.name}: expected a list of integers, got {value!r}'
        return None


def _integers(value: Any) -> bool:
    """Whether a parameter's value is a list of integers, empty or not set."""
    if value is None:
        return True
    return isinstance(value, Sequence | array) and all(type(item) is int for item in value)


PARAMETERS = (
    Declared('autostart', True, 'Configure and activate without being told.', read_only=True),
    Declared('model', '', 'Path of the model file (.onnx); empty: the one that ships.'),
    Declared('backend', 'auto', 'Runtime that runs the model.', BACKENDS),
    Declared(
        'precision',
        'int8',
        'Number format; auto measures int8 against bf16 where both exist.',
        PRECISIONS,
    ),
    Declared('device', 'cpu', 'Where ONNX Runtime runs the model.', DEVICES),
    Declared('threads', 0, 'Threads of the network; 0: one a core.', bounds=(0, 256)),
    Declared('cache_dir', '', "Compile cache; empty: the user's cache folder, off: none."),
    Declared('image_transport', 'raw', 'Kind of message on image.', TRANSPORTS),
    Declared(
        'output_size', 'source', "Size of the mask: the camera's or the network's.", OUTPUT_SIZES
    ),
    Declared(
        'max_frame_age_ms',
        0.0,
        'A frame older than this when its turn comes is skipped; 0: never. Milliseconds.',
        bounds=(0.0, 1e9),
        live=True,
    ),
    Declared(
        'queue_size',
        0,
        'Frames that may wait; a newer one supersedes the oldest. 0: 1, or 10 with rtabmap.mode.',
        bounds=(0, 100),
    ),
    Declared(
        'thresholds',
        [],
        "Score from 1 to 255 that each foreground class needs; empty: the model's own.",
        live=True,
    ),
    Declared(
        'overlay_alpha', 0.5, 'Opacity of the mask on ~/overlay.', bounds=(0.0, 1.0), live=True
    ),
    Declared('jpeg_quality', 80, 'Quality of ~/overlay/compressed.', bounds=(1, 100), live=True),
    Declared(
        'diagnostics_period_s',
        1.0,
        'Seconds between messages on /diagnostics.',
        bounds=(0.1, 3600.0),
    ),
)


@dataclass(frozen=True)
class NodeSettings:
    """All parameters at one time."""

    autostart: bool
    model: str
    backend: str
    precision: str
    device: str
    threads: int
    cache_dir: str
    image_transport: str
    output_size: OutputSize
    max_frame_age_ms: float
    queue_size: int
    thresholds: tuple[int, ...]
    overlay_alpha: float
    jpeg_quality: int
    diagnostics_period_s: float

    def run_options(self) -> RunOptions:
        """What the model loader is asked for."""
        caches: dict[str, Path | None] = {'': default_cache_dir(), 'off': None}
        return RunOptions(
            backend=self.backend,  # type: ignore[arg-type]
            precision=self.precision,  # type: ignore[arg-type]
            device=self.device,
            threads=self.threads,
            cache_dir=caches.get(self.cache_dir, Path(self.cache_dir).expanduser()),
        )


def declare(node: Any, items: Sequence[Declared] = PARAMETERS) -> None:
    """Declare every parameter of `items` on `node`.

    Raises `ConfigError` that names the parameter when an override has the wrong type or is out of
    range.
    """
    problems = []
    for item in items:
        try:
            node.declare_parameter(item.name, item.default, item.descriptor())
        except (ParameterException, ValueError, TypeError) as error:
            given = node._parameter_overrides.get(item.name)
            value = given.value if given is not None else None
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            problems.append(f'{item.name}: cannot be {value!r} ({reason})')
    if problems:
        raise ConfigError(problems_line('parameters', problems))


def read(node: Any) -> NodeSettings:
    """The parameters as they are now. Raises `ConfigError` that lists every impossible one."""
    values = {item.name: node.get_parameter(item.name).value for item in PARAMETERS}
    problems = [p for item in PARAMETERS if (p := item.problem(values[item.name]))]
    if not problems:
        values['thresholds'] = tuple(values['thresholds'] or ())
        problems += [
            f'thresholds: expected 1 to 255, got {value}'
            for value in values['thresholds']
            if not 1 <= value <= 255
        ]
    if problems:
        raise ConfigError(problems_line('parameters', problems))
    return NodeSettings(**values)


def changed(settings: NodeSettings, values: dict[str, Any]) -> NodeSettings:
    """`settings` with some values replaced."""
    return replace(settings, **values)
