"""One way to run for every runtime: `open_engine(case)` gives a function that runs once.

Only the chosen runtime is imported, so that cold start and memory are its own. Input is random
noise of the input's type, but for the camera path, which gets a drawn road.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Run = Callable[[], object]


def open_engine(case: Mapping[str, Any], threads: int) -> Run:
    """Load and compile what `case` (`Case.as_json`) says; nothing has run yet."""
    return ENGINES[case['runtime']](case, threads)


def _noise(shape: list[int], dtype: Any) -> Any:
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind in 'ui':
        return rng.integers(0, 256, shape).astype(dtype)
    return rng.random(shape).astype(dtype)


def _openvino(case: Mapping[str, Any], threads: int) -> Run:
    import openvino as ov

    config = {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_NUM_THREADS': threads,
        'INFERENCE_PRECISION_HINT': case['options'].get('hint', 'f32'),
    }
    compiled = ov.Core().compile_model(case['file'], 'CPU', config)
    request = compiled.create_infer_request()
    tensor = request.get_input_tensor(0)
    tensor.data[...] = _noise(list(tensor.shape), tensor.data.dtype)

    def run() -> None:
        request.start_async()
        request.wait()

    return run


def _onnxruntime(case: Mapping[str, Any], threads: int) -> Run:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    session = ort.InferenceSession(case['file'], options, providers=['CPUExecutionProvider'])
    port = session.get_inputs()[0]
    kind = np.uint8 if port.type == 'tensor(uint8)' else np.float32
    feed = {port.name: _noise(list(port.shape), kind)}
    return lambda: session.run(None, feed)


def _torch(case: Mapping[str, Any], threads: int) -> Run:
    """Eager PyTorch: the network alone, on a float picture that is normalised already."""
    import torch

    from seg_node_training.models import build_model

    torch.set_num_threads(threads)
    network = build_model(**case['options']['build']).eval()
    width, height = case['size']
    picture = torch.rand(1, 3, height, width)
    half = case['precision'] == 'bf16'

    def run() -> object:
        with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16, enabled=half):
            return network(picture)

    return run


def _torchscript(case: Mapping[str, Any], threads: int) -> Run:
    import torch

    torch.set_num_threads(threads)
    network = torch.jit.load(case['file'])
    width, height = case['size']
    picture = torch.rand(1, 3, height, width)

    def run() -> object:
        with torch.inference_mode():
            return network(picture)

    return run


def _litert(case: Mapping[str, Any], threads: int) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=case['file'], num_threads=threads)
    interpreter.allocate_tensors()
    port = interpreter.get_input_details()[0]
    interpreter.set_tensor(port['index'], _noise(list(port['shape']), port['dtype']))
    invoke: Run = interpreter.invoke
    return invoke


def _ncnn(case: Mapping[str, Any], threads: int) -> Run:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.load_param(case['file'] + '.param')
    net.load_model(case['file'] + '.bin')
    width, height = case['size']
    picture = ncnn.Mat(_noise([3, height, width], np.float32))

    def run() -> object:
        extractor = net.create_extractor()
        extractor.input('in0', picture)
        return extractor.extract('out0')

    return run


def _camera(case: Mapping[str, Any], threads: int) -> Run:
    """The runtime's own path from a camera picture to a mask of its size."""
    from pathlib import Path

    from seg_node.benchmark.scene import road_scene
    from seg_node.camera.size import Size
    from seg_node.images.frames import Frame
    from seg_node.model.loader import load_model
    from seg_node.model.runner import RunOptions
    from seg_node.pipeline import Segmenter

    backend = case['options'].get('backend', 'openvino')
    options = RunOptions(backend=backend, threads=threads)
    segmenter = Segmenter(load_model(Path(case['file']), options).runner)
    frame = Frame(road_scene(Size(*case['size'])), 'bgr')
    return lambda: segmenter(frame)


def _camera_torch(case: Mapping[str, Any], threads: int) -> Run:
    """The predecessor's path: resize, scale, network, sigmoid, threshold, resize back."""
    import cv2
    import torch

    from seg_node.benchmark.scene import road_scene
    from seg_node.camera.size import Size

    torch.set_num_threads(threads)
    network = torch.jit.load(case['file'])
    frame = road_scene(Size(*case['size']))
    inner = tuple(case['options']['network'])

    def run() -> object:
        small = cv2.cvtColor(cv2.resize(frame, inner), cv2.COLOR_BGR2RGB)
        with torch.inference_mode():
            x = torch.from_numpy(small).permute(2, 0, 1)[None].float()
            p = torch.sigmoid(network(((x / 255) - 0.5) / 0.5))[0, 0]
            mask = (p > 0.5).to(torch.uint8).numpy()
        return cv2.resize(mask, tuple(case['size']), interpolation=cv2.INTER_NEAREST)

    return run


ENGINES: dict[str, Callable[[Mapping[str, Any], int], Run]] = {
    'openvino': _openvino,
    'onnxruntime': _onnxruntime,
    'torch': _torch,
    'torchscript': _torchscript,
    'litert': _litert,
    'ncnn': _ncnn,
    'camera': _camera,
    'camera_torch': _camera_torch,
}
