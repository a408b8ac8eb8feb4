"""The model on ONNX Runtime: CPU, CUDA, and TensorRT by its execution provider."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from seg_node.camera.size import Size
from seg_node.errors import ConfigError, ModelError, first_line
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

_DTYPES = {'tensor(uint8)': 'uint8', 'tensor(float)': 'float32', 'tensor(float16)': 'float16'}


class OnnxRuntimeRunner:
    """A model in an ONNX Runtime session; thread spinning is off."""

    def __init__(self, path: Path, options: RunOptions) -> None:
        self.backend = 'tensorrt' if options.backend == 'tensorrt' else 'onnxruntime'
        if options.precision == 'bf16':
            raise ConfigError('precision: ONNX Runtime has no bf16 on the CPU, use openvino')
        providers = _providers(options)
        settings = ort.SessionOptions()
        # Each call has the session's threads and its own: streams that run at once share them.
        settings.intra_op_num_threads = max(1, options.thread_count // options.streams)
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        # Spinning threads burn whole cores between frames (onnxruntime#11841).
        settings.add_session_config_entry('session.intra_op.allow_spinning', '0')
        try:
            self._session = ort.InferenceSession(str(path), settings, providers=providers)
        except Exception as error:  # its exceptions share no base but Exception
            raise ModelError(f'{path}: not a readable ONNX file: {first_line(error)}') from None
        self.spec = ModelSpec.from_metadata(
            str(path), self._session.get_modelmeta().custom_metadata_map
        )
        inputs = [_port(p) for p in self._session.get_inputs()]
        outputs = [_port(p) for p in self._session.get_outputs()]
        self.network: Size = check_contract(str(path), inputs, outputs, self.spec)
        self.precision: PrecisionName = effective_precision(options, self.spec)
        self.threads = options.thread_count
        self._outputs = [port.name for port in outputs]
        self._take_memory()

    def _take_memory(self) -> None:
        self._answers = Answers(self.spec, self.network)
        self._names = [name for name in self._outputs if name in self._answers.names]
        self._image: Array = np.zeros((1, self.network.height, self.network.width, 3), np.uint8)
        self._feed = {'image': self._image}

    def twin(self) -> OnnxRuntimeRunner:
        """Another on the same session, which may run at the same time."""
        other = copy.copy(self)
        other._take_memory()
        return other

    @property
    def input(self) -> Array:
        """Writable uint8 (H, W, 3)."""
        image: Array = self._image[0]
        return image

    def run(self) -> NetworkOutput:
        """Run the network on `input`."""
        return self._answers(dict(zip(self._names, self._session.run(self._names, self._feed))))


def _providers(options: RunOptions) -> list[str]:
    if options.backend == 'tensorrt':
        tensorrt = 'TensorrtExecutionProvider'
    else:
        tensorrt = 'CUDAExecutionProvider' if options.device == 'cuda' else 'CPUExecutionProvider'
    available = ort.get_available_providers()
    if tensorrt not in available:
        raise ConfigError(
            f'backend {options.backend} on {options.device}: needs ONNX Runtime with '
            f'{tensorrt}, this one has {", ".join(available)}'
        )
    order = (tensorrt, 'CUDAExecutionProvider', 'CPUExecutionProvider')
    if tensorrt == 'CPUExecutionProvider':
        return [tensorrt]
    return [p for i, p in enumerate(order) if p in available and p not in order[:i]]


def _port(port: Any) -> Port:
    shape = tuple(d if isinstance(d, int) else -1 for d in port.shape)
    return Port(port.name, _DTYPES.get(port.type, port.type), shape)
