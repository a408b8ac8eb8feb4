"""The model on OpenVINO: the default on a CPU."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

from seg_node.camera.size import Size
from seg_node.errors import ModelError, last_line
from seg_node.model.compile_cache import CompileCache
from seg_node.model.openvino_light import ov
from seg_node.model.runner import (
    Answers,
    Array,
    NetworkOutput,
    Port,
    PrecisionName,
    RunOptions,
    check_contract,
    effective_precision,
)
from seg_node.model.spec import ModelSpec
from seg_node.signal_stack import kept_signal_stack

_DTYPES = {
    f'{short}{bits}': f'{word}{bits}'
    for short, word in (('u', 'uint'), ('i', 'int'), ('f', 'float'))
    for bits in (8, 16, 32, 64)
}
"""numpy's names of OpenVINO's element types; 4 bits or an unknown type (`dynamic`) have none."""


class OpenVinoRunner:
    """A model compiled by OpenVINO for the CPU, for latency."""

    backend = 'openvino'

    def __init__(self, path: Path, options: RunOptions) -> None:
        core = ov.Core()
        try:
            model = core.read_model(path)
        except (RuntimeError, UnicodeDecodeError) as error:  # its message may quote any bytes
            raise ModelError(f'{path}: not a readable ONNX file: {last_line(error)}') from None
        self.spec = ModelSpec.from_metadata(str(path), _metadata(model))
        ports = ([_port(p) for p in model.inputs], [_port(p) for p in model.outputs])
        self.network: Size = check_contract(str(path), *ports, self.spec)
        self.precision: PrecisionName = effective_precision(options, self.spec)
        self.threads = options.thread_count
        # Left to itself OpenVINO runs floats as bf16 where the CPU can: say what is wanted.
        config: dict[str, Any] = {
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_NUM_THREADS': self.threads,
            # Streams share the cores better where the scheduler may move them (docs/node.md).
            'ENABLE_CPU_PINNING': options.pin and options.streams == 1,
            'INFERENCE_PRECISION_HINT': 'bf16' if options.precision == 'bf16' else 'f32',
        }
        if options.streams > 1:
            config['NUM_STREAMS'] = options.streams
        self._names = [port.name for port in ports[1]]
        try:
            with kept_signal_stack():
                self._compiled = _compiled(core, model, config, options)
                self._request = self._compiled.create_infer_request()
        except (RuntimeError, UnicodeDecodeError) as error:
            raise ModelError(f'{path}: OpenVINO cannot compile it: {last_line(error)}') from None
        self._take_memory()

    def _take_memory(self) -> None:
        self._answers = Answers(self.spec, self.network)
        self._outputs: dict[str, Array] = {
            name: self._request.get_output_tensor(index).data
            for index, name in enumerate(self._names)
            if name in self._answers.names
        }
        self._image: Array = self._request.get_input_tensor(0).data[0]

    def twin(self) -> OpenVinoRunner:
        """Another request of the same compiled model, which keeps the weights once."""
        other = copy.copy(self)
        other._request = self._compiled.create_infer_request()
        other._take_memory()
        return other

    @property
    def input(self) -> Array:
        """Writable uint8 (H, W, 3): the runtime's own memory."""
        return self._image

    def run(self) -> NetworkOutput:
        """Run the network on `input`; the answer is the runtime's own memory."""
        self._request.start_async()
        self._request.wait()
        return self._answers(self._outputs)


def _compiled(core: Any, model: Any, config: dict[str, Any], options: RunOptions) -> Any:
    """The model compiled, or read from the cache where that has it whole."""
    cache = CompileCache(options.cache_dir if options.digest else None)
    if not cache.used:
        return core.compile_model(model, 'CPU', config)
    name = core.get_property('CPU', 'FULL_DEVICE_NAME')
    key = CompileCache.key(
        ov.get_version(), str(name), str(sorted(config.items())), options.digest
    )
    blob = cache.get(key)
    if blob is not None:
        try:
            return core.import_model(io.BytesIO(blob), 'CPU', config)
        except RuntimeError:  # whole, but of no use to this build
            pass
    compiled = core.compile_model(model, 'CPU', config)
    cache.put(key, compiled.export_model().getvalue())
    return compiled


def _metadata(model: Any) -> dict[str, str]:
    """`metadata_props` of the ONNX file, which OpenVINO keeps under `framework`."""
    if not model.has_rt_info('framework'):
        return {}
    return {str(key): value.astype(str) for key, value in model.get_rt_info()['framework'].items()}


def _port(port: Any) -> Port:
    shape = tuple(-1 if d.is_dynamic else d.get_length() for d in port.get_partial_shape())
    name = next(iter(sorted(port.get_names())), '')
    kind = port.get_element_type().get_type_name()
    return Port(name, _DTYPES.get(kind, kind), shape)
