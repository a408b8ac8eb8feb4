"""Decoded, resized pictures and targets in memory-mapped arrays, so that steps never wait."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seg_node.errors import InputError
from seg_node.files import write_atomic, write_json
from seg_node.geometry import Size
from seg_node.progress import track
from seg_node_training.data.transforms.geometry import Policy, resize_pair

U8 = npt.NDArray[np.uint8]

REVISION = 5
"""Raised when what adapters make of the same files changes."""


class Adapter(Protocol):
    """What a data set must offer: named, listable, loadable one picture at a time."""

    name: str

    def sources(self) -> Sequence[object]: ...

    def load(self, source: object) -> tuple[U8, U8]: ...


class CachedSet:
    """One adapter's pictures at one size, decoded once.

    `images`: uint8 (N, H, W, 3) BGR; `targets`: uint8 (N, K, H, W); both memory maps. The folder
    name is a hash of what went in, so a changed data set is decoded anew.
    """

    def __init__(
        self,
        adapter: Adapter,
        folder: Path,
        height: int,
        width: int,
        policy: Policy = 'stretch',
    ) -> None:
        self.name = adapter.name
        sources = list(adapter.sources())
        fitted = [height, width] if policy == 'stretch' else [height, width, policy]
        key = json.dumps([REVISION, repr(adapter), *fitted, [repr(s) for s in sources]])
        place = folder / f'{adapter.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}'
        if not (place / 'done.json').is_file():
            self._fill(adapter, sources, place, Size(width, height), policy)
        # Copy on write: torch takes no read-only arrays, and nothing that writes reaches the file.
        self.images: U8 = np.load(place / 'images.npy', mmap_mode='c')
        self.targets: U8 = np.load(place / 'targets.npy', mmap_mode='c')

    @staticmethod
    def _fill(
        adapter: Adapter, sources: Sequence[object], place: Path, size: Size, policy: Policy
    ) -> None:
        shape = (size.height, size.width)
        images = np.empty((len(sources), *shape, 3), np.uint8)
        targets: U8 | None = None
        problems: list[str] = []
        for index, source in enumerate(track(sources, f'decode {adapter.name}')):
            try:
                image, target = adapter.load(source)
            except InputError as error:
                problems.append(str(error))
                continue
            if targets is None:
                targets = np.empty((len(sources), len(target), *shape), np.uint8)
            images[index], targets[index] = resize_pair(image, target, size, policy)
        if problems or targets is None:
            raise InputError(f'data set {adapter.name}: ' + '; '.join(problems))
        for name, array in (('images', images), ('targets', targets)):
            with write_atomic(place / f'{name}.npy') as temporary:
                np.save(temporary, array)
        write_json(place / 'done.json', {'count': len(sources)})

    def __len__(self) -> int:
        return len(self.images)
