"""What one line of the table is, before it has been measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

DEFAULT = 'light_unet int8 openvino 512x288'
"""The case that every other is compared with: the shipped file in the default runtime."""
PEAK = 'int8 peak'


@dataclass(frozen=True)
class Case:
    """One measurement, in a process of its own.

    `runtime`: openvino, onnxruntime, torch, torchscript, litert, ncnn, or camera (the runtime's
    own pipeline). `file`: what is run, relative to the bench folder or absolute. `options`: of
    the runtime. `facts`: what the table says besides. `group`: the table it stands in.
    """

    name: str
    model: str
    precision: str
    runtime: str
    size: tuple[int, int]
    """Width, height of what goes in."""
    file: str
    group: str
    options: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values, for the worker's command line."""
        return asdict(self)


def title(model: str, precision: str, runtime: str, size: tuple[int, int]) -> str:
    """The name of a case."""
    return f'{model} {precision} {runtime} {size[0]}x{size[1]}'
