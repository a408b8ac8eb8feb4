"""LiteRT (TFLite) files of a network: float, fp16 weights, dynamic range, int8.

Conversion needs `litert-torch`, which pins an older torch than the rest of this repository: it is
imported only here, and belongs into an environment of its own (docs/benchmarks.md says how).
Quantization is `ai-edge-quantizer`'s, running is `ai-edge-litert`'s; both are light.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seg_node.errors import ConfigError, ModelError
from seg_node.files import write_atomic
from seg_node_training.config import Recipe
from seg_node_training.evaluate.network import Scorer

U8 = npt.NDArray[np.uint8]
KINDS = ('fp32', 'fp16', 'range', 'int8')
"""`range`: TFLite's dynamic range quantization (int8 weights, activations measured in the run)."""


class Tail(nn.Module):
    """Float picture (1, H, W, 3) of 0..255 to scores float (1, K, H, W) of 0..1."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.network, self.sigmoid = network, recipe.head == 'sigmoid'
        part = recipe.input
        self.register_buffer('mean', torch.tensor(part.mean).view(1, 3, 1, 1) * 255)
        self.register_buffer('scale', 1 / (torch.tensor(part.std).view(1, 3, 1, 1) * 255))

    def forward(self, image: Tensor) -> Tensor:
        """Float (1, H, W, 3) of 0..255 to scores float (1, K, H, W) of 0..1."""
        logits = self.network((image.permute(0, 3, 1, 2) - self.mean) * self.scale)
        return torch.sigmoid(logits) if self.sigmoid else torch.softmax(logits, 1)[:, 1:]


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.split('.')[0].replace('_', '-')
        raise ConfigError(
            f'LiteRT: needs {package}, it is not installed; pip install {package} in an '
            'environment of its own (it pins an older torch)'
        ) from None


def to_litert(network: nn.Module, recipe: Recipe, target: Path) -> None:
    """Write the float .tflite of `network` for pictures of the recipe's size."""
    converter = _library('litert_torch')
    size = (recipe.input.height, recipe.input.width)
    example = (torch.rand(1, *size, 3) * 255,)
    logging.getLogger().setLevel(logging.WARNING)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        write_atomic(target) as temporary,
    ):
        warnings.simplefilter('ignore')
        converter.convert(Tail(network, recipe).eval(), example).export(str(temporary))


def quantize_litert(source: Path, target: Path, kind: str, pictures: Sequence[U8]) -> None:
    """Quantize the float .tflite `source`; `pictures`: uint8 (H, W, 3), for `int8` alone.

    Raises `ModelError` for a network that the quantizer cannot do.
    """
    library = _library('ai_edge_quantizer.quantizer')
    recipes = _library('ai_edge_quantizer.recipe')
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        worker = library.Quantizer(str(source))
        if kind == 'fp16':
            _all_fp16(worker)
        else:
            scheme = recipes.static_wi8_ai8 if kind == 'int8' else recipes.dynamic_wi8_afp32
            worker.load_quantization_recipe(scheme())
        statistics = None
        if worker.need_calibration:
            name, signature = _signature(source)
            data = {signature: [{name: p[None].astype(np.float32)} for p in pictures]}
            statistics = worker.calibrate(data)
        file = Path(folder) / 'made.tflite'
        try:
            worker.quantize(statistics).export_model(str(file))
        except ValueError as error:  # a tensor of a kind that it cannot calibrate
            reason = str(error).split(':')[0]
            raise ModelError(f'{source}: no LiteRT {kind} file: {reason}') from None
        with write_atomic(target) as temporary:
            temporary.write_bytes(file.read_bytes())


def _all_fp16(worker: Any) -> None:
    """Weights of every operator as fp16, cast to float on load: TFLite's float16 quantization."""
    types = _library('ai_edge_quantizer.qtyping')
    weights = types.TensorQuantizationConfig(num_bits=16, dtype=types.TensorDataType.FLOAT)
    worker.update_quantization_recipe(
        regex='.*',
        operation_name=types.TFLOperationName.ALL_SUPPORTED,
        op_config=types.OpQuantizationConfig(
            weight_tensor_config=weights,
            compute_precision=types.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key='float_casting',
    )


def _signature(path: Path) -> tuple[str, str]:
    """Name of the one input, and of the signature it belongs to."""
    signatures = _interpreter(path, 1).get_signature_list()
    key, ports = next(iter(signatures.items()))
    return ports['inputs'][0], key


def _interpreter(path: Path, threads: int) -> Any:
    interpreter = _library('ai_edge_litert.interpreter').Interpreter
    return interpreter(model_path=str(path), num_threads=threads)


def litert_runner(path: Path, threads: int = 2) -> Callable[[U8], npt.NDArray[np.float32]]:
    """Scores float (1, K, H, W) of 0..1 by LiteRT (XNNPACK) from uint8 (H, W, 3)."""
    interpreter = _interpreter(path, threads)
    interpreter.allocate_tensors()
    into, out = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(picture: U8) -> npt.NDArray[np.float32]:
        interpreter.set_tensor(into['index'], _coded(picture[None], into))
        interpreter.invoke()
        return _decoded(interpreter.get_tensor(out['index']), out)

    return run


def _coded(picture: U8, port: Mapping[str, Any]) -> npt.NDArray[Any]:
    """A picture of 0..255 in the type of an input: float, or integers by its scale and zero."""
    if port['dtype'] == np.float32:
        return picture.astype(np.float32)
    scale, zero = port['quantization']
    limits = np.iinfo(port['dtype'])
    table = np.round(np.arange(256) / scale + zero).clip(limits.min, limits.max)
    coded: npt.NDArray[Any] = table.astype(port['dtype'])[picture]
    return coded


def _decoded(values: npt.NDArray[Any], port: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    """Floats from an output of float or integer type."""
    if port['dtype'] == np.float32:
        return np.asarray(values)
    scale, zero = port['quantization']
    floats: npt.NDArray[np.float32] = (values.astype(np.float32) - zero) * np.float32(scale)
    return floats


def litert_scorer(path: Path, threads: int = 2) -> Scorer:
    """Scores uint8 (K, H, W) by LiteRT on the CPU."""
    run = litert_runner(path, threads)

    def score(picture: U8) -> U8:
        scores: U8 = np.round(run(picture)[0] * 255).astype(np.uint8)
        return scores

    return score
