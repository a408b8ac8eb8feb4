"""Scores of an exported file, or its logits as bytes, by the runtimes that people will use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import openvino as ov

from seg_node.model.logits import unshuffled
from seg_node.signal_stack import kept_signal_stack
from seg_node_training.evaluate.network import Scorer

U8 = npt.NDArray[np.uint8]


def openvino_scorer(path: Path, threads: int = 2, hint: str = 'f32') -> Scorer:
    """Scores by OpenVINO on the CPU, fp32 where the graph is float (its own default is bf16)."""
    config = {'INFERENCE_PRECISION_HINT': hint, 'INFERENCE_NUM_THREADS': threads}
    with kept_signal_stack():
        compiled = ov.Core().compile_model(str(path), 'CPU', config)
    request = compiled.create_infer_request()
    names = {name for port in compiled.outputs for name in port.get_names()}
    name = 'logits' if 'logits' in names else 'scores'

    def score(image: U8) -> U8:
        result = request.infer({'image': np.ascontiguousarray(image)[None]})
        return _planes(np.asarray(result[name])[0], image)

    return score


def onnxruntime_scorer(path: Path, threads: int = 2) -> Scorer:
    """Scores by ONNX Runtime on the CPU, its threads not spinning."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    session = ort.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    names = [port.name for port in session.get_outputs()]
    name = 'logits' if 'logits' in names else 'scores'

    def score(image: U8) -> U8:
        scores = session.run([name], {'image': np.ascontiguousarray(image)[None]})[0][0]
        return _planes(scores, image)

    return score


def _planes(scores: U8, image: U8) -> U8:
    """uint8 (K, H, W) of scores of that shape, or of patches (h, w, K * p * p) (contract 2)."""
    height, width = image.shape[:2]
    if scores.shape[1:] == (height, width):
        return scores.copy()
    patch = height // scores.shape[0]
    planes = np.empty((scores.shape[2] // patch**2, height, width), np.uint8)
    return unshuffled(np.ascontiguousarray(scores), planes)
