"""From a path to a running model: the only entry the rest of the package uses."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from seg_node.errors import ConfigError, ModelError, last_line
from seg_node.model.plain_pictures import plain_pictures
from seg_node.model.runner import PrecisionName, Runner, RunOptions
from seg_node.model.structure import check_structure
from seg_node.prerequisites import no_runtime
from seg_node.tuning import give_back_memory

_LOG = logging.getLogger(__name__)
_MEASURED_RUNS = 15


@dataclass(frozen=True)
class MeasuredPrecision:
    """One way to run a model that `precision: auto` measured; `median_ms` of its runs."""

    path: Path
    precision: PrecisionName
    median_ms: float


@dataclass(frozen=True)
class LoadedModel:
    """A warm model, how long its parts took (s), what `auto` compared, and what looks wrong.

    `twins`: of `runner`, one less than `streams` of the options.
    """

    runner: Runner
    path: Path
    load_s: float
    warmup_s: float
    measured: tuple[MeasuredPrecision, ...] = ()
    remark: str = ''
    twins: tuple[Runner, ...] = ()

    @property
    def runners(self) -> tuple[Runner, ...]:
        """Every way into the model, each for a thread of its own."""
        return (self.runner, *self.twins)


def default_model() -> Path:
    """The model that ships with the package. Raises `ModelError` where it is not installed."""
    from seg_node.share import share_dir

    path = share_dir() / 'models' / 'lane_small_int8.onnx'
    if not path.is_file():
        raise ModelError(f'{path}: the shipped model is not installed there; give a model')
    return path


def fp32_twin(path: Path) -> Path:
    """Where the float file beside an int8 one lies."""
    return path.with_name(path.stem.removesuffix('_int8') + '_fp32.onnx')


def load_model(path: str | Path | None = None, options: RunOptions | None = None) -> LoadedModel:
    """Load, check, compile and warm up a model file.

    Args:
        path: an ONNX file of the contract (`model.spec`), or a foreign one with a sidecar
            `<path>.yaml` (`model.sidecar`); None: the shipped model.
        options: runtime, precision, threads and cache; None: the defaults, without a cache.

    Raises:
        ModelError: the file is missing, damaged, or does not fit its description.
        ConfigError: the options ask for what this machine or file does not have.
    """
    options = options or RunOptions()
    started = time.perf_counter()
    source = Path(path) if path else default_model()
    with contextlib.ExitStack() as stack:
        contract = _contract_file(source, options, stack)
        measured: tuple[MeasuredPrecision, ...] = ()
        if options.precision == 'auto':
            measured = _measure(contract, options)
            best = min(measured, key=lambda candidate: candidate.median_ms)
            contract = best.path
            options = replace(options, precision=best.precision)
        else:
            contract = _file_for(contract, options.precision)
        runner = _open(contract, options)
        loaded = time.perf_counter()
        twins = tuple(runner.twin() for _ in range(options.streams - 1))
        for each in (runner, *twins):
            _warm_up(each, source)
        warm = time.perf_counter()
        remark = '' if contract == source else _probe(runner)
    if remark:
        _LOG.warning('%s: %s', source, remark)
    give_back_memory()  # what compiling has freed: some 7 MB
    return LoadedModel(runner, source, loaded - started, warm - loaded, measured, remark, twins)


def _warm_up(runner: Runner, source: Path) -> None:
    """Run once: what a runtime takes and cannot compute shows here, not at the first frame."""
    try:
        runner.run()
    except Exception as error:  # the runtimes' exceptions share no base
        raise ModelError(
            f'{source}: {runner.backend} cannot run it: {last_line(error)}'
        ) from error


def _probe(runner: Runner) -> str:
    """What a foreign model's answers to plain test pictures say of its sidecar; often nothing.

    A net that gets pictures in another range than it was trained for, or whose activation is
    applied twice, answers with one class everywhere: nothing else would tell.
    """
    seen: set[int] = set()
    for picture in plain_pictures(*runner.input.shape[:2]):
        runner.input[...] = picture
        mask = runner.run().mask
        if mask is None:  # a file of contract 2, which no sidecar makes
            return ''
        seen.update(np.unique(mask).tolist())
    if len(seen) > 1:
        return ''
    class_id = seen.pop()
    names = runner.spec.classes.names
    name = names[class_id] if class_id < len(names) else 'no class of its'
    return (
        f'the answer to five unlike test pictures is {name} (id {class_id}) everywhere: check '
        'scale, mean, std, colour_order and head in its sidecar'
    )


def _contract_file(source: Path, options: RunOptions, stack: contextlib.ExitStack) -> Path:
    """The file of our contract; what is made for this start alone goes with `stack`."""
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
        return stack.enter_context(wrapped(source, sidecar, options.cache_dir))
    return source


def _open(path: Path, options: RunOptions) -> Runner:
    structure = check_structure(path)
    if options.cache_dir is not None:
        options = replace(options, digest=structure.digest())
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
        missing = no_runtime() or f'backend {options.backend}: not installed ({error})'
        raise ConfigError(missing) from None
    return OnnxRuntimeRunner(path, options)


def _file_for(path: Path, precision: str) -> Path:
    """The float twin beside an int8 file for float precisions, and the int8 file for int8."""
    if precision == 'int8' or not path.stem.endswith('_int8'):
        return path
    twin = fp32_twin(path)
    if not twin.is_file():
        raise ConfigError(f'precision {precision}: needs the float file {twin}, it is not there')
    return twin


def _measure(path: Path, options: RunOptions) -> tuple[MeasuredPrecision, ...]:
    """Median time of every precision that the files and the runtime offer, in turns."""
    runners: list[tuple[Path, Runner]] = []
    offered: tuple[PrecisionName, ...] = ('int8', 'bf16')
    for precision in offered:
        try:
            file = _file_for(path, precision)
            runner = _open(file, replace(options, precision=precision))
            _warm_up(runner, file)
            runners.append((file, runner))
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
        MeasuredPrecision(file, runner.precision, float(np.median(taken)))
        for (file, runner), taken in zip(runners, times)
    )
