"""Scores of an exported file by the runtimes that people will use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import openvino as ov

from seg_node_training.evaluate import Scorer

U8 = npt.NDArray[np.uint8]


def openvino_scorer(path: Path, threads: int = 2, hint: str = 'f32') -> Scorer:
    """Scores by OpenVINO on the CPU, fp32 where the graph is float (its own default is bf16)."""
    compiled = ov.Core().compile_model(
        str(path), 'CPU', {'INFERENCE_PRECISION_HINT': hint, 'INFERENCE_NUM_THREADS': threads}
    )
    request = compiled.create_infer_request()

    def score(image: U8) -> U8:
        result = request.infer({'image': np.ascontiguousarray(image)[None]})
        return np.asarray(result['scores'])[0].copy()

    return score


def onnxruntime_scorer(path: Path, threads: int = 2) -> Scorer:
    """Scores by ONNX Runtime on the CPU, its threads not spinning."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    session = ort.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])

    def score(image: U8) -> U8:
        return session.run(['scores'], {'image': np.ascontiguousarray(image)[None]})[0][0]

    return score
