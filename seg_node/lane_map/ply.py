"""Coloured point clouds of other mappers, read from PLY: `rtabmap-export --cloud` for one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from seg_node.classes import ClassSet
from seg_node.errors import InputError

_ORDERS = {'binary_little_endian': '<', 'binary_big_endian': '>', 'ascii': ''}
_TYPES = {
    'char': 'i1', 'uchar': 'u1', 'short': 'i2', 'ushort': 'u2', 'int': 'i4', 'uint': 'u4',
    'float': 'f4', 'double': 'f8', 'int8': 'i1', 'uint8': 'u1', 'int16': 'i2', 'uint16': 'u2',
    'int32': 'i4', 'uint32': 'u4', 'float32': 'f4', 'float64': 'f8',
}  # fmt: skip
_POSITION = ('x', 'y', 'z')
_COLOUR = ('red', 'green', 'blue')
_LONGEST_HEADER = 1000
"""Lines."""


@dataclass(frozen=True)
class Cloud:
    """xyz: float64 (N, 3) metres, all finite. rgb: uint8 (N, 3)."""

    xyz: npt.NDArray[np.float64]
    rgb: npt.NDArray[np.uint8]

    def of_classes(self, ids: tuple[int, ...], classes: ClassSet) -> npt.NDArray[np.float64]:
        """float64 (M, 3): the points whose colour is nearest that of a class of `ids`.

        A map of painted pictures has the classes' colours; a voxel of the exporter their mean.
        """
        palette = classes.palette_bgr[: len(classes), ::-1].astype(np.int32)
        away = np.stack(
            [((self.rgb.astype(np.int32) - colour) ** 2).sum(axis=1) for colour in palette]
        )
        return self.xyz[np.isin(away.argmin(axis=0), ids)]


def read_ply(path: Path) -> Cloud:
    """Vertices with their colours, ascii or binary (Turk, 1994). What is not finite is left out.

    Raises `InputError`, one line, for anything else.
    """
    try:
        with path.open('rb') as file:
            order, count, fields = _header(file)
            values = _vertices(file, order, count, np.dtype(fields))
    except OSError as error:
        raise InputError(f'{path}: {error.strerror or error}') from None
    except ValueError as error:
        raise InputError(f'{path}: not a readable PLY file: {error}') from None
    xyz = np.stack([values[axis] for axis in _POSITION], axis=1).astype(np.float64)
    rgb = np.stack([values[colour] for colour in _COLOUR], axis=1).astype(np.uint8)
    finite = np.isfinite(xyz).all(axis=1)
    return Cloud(xyz[finite], rgb[finite])


def _header(file: BinaryIO) -> tuple[str, int, list[tuple[str, str]]]:
    """Byte order, number of vertices, and name and type of their properties."""
    lines = _header_lines(file)
    if next(lines, []) != ['ply']:
        raise ValueError('its first line is not "ply"')
    order, count, element = None, -1, ''
    fields: list[tuple[str, str]] = []
    for words in lines:
        match words:
            case ['format', name, _] if name in _ORDERS:
                order = _ORDERS[name]
            case ['element', 'vertex', number]:
                element, count = 'vertex', int(number)
            case ['element', name, number]:
                if count < 0 and int(number):
                    raise ValueError(f'element {name} stands before the vertices')
                element = name
            case ['property', kind, name] if element == 'vertex' and kind in _TYPES:
                fields.append((name, f'{order or ""}{_TYPES[kind]}'))
            case ['property', *_] if element == 'vertex':
                raise ValueError(f'property {" ".join(words[1:])} of a vertex')
    if order is None or count < 0:
        raise ValueError('its header names no format or no vertices')
    missing = [name for name in (*_POSITION, *_COLOUR) if name not in dict(fields)]
    if missing:
        raise ValueError(f'vertices without {", ".join(missing)}')
    return order, count, fields


def _header_lines(file: BinaryIO) -> Iterator[list[str]]:
    for _ in range(_LONGEST_HEADER):
        words = file.readline(_LONGEST_HEADER).decode('ascii', 'replace').split()
        if words == ['end_header']:
            return
        if words and words[0] not in ('comment', 'obj_info'):
            yield words
    raise ValueError('its header does not end')


def _vertices(
    file: BinaryIO, order: str, count: int, kind: np.dtype[np.void]
) -> npt.NDArray[np.void]:
    if order:
        body = file.read()
        there = min(count, len(body) // kind.itemsize)
        values = np.frombuffer(body[: there * kind.itemsize], kind)
    else:
        text = b''.join(line for line, _ in zip(file, range(count)))
        values = np.loadtxt(BytesIO(text), kind, ndmin=1) if text.strip() else np.empty(0, kind)
    if len(values) != count:
        raise ValueError(f'expected {count} vertices, it ends after {len(values)}')
    return values
