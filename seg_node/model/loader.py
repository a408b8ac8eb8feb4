"""From a path to a running model: the only entry the rest of the package uses."""

from __future__ import annotations

import contextlib
import ctypes
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from seg_node.errors import ConfigError, ModelError
from seg_node.model.runner import PrecisionName, Runner, RunOptions

_MEASURED_RUNS = 15


@dataclass(frozen=True)
class Candidate:
    """One way to run a model that `precision: auto` measured; `median_ms` of its runs."""

    path: Path
    precision: PrecisionName
    median_ms: float


@dataclass(frozen=True)
class LoadedModel:
    """A warm model, how long its parts took (s), and what `auto` compared."""

    runner: Runner
    path: Path
    load_s: float
    warmup_s: float
    measured: tuple[Candidate, ...] = ()


def default_model() -> Path:
    """The model that ships with the package. Raises `ModelError` where it is not installed."""
    from seg_node.share import share_dir

    path = share_dir() / 'models' / 'lane_light_unet_int8.onnx'
    if not path.is_file():
        raise ModelError(f'{path}: the shipped model is not installed there; give a model')
    return path


def load_model(path: str | Path | None = None, options: RunOptions | None = None) -> LoadedModel:
    """Load, check, compile and warm up a model file.

    `path` None: the shipped model. A foreign ONNX needs a sidecar `<path>.yaml` (see `sidecar`).
    Raises `ModelError` for the file and `ConfigError` for the options, one line each.
    """
    options = options or RunOptions()
    started = time.perf_counter()
    source = Path(path) if path else default_model()
    contract = _contract_file(source, options)
    measured: tuple[Candidate, ...] = ()
    if options.precision == 'auto':
        measured = _measure(contract, options)
        best = min(measured, key=lambda candidate: candidate.median_ms)
        contract = best.path
        options = replace(options, precision=best.precision)
    else:
        contract = _file_for(contract, options.precision)
    runner = _open(contract, options)
    loaded = time.perf_counter()
    runner.run()
    warm = time.perf_counter()
    _give_back_memory()
    return LoadedModel(runner, source, loaded - started, warm - loaded, measured)


def _give_back_memory() -> None:
    """Return to the system what compiling has freed (glibc keeps it otherwise): some 7 MB."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _contract_file(source: Path, options: RunOptions) -> Path:
    if not source.is_file():
        raise ModelError(f'{source}: no such model file')
    if source.suffix != '.onnx':
        raise ModelError(f'{source}: expected an .onnx file, got {source.suffix or "no suffix"}')
    sidecar = source.with_name(source.name + '.yaml')
    if sidecar.is_file():
        try:
            from seg_node.model.foreign import wrapped  # needs onnx and pydantic, ours do not
        except ImportError as error:
            raise ConfigError(
                f'{source}: a model with a sidecar needs the package {error.name}, '
                f'it is not installed'
            ) from None
        return wrapped(source, sidecar, options.cache_dir)
    return source


def _open(path: Path, options: RunOptions) -> Runner:
    if options.backend in ('auto', 'openvino') and options.device == 'cpu':
        try:
            from seg_node.model.openvino import OpenVinoRunner
        except ImportError as error:
            if options.backend == 'openvino':
                raise ConfigError(f'backend openvino: not installed ({error})') from None
        else:
            return OpenVinoRunner(path, options)
    if options.backend == 'openvino':
        raise ConfigError(f'backend openvino: runs on the cpu here, got device {options.device}')
    try:
        from seg_node.model.onnxruntime import OnnxRuntimeRunner
    except ImportError as error:
        raise ConfigError(f'backend {options.backend}: not installed ({error})') from None
    return OnnxRuntimeRunner(path, options)


def _file_for(path: Path, precision: str) -> Path:
    """The float twin beside an int8 file for float precisions, and the int8 file for int8."""
    if precision == 'int8' or not path.stem.endswith('_int8'):
        return path
    twin = path.with_name(path.stem.removesuffix('_int8') + '_fp32.onnx')
    if not twin.is_file():
        raise ConfigError(f'precision {precision}: needs the float file {twin}, it is not there')
    return twin


def _measure(path: Path, options: RunOptions) -> tuple[Candidate, ...]:
    """Median time of every precision that the files and the runtime offer, in turns."""
    runners: list[tuple[Path, Runner]] = []
    offered: tuple[PrecisionName, ...] = ('int8', 'bf16')
    for precision in offered:
        try:
            file = _file_for(path, precision)
            runners.append((file, _open(file, replace(options, precision=precision))))
        except ConfigError:
            continue
    if not runners:
        raise ConfigError(f'precision auto: no way to run {path} on backend {options.backend}')
    times: list[list[float]] = [[] for _ in runners]
    for _ in range(_MEASURED_RUNS):
        for (_, runner), taken in zip(runners, times):
            started = time.perf_counter()
            runner.run()
            taken.append((time.perf_counter() - started) * 1e3)
    return tuple(
        Candidate(file, runner.precision, float(np.median(taken)))
        for (file, runner), taken in zip(runners, times)
    )
