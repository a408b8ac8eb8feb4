"""What every runtime offers to the pipeline, and what is asked of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from seg_node.errors import ConfigError, ModelError, problems_line
from seg_node.geometry import Size
from seg_node.model.spec import ModelSpec

Array = npt.NDArray[np.uint8]
BackendName = Literal['auto', 'openvino', 'onnxruntime', 'tensorrt']
PrecisionName = Literal['auto', 'int8', 'bf16', 'fp32']

BACKENDS: tuple[BackendName, ...] = ('auto', 'openvino', 'onnxruntime', 'tensorrt')
PRECISIONS: tuple[PrecisionName, ...] = ('auto', 'int8', 'bf16', 'fp32')
DEVICES = ('cpu', 'cuda')


def default_cache_dir() -> Path:
    """Where compiled models are kept: `$XDG_CACHE_HOME/seg_node` or `~/.cache/seg_node`."""
    base = os.environ.get('XDG_CACHE_HOME')
    return (Path(base) if base else Path.home() / '.cache') / 'seg_node'


@dataclass(frozen=True)
class RunOptions:
    """How a model is run.

    `precision`: `int8` runs a quantized file as it is; `bf16` and `fp32` run the float remainder,
    or a float file, in that type; `auto` measures what the machine and the files offer.
    `threads` 0: as many as the process may use. `cache_dir` None: no compile cache. `pin`: bind
    the threads to cores; not for models that run side by side, which would get the same cores.
    """

    backend: BackendName = 'auto'
    precision: PrecisionName = 'int8'
    device: str = 'cpu'
    threads: int = 0
    cache_dir: Path | None = None
    pin: bool = True

    def __post_init__(self) -> None:
        problems = [
            f'{name}: expected one of {", ".join(allowed)}, got {value!r}'
            for name, value, allowed in (
                ('backend', self.backend, BACKENDS),
                ('precision', self.precision, PRECISIONS),
                ('device', self.device, DEVICES),
            )
            if value not in allowed
        ]
        if not 0 <= self.threads <= 256:
            problems.append(f'threads: expected 0 to 256, got {self.threads}')
        if problems:
            raise ConfigError(problems_line('model options', problems))

    @property
    def thread_count(self) -> int:
        """Threads to use, at least 1."""
        return self.threads or len(os.sched_getaffinity(0))


def effective_precision(options: RunOptions, spec: ModelSpec) -> PrecisionName:
    """What a file really runs in: asking a float file for int8 gives fp32."""
    if options.precision == 'int8' and spec.precision != 'int8':
        return 'fp32'
    return options.precision


@dataclass(frozen=True)
class Output:
    """One answer of the network: views, valid until the next `run`.

    `mask`: uint8 (h, w), class ids. `scores`: uint8 (K, h, w), or None for many-class models.
    """

    mask: Array
    scores: Array | None


class Runner(Protocol):
    """A compiled model on one runtime."""

    spec: ModelSpec
    network: Size
    backend: str
    precision: PrecisionName
    threads: int

    @property
    def input(self) -> Array:
        """Writable uint8 (H, W, 3): the picture of the next `run`."""

    def run(self) -> Output:
        """Run the network on `input`."""


@dataclass(frozen=True)
class Port:
    """Name, dtype and shape of a graph's input or output; -1 for a dimension left open."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f'{self.dtype} {list(self.shape)}'


def check_contract(subject: str, inputs: list[Port], outputs: list[Port], spec: ModelSpec) -> Size:
    """The network's size, or a `ModelError` that lists every departure from the contract."""
    problems: list[str] = []
    if [p.name for p in inputs] != ['image']:
        problems.append(f"inputs: expected 'image', got {[p.name for p in inputs]}")
    image = inputs[0] if inputs else Port('', '', ())
    fixed = len(image.shape) == 4 and image.shape[0] == 1 and image.shape[3] == 3
    if image.dtype != 'uint8' or not fixed or min(image.shape) < 1:
        problems.append(f'image: expected uint8 [1, H, W, 3], got {image}')
    found = {port.name: port for port in outputs}
    mask = found.get('mask')
    if mask is None or mask.dtype != 'uint8' or len(mask.shape) != 3:
        problems.append(f'mask: expected uint8 [1, H, W], got {mask}')
    scores = found.get('scores')
    count = len(spec.classes) - 1
    if scores is not None and (
        scores.dtype != 'uint8' or len(scores.shape) != 4 or scores.shape[1] != count
    ):
        problems.append(f'scores: expected uint8 [1, {count}, H, W], got {scores}')
    if problems:
        raise ModelError(problems_line(subject, problems))
    return Size(image.shape[2], image.shape[1])
