"""IoU of every file of a network on the same pictures, remembered by what the files contain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seg_node.files import write_json
from seg_node_training.benchmark_table.nets import U8, Net, digest_of
from seg_node_training.evaluate.network import Scorer, normalise, spec_of
from seg_node_training.evaluate.runtimes import onnxruntime_scorer, openvino_scorer
from seg_node_training.evaluate.sets import figures
from seg_node_training.evaluate.together import evaluate_together
from seg_node_training.quantize.litert import litert_scorer


def torchscript_scorer(net: Net) -> Callable[[Path], Scorer]:
    """Scores by a traced torch network (logits) of `net`."""

    def open_file(path: Path) -> Scorer:
        network = torch.jit.load(str(path))
        sigmoid = net.recipe.head == 'sigmoid'

        @torch.inference_mode()
        def score(image: U8) -> U8:
            x = normalise(torch.from_numpy(image).permute(2, 0, 1)[None], net.recipe.input)
            logits = network(x.contiguous()).float()
            p = torch.sigmoid(logits) if sigmoid else torch.softmax(logits, 1)[:, 1:]
            return p[0].mul(255).round().to(torch.uint8).numpy()

        return score

    return open_file


def scorers_of(net: Net, kinds: Sequence[str]) -> dict[str, Scorer]:
    """A scorer for each kind of file; int8 in both runtimes, as they round differently."""
    scorers: dict[str, Scorer] = {}
    for kind in kinds:
        path = net.file(kind)
        if kind == 'torch_int8':
            scorers[kind] = torchscript_scorer(net)(path)
        elif kind.startswith('litert'):
            scorers[kind] = litert_scorer(path)
        elif kind in ('dynamic', 'fp16'):
            scorers[kind] = onnxruntime_scorer(path)
        else:
            scorers[kind] = openvino_scorer(path)
        if kind == 'int8':
            scorers['int8 onnxruntime'] = onnxruntime_scorer(path)
        if kind == 'fp32':
            scorers['bf16'] = openvino_scorer(path, hint='bf16')
    return scorers


def accuracy_of(net: Net, kinds: Sequence[str], store: Path) -> dict[str, dict[str, float]]:
    """IoU by kind of file, then by `set/class`; from `store` where nothing has changed."""
    key = hashlib.sha256(
        json.dumps(
            [{k: digest_of(net.file(k)) for k in kinds}, [p.model_dump() for p in net.parts]]
        ).encode()
    ).hexdigest()[:16]
    path = store / f'{net.folder.name}-{key}.json'
    if path.is_file():
        kept: dict[str, dict[str, float]] = json.loads(path.read_text())
        return kept
    scorers = scorers_of(net, kinds)
    by_kind = evaluate_together(scorers, net.recipe, net.parts, spec_of(net.recipe).thresholds)
    result = {kind: figures(scores) for kind, scores in by_kind.items()}
    write_json(path, result)
    return result


def mean_iou(values: dict[str, Any]) -> float | None:
    """Mean over the classes of all sets."""
    return float(np.mean(list(values.values()))) if values else None
