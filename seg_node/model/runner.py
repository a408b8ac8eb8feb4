"""What every runtime offers to the pipeline, and what is asked of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from seg_node.camera.size import Size
from seg_node.errors import ConfigError, ModelError, problems_line
from seg_node.model.logits import unshuffled
from seg_node.model.spec import ModelSpec
from seg_node.tuning import available_cores

Array = npt.NDArray[np.uint8]
BackendName = Literal['auto', 'openvino', 'onnxruntime', 'tensorrt']
PrecisionName = Literal['auto', 'int8', 'bf16', 'fp32']

BACKENDS: tuple[BackendName, ...] = ('auto', 'openvino', 'onnxruntime', 'tensorrt')
PRECISIONS: tuple[PrecisionName, ...] = ('auto', 'int8', 'bf16', 'fp32')
DEVICES = ('cpu', 'cuda')
_MOST_PIXELS = 1 << 26
"""Of a network's picture: a file that announces more would fill the memory."""


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
    `streams`: frames that are in the network at a time, each on its share of `threads`.
    `digest` of the model's files: the loader fills it in, it is part of the compile cache's key.
    """

    backend: BackendName = 'auto'
    precision: PrecisionName = 'int8'
    device: str = 'cpu'
    threads: int = 0
    cache_dir: Path | None = None
    pin: bool = True
    streams: int = 1
    digest: str = ''

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
        if not 1 <= self.streams <= 256:
            problems.append(f'streams: expected 1 to 256, got {self.streams}')
        if problems:
            raise ConfigError(problems_line('model options', problems))

    @property
    def thread_count(self) -> int:
        """Threads to use, at least 1."""
        return self.threads or available_cores()


def effective_precision(options: RunOptions, spec: ModelSpec) -> PrecisionName:
    """What a file really runs in: asking a float file for int8 gives fp32."""
    if options.precision == 'int8' and spec.precision != 'int8':
        return 'fp32'
    return options.precision


@dataclass(frozen=True)
class NetworkOutput:
    """One answer of the network: views, valid until the next `run`.

    `mask`: uint8 (h, w), class ids, or None for files that leave the decision to the runtime.
    `scores`: uint8 (K, h, w), or None for many-class models; logits as bytes where the file's
    `encoding` says so (`seg_node.model.logits`), which `Decider` knows.
    """

    mask: Array | None
    scores: Array | None


class Answers:
    """Makes the `NetworkOutput` of a file's named outputs, with the memory that this takes."""

    def __init__(self, spec: ModelSpec, network: Size) -> None:
        self.names: tuple[str, ...] = ('mask', 'scores')
        self._planes: Array | None = None
        if spec.encoding == 'logits':
            self.names = ('logits',)
            shape = (len(spec.classes) - 1, network.height, network.width)
            self._planes = np.empty(shape, np.uint8)

    def __call__(self, outputs: Mapping[str, Array]) -> NetworkOutput:
        """`outputs`: those of the network, with their leading dimension of 1, by name."""
        if self._planes is not None:
            return NetworkOutput(None, unshuffled(outputs['logits'][0], self._planes))
        return NetworkOutput(
            outputs['mask'][0], outputs['scores'][0] if 'scores' in outputs else None
        )


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

    def run(self) -> NetworkOutput:
        """Run the network on `input`."""

    def twin(self) -> Runner:
        """Another on the same compiled model, with memory of its own, for another thread."""


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
    elif image.shape[1] * image.shape[2] > _MOST_PIXELS:
        problems.append(f'image: expected at most {_MOST_PIXELS >> 20} megapixels, got {image}')
    ports = {port.name: port for port in outputs}
    if spec.encoding == 'logits':
        problems += _logit_problems(ports.get('logits'), image, spec)
        if problems:
            raise ModelError(problems_line(subject, problems))
        return Size(image.shape[2], image.shape[1])
    mask = ports.get('mask')
    if mask is None or mask.dtype != 'uint8' or len(mask.shape) != 3:
        problems.append(f'mask: expected uint8 [1, H, W], got {mask}')
    scores = ports.get('scores')
    count = len(spec.classes) - 1
    if scores is not None and (
        scores.dtype != 'uint8' or len(scores.shape) != 4 or scores.shape[1] != count
    ):
        problems.append(f'scores: expected uint8 [1, {count}, H, W], got {scores}')
    if problems:
        raise ModelError(problems_line(subject, problems))
    return Size(image.shape[2], image.shape[1])


def _logit_problems(port: Port | None, image: Port, spec: ModelSpec) -> list[str]:
    patch, count = spec.patch, len(spec.classes) - 1
    shape = image.shape if len(image.shape) == 4 else (1, 0, 0, 3)
    problems = []
    if shape[1] % patch or shape[2] % patch:
        problems.append(f'image: expected sides divisible by patch {patch}, got {image}')
    expected = (1, shape[1] // patch, shape[2] // patch, count * patch**2)
    if port is None or port.dtype != 'uint8' or port.shape != expected:
        problems.append(f'logits: expected uint8 {list(expected)}, got {port}')
    return problems
