"""Records of a fixed size, one a frame, on disk: what makes memory flat and resuming possible."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.files import write_errors
from seg_node.metrics.counts import CountSpec

Records = npt.NDArray[np.void]
MODEL_STAGES = ('preprocess', 'infer', 'postprocess')
FRAME_STAGES = ('decode', 'compare')
EVALUATED, REJECTED = 0, 1
NO_TRUTH, WITH_TRUTH, UNUSABLE_TRUTH = 0, 1, 2
_FLUSH_EVERY = 32
_CHUNK = 4096


def record_dtype(spec: CountSpec, models: int) -> np.dtype[np.void]:
    """One frame: number in its drive, stamps (ns), status, counts and times (ms) of each model."""
    k = spec.classes
    model = np.dtype(
        [
            ('confusion', '<u4', (spec.bands + 1, k, k)),
            ('lane', '<u4', (4,)),
            ('flicker', '<u4', (4,)),
            ('area', '<u4', (k,)),
            ('digest', '<u8'),
            ('ms', '<f4', (len(MODEL_STAGES),)),
        ]
    )
    return np.dtype(
        [
            ('drive', '<i4'),
            ('number', '<i8'),
            ('stamp', '<i8'),
            ('log', '<i8'),
            ('status', 'u1'),
            ('truth', 'u1'),
            ('lost', '<u2'),
            ('ms', '<f4', (len(FRAME_STAGES),)),
            ('models', model, (models,)),
        ]
    )


class FrameJournal:
    """Appends records to `path`; remarks about single frames stand beside, one JSON a line.

    Raises `InputError` when the disk takes no more.
    """

    def __init__(self, path: Path, dtype: np.dtype[np.void], keep: bool) -> None:
        self.path = path
        self.dtype = dtype
        self._remarks_path = path.with_suffix('.remarks')
        path.parent.mkdir(parents=True, exist_ok=True)
        if not keep:
            path.unlink(missing_ok=True)
            self._remarks_path.unlink(missing_ok=True)
        whole = path.stat().st_size // dtype.itemsize if path.exists() else 0
        if path.exists():
            with path.open('r+b') as stream:
                stream.truncate(whole * dtype.itemsize)
        self._written = whole
        self._stream = path.open('ab')
        self._remarks = self._remarks_path.open('a', encoding='utf-8')

    def __len__(self) -> int:
        return self._written

    def append(self, record: Records) -> None:
        """Add one record."""
        with write_errors(self.path):
            self._stream.write(record.tobytes())
        self._written += 1
        if self._written % _FLUSH_EVERY == 0:
            self.flush()

    def remark(self, number: int, kind: str, text: str) -> None:
        """Keep a remark about frame `number`."""
        with write_errors(self.path):
            self._remarks.write(json.dumps([number, kind, text]) + '\n')

    def flush(self) -> None:
        """Hand everything to the operating system."""
        with write_errors(self.path):
            self._remarks.flush()
            self._stream.flush()

    def close(self) -> None:
        """Flush and close."""
        try:
            self.flush()
        finally:
            for stream in (self._remarks, self._stream):
                with contextlib.suppress(OSError):  # `flush` has said it
                    stream.close()


class Book:
    """The records of all shards, read in chunks, in the order of drives and frames."""

    def __init__(self, paths: Sequence[Path], dtype: np.dtype[np.void]) -> None:
        self._maps: list[Records] = [
            np.memmap(path, dtype, mode='r')
            for path in paths
            if path.exists() and path.stat().st_size >= dtype.itemsize
        ]

    def __len__(self) -> int:
        return sum(len(part) for part in self._maps)

    def chunks(self) -> Iterator[Records]:
        """Up to a few thousand records at a time."""
        for part in self._maps:
            for begin in range(0, len(part), _CHUNK):
                yield np.asarray(part[begin : begin + _CHUNK])

    def column(self, take: Any) -> npt.NDArray[Any]:
        """`take(chunk)` of every chunk, in one array."""
        parts = [np.asarray(take(chunk)) for chunk in self.chunks()]
        return np.concatenate(parts) if parts else np.empty(0)

    def __getitem__(self, index: int) -> np.void:
        for part in self._maps:
            if index < len(part):
                record: np.void = part[index]
                return record
            index -= len(part)
        raise IndexError(index)


def read_remarks(path: Path) -> list[tuple[int, str, str]]:
    """The remarks beside a journal; a half-written last line is left out."""
    in_order: dict[tuple[int, str, str], None] = {}
    remarks = path.with_suffix('.remarks')
    if remarks.exists():
        for line in remarks.read_text(encoding='utf-8').splitlines():
            try:
                number, kind, text = json.loads(line)
            except ValueError:
                continue
            in_order[(int(number), str(kind), str(text))] = None
    return list(in_order)
