"""Parts of a lane map that memory does not hold, in a temporary file that has no name."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from seg_node.errors import InputError, cause_line
from seg_node.files import write_errors

ROW = np.dtype(
    [
        ('key', '<i8'), ('hits', '<f4'), ('misses', '<f4'), ('weight', '<f4'),
        ('offset', '<f4', 3), ('class', 'u1'), ('votes', '<f4'), ('seen', '<i4'),
    ]
)  # fmt: skip
"""A voxel with all that is known of it, see `Voxels`."""
Rows = npt.NDArray[np.void]
Block = tuple[int, int]

_PAGE = 1024
"""Rows a page: 45 kB. A block begins on a page of its own."""


class BlockStore:
    """Rows by block, on disk. The file is unlinked: whatever ends the process, it leaves nothing.

    Pages of blocks that were taken out again are used anew, so the file is not larger than the
    most that it ever held at once. `folder`: where the file lies, made with the first `put`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._blocks: dict[Block, tuple[int, list[int]]] = {}
        self._free: list[int] = []
        self._pages = 0
        self._count = 0

    def __len__(self) -> int:
        """Rows on disk."""
        return self._count

    def __contains__(self, block: Block) -> bool:
        return block in self._blocks

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks on disk."""
        return tuple(self._blocks)

    @property
    def nbytes(self) -> int:
        """Size of the file."""
        return self._pages * _PAGE * ROW.itemsize

    def put(self, block: Block, rows: Rows) -> None:
        """Keep a block that is not there yet. Raises `InputError` where it cannot be written."""
        if block in self._blocks:
            raise ValueError(f'block {block}: is there already')
        pages: list[int] = []
        try:
            with write_errors(self._folder):
                self._write(rows, pages)
        except InputError:
            self._free += pages
            raise
        self._blocks[block] = len(rows), pages
        self._count += len(rows)

    def take(self, block: Block) -> Rows:
        """Take a block out, as `read`; what cannot be read is gone."""
        try:
            return self.read(block)
        finally:
            count, pages = self._blocks.pop(block, (0, []))
            self._free += pages
            self._count -= count

    def read(self, block: Block) -> Rows:
        """Dtype `ROW`, (N,): a block's rows, which stay. Raises `InputError` for a read error."""
        count, pages = self._blocks.get(block, (0, []))
        rows: Rows = np.empty(count, ROW)
        if not count:
            return rows
        view = memoryview(rows.view(np.uint8).data)
        size = _PAGE * ROW.itemsize
        assert self._file is not None
        for number, page in enumerate(pages):
            part = view[number * size : (number + 1) * size]
            try:
                self._file.seek(page * size)
                got = self._file.readinto(part)  # type: ignore[attr-defined]
            except OSError as error:
                raise InputError(f'{self._folder}: cannot be read: {cause_line(error)}') from None
            if got != len(part):
                raise InputError(f'{self._folder}: expected {len(part)} bytes of a map, got {got}')
        return rows

    def parts(self) -> Iterator[Rows]:
        """Every block's rows, one after the other."""
        for block in self.blocks:
            yield self.read(block)

    def clear(self) -> None:
        """Forget everything and give the file back."""
        if self._file is not None:
            self._file.close()
        self._file, self._blocks, self._free = None, {}, []
        self._pages = self._count = 0

    def _write(self, rows: Rows, pages: list[int]) -> None:
        """Onto pages that are added to `pages` as they are taken."""
        file = self._open()
        for start in range(0, len(rows), _PAGE):
            pages.append(self._page())
            file.seek(pages[-1] * _PAGE * ROW.itemsize)
            part = rows[start : start + _PAGE].tobytes()
            if file.write(part) != len(part):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self) -> IO[bytes]:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Unbuffered: a full disk is told by the write that met it.
            self._file = tempfile.TemporaryFile(  # noqa: SIM115 - it lives as long as this
                dir=self._folder, prefix='lane_map_', buffering=0
            )
        return self._file

    def _page(self) -> int:
        if self._free:
            return self._free.pop()
        self._pages += 1
        return self._pages - 1
