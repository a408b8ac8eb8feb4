"""Decoded, resized pictures and targets in memory-mapped arrays, so that steps never wait."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from seg_node.camera.size import Size
from seg_node.errors import InputError
from seg_node.files import write_atomic, write_json
from seg_node.progress import track
from seg_node_training.data.label_values import file_state
from seg_node_training.data.transforms.geometry import Policy, resize_pair

U8 = npt.NDArray[np.uint8]

REVISION = 5
"""Raised when what adapters make of the same files changes."""

Source = TypeVar('Source')


class Adapter(Protocol[Source]):
    """What a data set must offer: named, listable, loadable one picture at a time."""

    @property
    def name(self) -> str:
        """For messages and the folder of its cache."""

    def sources(self) -> Sequence[Source]:
        """What `load` takes, one for each picture. Raises `InputError` for a broken set."""

    def load(self, source: Source) -> tuple[U8, U8]:
        """Picture uint8 (H, W, 3) BGR and target uint8 (K, H, W)."""


class CachedSet:
    """One adapter's pictures at one size, decoded once.

    `images`: uint8 (N, H, W, 3) BGR; `targets`: uint8 (N, K, H, W); both memory maps. The folder
    name is a hash of what went in: the adapter, its sources, size and time of every file of
    theirs. So a changed data set is decoded anew, also where a picture was replaced in its place.
    """

    def __init__(
        self,
        adapter: Adapter[Any],
        folder: Path,
        height: int,
        width: int,
        policy: Policy = 'stretch',
    ) -> None:
        self.name = adapter.name
        sources = list(adapter.sources())
        fitted = [height, width] if policy == 'stretch' else [height, width, policy]
        files = [file_state(path) for source in sources for path in _files_of(source)]
        key = json.dumps([REVISION, repr(adapter), *fitted, [repr(s) for s in sources], files])
        place = folder / f'{adapter.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}'
        if not (place / 'done.json').is_file():
            self._fill(adapter, sources, place, Size(width, height), policy)
        # Copy on write: torch takes no read-only arrays, and nothing that writes reaches the file.
        self.images: U8 = np.load(place / 'images.npy', mmap_mode='c')
        self.targets: U8 = np.load(place / 'targets.npy', mmap_mode='c')

    @staticmethod
    def _fill(
        adapter: Adapter[Any], sources: Sequence[object], place: Path, size: Size, policy: Policy
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


def _files_of(source: object) -> list[Path]:
    """The files that a source names; none for a frame that is rendered."""
    if not is_dataclass(source):
        return []
    values = (getattr(source, field.name) for field in fields(source))
    return [value for value in values if isinstance(value, Path)]
