"""The structure of an ONNX file, looked at before a runtime reads it.

Runtimes trust what they parse: a graph with a cycle or an opset of 2^31 keeps one busy for ever,
and external data may lie anywhere. So the file's protobuf records (onnx.proto; wire format:
protobuf.dev/programming-guides/encoding) are walked here once, without their weights and without
the package `onnx`, which a node does not need and which starts slowly.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from seg_node.errors import ModelError

_NEWEST_OPSET = 64
_NEWEST_IR = 32
_DEEPEST = 16
"""Graphs within graphs (If, Loop) that are looked into."""

# Fields of onnx.proto's messages.
_MODEL_IR, _MODEL_GRAPH, _MODEL_OPSET, _MODEL_METADATA = 1, 7, 8, 14
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Buffer = memoryview


class _BrokenError(Exception):
    """Bytes that are no protobuf."""


@dataclass
class Structure:
    """What a file is made of. `external`: names of its external data files, as written in it."""

    path: Path
    opsets: dict[str, int] = field(default_factory=dict)
    ir_version: int = 0
    nodes: int = 0
    external: set[str] = field(default_factory=set)
    cycle: bool = False

    def files(self) -> list[Path]:
        """The file and its external data, in a fixed order."""
        return [self.path, *(self.path.parent / name for name in sorted(self.external))]

    def digest(self) -> str:
        """SHA-256 of the file and of its external data, as hexadecimal digits."""
        whole = hashlib.sha256()
        for path in self.files():
            with path.open('rb') as file:
                while block := file.read(1 << 20):
                    whole.update(block)
            whole.update(b'\0')
        return whole.hexdigest()


def check_structure(path: Path) -> Structure:
    """The structure of the ONNX file at `path`.

    Raises `ModelError`: no ONNX, no nodes, a version that no runtime has, a cycle, metadata that
    are not UTF-8, external data that are missing or outside the file's folder.
    """
    structure = Structure(path)
    try:
        # Read, not mapped: a file cut short meanwhile must not end the process.
        _model(memoryview(path.read_bytes()), structure)
    except OSError as error:
        raise ModelError(f'{path}: cannot be read: {error.strerror or error}') from None
    except UnicodeDecodeError:
        raise ModelError(f'{path}: metadata and names: expected UTF-8') from None
    except (_BrokenError, ValueError, IndexError, RecursionError):
        raise ModelError(f'{path}: not a readable ONNX file: its records are damaged') from None
    _judge(structure)
    return structure


def _judge(structure: Structure) -> None:
    path = structure.path
    if not structure.nodes:
        raise ModelError(f'{path}: not a readable ONNX file: expected a graph with nodes')
    if not 1 <= structure.ir_version <= _NEWEST_IR:
        raise ModelError(
            f'{path}: ir_version: expected 1 to {_NEWEST_IR}, got {structure.ir_version}'
        )
    for domain, version in structure.opsets.items():
        if not 1 <= version <= _NEWEST_OPSET:
            raise ModelError(
                f'{path}: opset {domain or "ai.onnx"}: expected 1 to {_NEWEST_OPSET}, '
                f'got {version}'
            )
    if structure.cycle:
        raise ModelError(f'{path}: its graph has a cycle: a node that needs its own answer')
    for name in sorted(structure.external):
        place = PurePosixPath(name.replace('\\', '/'))
        outside = place.is_absolute() or '..' in place.parts or ':' in name
        target = path.parent / name
        if outside or not target.resolve().is_relative_to(path.parent.resolve()):
            raise ModelError(f'{path}: external data {name}: expected in the folder of the file')
        if not target.is_file():
            raise ModelError(f'{path}: external data {name}: no such file beside it')


def _model(data: Buffer, structure: Structure) -> None:
    for number, value in _records(data):
        if number == _MODEL_IR and isinstance(value, int):
            structure.ir_version = value
        elif number == _MODEL_OPSET and not isinstance(value, int):
            fields = dict(_records(value))
            version = fields.get(2, 0)
            structure.opsets[_text(fields.get(1, b''))] = (
                version if isinstance(version, int) else 0
            )
        elif number == _MODEL_METADATA and not isinstance(value, int):
            for _, part in _records(value):
                _text(part)
        elif number == _MODEL_GRAPH and not isinstance(value, int):
            _graph(value, structure, 0)


def _graph(data: Buffer, structure: Structure, depth: int) -> None:
    if depth > _DEEPEST:
        raise _BrokenError
    links: list[tuple[list[str], list[str]]] = []
    for number, value in _records(data):
        if isinstance(value, int):
            continue
        if number == _GRAPH_NODE:
            links.append(_node(value, structure, depth))
        elif number == _GRAPH_INITIALIZER:
            _tensor(value, structure)
    structure.nodes += len(links)
    structure.cycle = structure.cycle or _has_cycle(links)


def _node(data: Buffer, structure: Structure, depth: int) -> tuple[list[str], list[str]]:
    inputs: list[str] = []
    outputs: list[str] = []
    for number, value in _records(data):
        if isinstance(value, int):
            continue
        if number == _NODE_INPUT:
            inputs.append(_text(value))
        elif number == _NODE_OUTPUT:
            outputs.append(_text(value))
        elif number == _NODE_ATTRIBUTE:
            for kind, part in _records(value):
                if isinstance(part, int):
                    continue
                if kind in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                    _tensor(part, structure)
                elif kind in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                    _graph(part, structure, depth + 1)
    return inputs, outputs


def _tensor(data: Buffer, structure: Structure) -> None:
    external, entries = False, {}
    for number, value in _records(data):
        if number == _TENSOR_LOCATION:
            external = value == 1
        elif number == _TENSOR_EXTERNAL and not isinstance(value, int):
            entry = dict(_records(value))
            entries[_text(entry.get(1, b''))] = _text(entry.get(2, b''))
    if external:
        structure.external.add(entries.get('location', ''))


def _has_cycle(links: list[tuple[list[str], list[str]]]) -> bool:
    """Kahn's order of the nodes: whether some can never be reached."""
    maker = {name: i for i, (_, outputs) in enumerate(links) for name in outputs if name}
    waiting = [0] * len(links)
    users: defaultdict[int, list[int]] = defaultdict(list)
    for i, (inputs, _) in enumerate(links):
        for name in inputs:
            if name in maker:
                waiting[i] += 1
                users[maker[name]].append(i)
    ready = [i for i, count in enumerate(waiting) if not count]
    done = 0
    while ready:
        done += 1
        for user in users[ready.pop()]:
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    return done < len(links)


def _text(value: Buffer | bytes | int) -> str:
    if isinstance(value, int):
        raise _BrokenError
    return bytes(value).decode('utf-8')


def _records(data: Buffer) -> Iterator[tuple[int, Buffer | int]]:
    """Number and value of every field of a message; raises `_BrokenError`."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            length, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise _BrokenError
        if length > end - at:
            raise _BrokenError
        yield tag >> 3, data[at : at + length]
        at += length


def _varint(data: Buffer, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise _BrokenError
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
