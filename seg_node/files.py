"""Files that are either whole or not there: written beside, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.errors import InputError

IMAGE_SUFFIXES = frozenset({'.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp', '.ppm'})
VIDEO_SUFFIXES = frozenset({'.mp4', '.mkv', '.avi', '.mov', '.webm', '.m4v', '.mpg', '.mpeg'})


@contextlib.contextmanager
def write_atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block ends well.

    The temporary name keeps the suffix (libraries choose formats by it). When the block raises,
    the temporary file is removed and whatever stood at `path` stays. Raises `InputError` when the
    folder cannot be made or `path` is one.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f'.{target.stem}-', suffix=target.suffix
        )
    except OSError as error:
        raise InputError(f'{target}: cannot be written: {error.strerror or error}') from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        try:
            temporary.replace(target)
        except OSError as error:  # a folder stands there
            raise InputError(f'{target}: cannot be written: {error.strerror}') from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN is refused (it is not JSON)."""
    text = json.dumps(value, indent=2, allow_nan=False)
    with write_atomic(path) as temporary:
        temporary.write_text(text + '\n', encoding='utf-8')


def write_image(path: str | os.PathLike[str], image: npt.NDArray[np.uint8]) -> None:
    """Write `image` (uint8, (H, W) or (H, W, 3) BGR) in the format of the suffix, atomically."""
    with write_atomic(path) as temporary:
        try:
            written = cv2.imwrite(str(temporary), image)
        except cv2.error:  # a suffix that it does not know
            written = False
        if not written:
            raise InputError(f'{path}: OpenCV cannot write a picture of this kind')


def list_images(folder: Path) -> list[Path]:
    """The pictures directly in `folder`, in name order. Raises `InputError` when there is none."""
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise InputError(f'{folder}: expected a folder with pictures, found none')
    return found


def fresh_folder(folder: Path) -> None:
    """Make `folder`, or empty one that an earlier run made; `InputError` for anything else.

    A folder counts as an earlier run's when it is empty or has its marker file.
    """
    marker = folder / '.seg_node_output'
    if folder.exists() and not folder.is_dir():
        raise InputError(f'{folder}: expected a folder for the output, got a file')
    if folder.is_dir() and any(folder.iterdir()) and not marker.is_file():
        raise InputError(f'{folder}: expected an empty folder or an earlier output, has files')
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    marker.touch()
