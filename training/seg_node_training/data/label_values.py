"""The values in the label files of a set, read once a process."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from seg_node.label_check import LabelValues

FileState = tuple[str, int, int]
"""Path, size in bytes, time of the last change in nanoseconds."""


def file_state(path: Path) -> FileState:
    """What identifies the content of a file without reading it; zeros where it is missing."""
    try:
        state = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), state.st_size, state.st_mtime_ns


def values_of(paths: Iterable[Path]) -> LabelValues:
    """Counts over single-channel 8-bit label files; others are left to those who load them."""
    return _values(tuple(file_state(path) for path in paths))


@lru_cache(maxsize=64)  # a set is opened several times a run, its labels are the same
def _values(files: tuple[FileState, ...]) -> LabelValues:
    def counted(file: FileState) -> LabelValues:
        plane = cv2.imread(file[0], cv2.IMREAD_UNCHANGED)
        if plane is None or plane.ndim != 2 or plane.dtype != np.uint8:
            return LabelValues.of([])
        return LabelValues.of([plane])

    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), 'labels') as pool:
        each = list(pool.map(counted, files))
    zero = np.zeros(256, np.int64)
    return LabelValues(sum((v.all for v in each), zero), sum((v.lower for v in each), zero))
