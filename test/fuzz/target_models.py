"""ONNX files and sidecars: a model that answers in its size, or one line."""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx_files
import yaml
from fuzzing import NUMBERS, TEXTS, Case, Target, damaged, nasty, spoiled

from seg_node.errors import SegNodeError
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.model.sidecar import read_sidecar
from seg_node.model.spec import ModelSpec
from seg_node.model.structure import check_structure

_CONTRACT, _PLAIN = onnx_files.contract(), onnx_files.plain()
_SIDECAR = yaml.safe_load(onnx_files.SIDECAR)
_LOADED = 0.15
"""Share of the files that a runtime reads as well: it takes 30 times as long as all else."""


def _number(rng: random.Random) -> int:
    return int(rng.choice([n for n in NUMBERS if isinstance(n, int) and abs(n) < 1 << 63]))


def _altered(model: onnx.ModelProto, rng: random.Random) -> onnx.ModelProto:
    """A well-formed file with one to three things in it that do not fit."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    graph = out.graph
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind, node = rng.randrange(9), rng.choice(graph.node)
        if kind == 0:
            node.input[rng.randrange(len(node.input))] = rng.choice(('mask', 'y', '', 'nowhere'))
        elif kind == 1:
            port = rng.choice([*graph.input, *graph.output])
            dims = port.type.tensor_type.shape.dim
            dims[rng.randrange(len(dims))].dim_value = _number(rng)
        elif kind == 2:
            port = rng.choice([*graph.input, *graph.output])
            port.type.tensor_type.elem_type = rng.choice((0, 1, 2, 6, 7, 8, 10, 16, 99))
        elif kind == 3:
            out.opset_import[0].version = _number(rng)
        elif kind == 4:
            out.ir_version = _number(rng)
        elif kind == 5 and out.metadata_props:
            entry = rng.choice(out.metadata_props)
            with contextlib.suppress(TypeError, UnicodeEncodeError):
                entry.value = json.dumps(_spoiled_json(entry.value, rng))
        elif kind == 6:
            tensor = graph.initializer[0]
            tensor.dims[rng.randrange(len(tensor.dims))] = _number(rng)
        elif kind == 7:
            node.op_type = rng.choice(('Conv', 'Identity', 'Loop', 'If', 'Nothing', ''))
        elif node.attribute:
            rng.choice(node.attribute).i = _number(rng)
    return out


def _spoiled_json(text: str, rng: random.Random) -> object:
    value = json.loads(text)
    return nasty(rng) if rng.random() < 0.5 else spoiled(value, rng, 0.4)


def _sidecar(rng: random.Random) -> bytes:
    values = dict(_SIDECAR)
    for _ in range(rng.choice((0, 1, 2))):
        key = rng.choice(
            (*values, 'parts', 'input_size', 'output', 'thresholds', rng.choice(TEXTS))
        )
        old = values.get(key, [1, 2])
        values[key] = spoiled(old, rng, 0.5) if isinstance(old, list) else nasty(rng)
    with contextlib.suppress(yaml.YAMLError, UnicodeEncodeError, ValueError):
        data = yaml.safe_dump(values).encode()
        return damaged(data, rng) if rng.random() < 0.3 else data
    return damaged(onnx_files.SIDECAR.encode(), rng)


def _load(path: Path, rng: random.Random) -> None:
    backend = rng.choice(('onnxruntime', 'onnxruntime', 'openvino'))
    runner = load_model(path, RunOptions(backend=backend, threads=1, pin=False)).runner
    answer = runner.run()
    if answer.mask is not None:
        assert answer.mask.ndim == 2 and answer.mask.dtype.name == 'uint8'
    if answer.scores is not None:
        assert answer.scores.shape[0] == len(runner.spec.classes) - 1


@contextlib.contextmanager
def opened() -> Iterator[Case]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'net.onnx'
        sidecar = path.with_name('net.onnx.yaml')

        def case(rng: random.Random) -> None:
            foreign = rng.random() < 0.4
            source = _PLAIN if foreign else _CONTRACT
            model = _altered(source, rng) if rng.random() < 0.6 else source
            data = model.SerializeToString()
            if model is source or rng.random() < 0.2:
                data = damaged(data, rng)
            path.write_bytes(data)
            sidecar.unlink(missing_ok=True)
            if foreign:
                sidecar.write_bytes(_sidecar(rng))
            try:
                check_structure(path)
                if foreign:
                    assert read_sidecar(sidecar).spec().classes
                else:
                    entries = {p.key: p.value for p in model.metadata_props}
                    spec = ModelSpec.from_metadata('net.onnx', entries)
                    assert ModelSpec.from_metadata('net.onnx', spec.to_metadata()) == spec
                if rng.random() < _LOADED:
                    _load(path, rng)
            except SegNodeError as error:
                assert str(error) and '\n' not in str(error), str(error)

        yield case


TARGET = Target('models', opened, short=150)
