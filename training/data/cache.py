"""Decoded, resized pictures and targets in memory-mapped arrays, so that steps never wait."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.errors import InputError
from seg_node.files import write_atomic, write_json
from seg_node.progress import track

U8 = npt.NDArray[np.uint8]

REVISION = 5
"""Raised when what adapters make of the same files changes."""


class Adapter(Protocol):
    """What a data set must offer: named, listable, loadable one picture at a time."""

    name: str

    def sources(self) -> Sequence[object]: ...

    def load(self, source: object) -> tuple[U8, U8]: ...


def shrink_target(target: U8, height: int, width: int) -> U8:
    """`target` (uint8 (K, H, W)) at another size, codes kept (nearest neighbour)."""
    size = (width, height)
    return np.stack([cv2.resize(p, size, interpolation=cv2.INTER_NEAREST_EXACT) for p in target])


class CachedSet:
    """One adapter's pictures at one size, decoded once.

    `images`: uint8 (N, H, W, 3) BGR; `targets`: uint8 (N, K, H, W); both memory maps. The folder
    name is a hash of what went in, so a changed data set is decoded anew.
    """

    def __init__(self, adapter: Adapter, folder: Path, height: int, width: int) -> None:
        self.name = adapter.name
        sources = list(adapter.sources())
        key = json.dumps([REVISION, repr(adapter), height, width, [repr(s) for s in sources]])
        place = folder / f'{adapter.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}'
        if not (place / 'done.json').is_file():
            self._fill(adapter, sources, place, height, width)
        self.images: U8 = np.load(place / 'images.npy', mmap_mode='r')
        self.targets: U8 = np.load(place / 'targets.npy', mmap_mode='r')

    @staticmethod
    def _fill(
        adapter: Adapter, sources: Sequence[object], place: Path, height: int, width: int
    ) -> None:
        images = np.empty((len(sources), height, width, 3), np.uint8)
        targets: U8 | None = None
        problems: list[str] = []
        for index, source in enumerate(track(sources, f'decode {adapter.name}')):
            try:
                image, target = adapter.load(source)
            except InputError as error:
                problems.append(str(error))
                continue
            shrinks = image.shape[0] > height or image.shape[1] > width
            how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            images[index] = cv2.resize(image, (width, height), interpolation=how)
            if targets is None:
                targets = np.empty((len(sources), len(target), height, width), np.uint8)
            targets[index] = shrink_target(target, height, width)
        if problems or targets is None:
            raise InputError(f'data set {adapter.name}: ' + '; '.join(problems))
        for name, array in (('images', images), ('targets', targets)):
            with write_atomic(place / f'{name}.npy') as temporary:
                np.save(temporary, array)
        write_json(place / 'done.json', {'count': len(sources)})

    def __len__(self) -> int:
        return len(self.images)
