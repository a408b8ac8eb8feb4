"""What a foreign network answers to plain pictures, against what its sidecar says of it.

A graph can hide its activation (`1 / (1 + exp(-x))`, a function, a fused operation), so that the
operations tell nothing; the values do. A head that does not fit gives masks of one class, scores
that mean nothing or numbers that do not fit into a byte, all of it in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from seg_node.errors import ModelError, problems_line
from seg_node.model.plain_pictures import plain_pictures
from seg_node.model.sidecar import HeadPart, Sidecar
from seg_node.signal_stack import kept_signal_stack

Floats = npt.NDArray[np.float32]
Run = Callable[[npt.NDArray[np.uint8]], list[npt.NDArray[np.generic]]]
_ROUNDING = 0.01


def check_answers(
    subject: str, contract: onnx.ModelProto, names: Sequence[str], sidecar: Sidecar
) -> None:
    """Run `contract` once for each plain picture and look at the tensors `names` inside it.

    `names`: what the network answers for each of the heads, before anything of ours. Raises
    `ModelError`, one line for all that does not fit. Says nothing of a file that the runtime at
    hand cannot run: the one that is to run it will.
    """
    run = _runner(contract, list(dict.fromkeys(names)))
    if run is None:
        return
    _, height, width, _ = (d.dim_value for d in contract.graph.input[0].type.tensor_type.shape.dim)
    answers: dict[str, list[npt.NDArray[np.generic]]] = {name: [] for name in names}
    try:
        for picture in plain_pictures(height, width):
            for name, value in zip(answers, run(picture)):
                answers[name].append(value)
    except Exception:  # the runtimes' exceptions share no base
        return
    problems = []
    for name, part in zip(names, sidecar.all_parts):
        values = np.stack(answers[name]).astype(np.float32)
        if problem := _problem(values, part, sidecar):
            problems.append(f'output {name.partition("/")[2]}: {problem}')
    if problems:
        raise ModelError(problems_line(subject, problems))


def _problem(values: Floats, part: HeadPart, sidecar: Sidecar) -> str:
    """What is wrong with `values` (pictures first), or nothing."""
    low, high = float(values.min()), float(values.max())
    if np.isnan(values).any():
        return 'NaN in its answers to plain pictures: check scale, mean and std'
    between = f'{low:.4g} to {high:.4g}'
    if part.head == 'class_ids':
        whole = bool((values == np.rint(values)).all())
        if whole and low >= 0 and high < len(sidecar.classes):
            return ''
        return f'head class_ids with {len(sidecar.classes)} classes: plain pictures give {between}'
    if values.ndim != 5:
        return f'head {part.head}: expected 4 dimensions, got {values.ndim - 1}'
    fractions = low >= -_ROUNDING and high <= 1.0 + _ROUNDING
    if part.head in ('probabilities', 'sigmoid_probabilities'):
        if fractions:
            return ''
        logits = 'softmax' if part.head == 'probabilities' else 'sigmoid'
        return f'head {part.head}: expected 0 to 1, got {between}; for logits use head {logits}'
    if not fractions or low == high:
        return ''
    if part.head == 'sigmoid':
        return f'is {between}, its sigmoid is applied already: use head sigmoid_probabilities'
    sums = values.sum(axis=2 if sidecar.layout == 'nchw' else 4)
    if np.abs(sums - 1.0).max() > _ROUNDING:
        return ''
    return 'adds up to 1, its softmax is applied already: use head probabilities'


def _runner(contract: onnx.ModelProto, names: Sequence[str]) -> Run | None:
    """What gives the tensors `names` for a picture; None where no runtime at hand runs it."""
    probe = onnx.ModelProto()
    probe.CopyFrom(contract)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    image = probe.graph.input[0].name
    try:
        return _openvino(probe.SerializeToString(), names)
    except Exception:  # not installed, or an operation that it does not know
        pass
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            probe.SerializeToString(), options, providers=['CPUExecutionProvider']
        )
    except Exception:
        return None
    return lambda picture: list(session.run(list(names), {image: picture[None]}))


def _openvino(model: bytes, names: Sequence[str]) -> Run:
    from seg_node.model.openvino_light import ov

    with kept_signal_stack():
        compiled = ov.Core().compile_model(model, b'', 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    outputs = [compiled.output(name) for name in names]

    def run(picture: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.generic]]:
        answer = compiled(picture[None])
        return [answer[output].copy() for output in outputs]

    return run
