"""Files that are either whole or not there: written beside, then renamed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.errors import InputError

IMAGE_SUFFIXES = frozenset({'.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp', '.ppm'})
VIDEO_SUFFIXES = frozenset({'.mp4', '.mkv', '.avi', '.mov', '.webm', '.m4v', '.mpg', '.mpeg'})
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})  # takes no more


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """What the system says against writing `path` becomes one line, an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f'{path}: cannot be written: {error.strerror or error}') from error


@contextlib.contextmanager
def write_atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block ends well.

    The temporary name keeps the suffix (libraries choose formats by it). When the block raises,
    the temporary file is removed and whatever stood at `path` stays. Raises `InputError` when the
    folder cannot be made, `path` is one, or the disk takes no more.
    """
    target = Path(path)
    with write_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f'.{target.stem}-', suffix=target.suffix
        )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with write_errors(target):  # a folder stands there
            temporary.replace(target)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise InputError(f'{target}: cannot be written: {os.strerror(error.errno)}') from error
    finally:
        temporary.unlink(missing_ok=True)


def write_part(page: str | os.PathLike[str], begin: str, end: str, inner: Sequence[str]) -> None:
    """Put the lines `inner` between the marks `begin` and `end` of a text file, atomically."""
    text = Path(page).read_text(encoding='utf-8')
    filled = '\n'.join((begin, *inner, end))
    pattern = f'{re.escape(begin)}.*?{re.escape(end)}'
    with write_atomic(page) as temporary:
        renewed = re.sub(pattern, lambda _: filled, text, flags=re.DOTALL)
        temporary.write_text(renewed, encoding='utf-8')


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN is refused (it is not JSON)."""
    text = json.dumps(value, indent=2, allow_nan=False)
    with write_atomic(path) as temporary:
        temporary.write_text(text + '\n', encoding='utf-8')


def write_image(path: str | os.PathLike[str], image: npt.NDArray[np.uint8]) -> None:
    """Write `image` (uint8, (H, W) or (H, W, 3) BGR) in the format of the suffix, atomically."""
    target = Path(path)
    try:
        coded, data = cv2.imencode(target.suffix, image)
    except cv2.error:  # a suffix that it does not know
        coded, data = False, None
    if not coded:
        raise InputError(f'{path}: OpenCV cannot write a picture of this kind')
    # Not by imwrite: on a full disk it says that all went well.
    with write_atomic(target) as temporary:
        temporary.write_bytes(np.asarray(data).data)


def list_images(folder: Path) -> list[Path]:
    """The pictures directly in `folder`, in name order. Raises `InputError` when there is none."""
    try:
        images = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    except OSError as error:
        raise InputError(f'{folder}: cannot be read: {error.strerror or error}') from None
    if not images:
        raise InputError(f'{folder}: expected a folder with pictures, found none')
    return images


def fresh_folder(folder: Path) -> None:
    """Make `folder`, or empty one that an earlier run made; `InputError` for anything else.

    A folder counts as an earlier run's when it is empty or has its marker file.
    """
    marker = folder / '.seg_node_output'
    with write_errors(folder):
        if folder.exists() and not folder.is_dir():
            raise InputError(f'{folder}: expected a folder for the output, got a file')
        if folder.is_dir() and any(folder.iterdir()) and not marker.is_file():
            raise InputError(f'{folder}: expected an empty folder or an earlier output, has files')
        if folder.is_dir():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        marker.touch()


def private_folder(folder: Path) -> Path:
    """Make `folder` one that only this user can write to; for caches whose files are trusted.

    Raises `InputError` where it cannot be made or written, or belongs to somebody else: under a
    shared directory another user may have put it there, with files of his own.
    """
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        state = folder.stat()
        if hasattr(os, 'geteuid') and state.st_uid != os.geteuid():
            raise InputError(f'{folder}: belongs to another user')
        if state.st_mode & stat.S_ISVTX:
            raise InputError(f'{folder}: is shared by all users')
        if state.st_mode & 0o022:
            folder.chmod(stat.S_IMODE(state.st_mode) & ~0o022)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f'{folder}: cannot be written: Permission denied')
    return folder
