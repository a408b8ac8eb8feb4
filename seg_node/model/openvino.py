"""The model on OpenVINO: the default on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from seg_node.errors import ConfigError, ModelError
from seg_node.geometry import Size
from seg_node.model.openvino_light import ov
from seg_node.model.runner import (
    Array,
    Output,
    Port,
    PrecisionName,
    RunOptions,
    check_contract,
    effective_precision,
)
from seg_node.model.spec import ModelSpec


class OpenVinoRunner:
    """A model compiled by OpenVINO for the CPU, for latency."""

    backend = 'openvino'

    def __init__(self, path: Path, options: RunOptions) -> None:
        core = ov.Core()
        if options.cache_dir is not None:
            try:
                core.set_property({'CACHE_DIR': str(options.cache_dir)})
            except RuntimeError as error:
                raise ConfigError(
                    f'compile cache {options.cache_dir}: cannot be used: {_last_line(error)}'
                ) from None
        try:
            model = core.read_model(path)
        except RuntimeError as error:
            raise ModelError(f'{path}: not a readable ONNX file: {_last_line(error)}') from None
        self.spec = ModelSpec.from_metadata(str(path), _metadata(model))
        ports = ([_port(p) for p in model.inputs], [_port(p) for p in model.outputs])
        self.network: Size = check_contract(str(path), *ports, self.spec)
        self.precision: PrecisionName = effective_precision(options, self.spec)
        self.threads = options.thread_count
        # Left to itself OpenVINO runs floats as bf16 where the CPU can: say what is wanted.
        config = {
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_NUM_THREADS': self.threads,
            'ENABLE_CPU_PINNING': options.pin,
            'INFERENCE_PRECISION_HINT': 'bf16' if options.precision == 'bf16' else 'f32',
        }
        try:
            compiled = core.compile_model(model, 'CPU', config)
        except RuntimeError as error:
            raise ModelError(f'{path}: OpenVINO cannot compile it: {_last_line(error)}') from None
        self._request = compiled.create_infer_request()
        names = [port.name for port in ports[1]]
        self._mask = self._request.get_output_tensor(names.index('mask'))
        self._scores = (
            self._request.get_output_tensor(names.index('scores')) if 'scores' in names else None
        )
        self._image: Array = self._request.get_input_tensor(0).data[0]

    @property
    def input(self) -> Array:
        """Writable uint8 (H, W, 3): the runtime's own memory."""
        return self._image

    def run(self) -> Output:
        """Run the network on `input`; the answer is the runtime's own memory."""
        self._request.start_async()
        self._request.wait()
        scores = None if self._scores is None else self._scores.data[0]
        return Output(self._mask.data[0], scores)


def _metadata(model: Any) -> dict[str, str]:
    """`metadata_props` of the ONNX file, which OpenVINO keeps under `framework`."""
    if not model.has_rt_info('framework'):
        return {}
    return {str(key): value.astype(str) for key, value in model.get_rt_info()['framework'].items()}


def _port(port: Any) -> Port:
    shape = tuple(-1 if d.is_dynamic else d.get_length() for d in port.get_partial_shape())
    name = next(iter(sorted(port.get_names())), '')
    return Port(name, np.dtype(port.get_element_type().to_dtype()).name, shape)


def _last_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
