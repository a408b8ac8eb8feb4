"""Compiled models kept for the next start: an optimisation that may fail, never lie.

OpenVINO's own cache takes a damaged file for a good one and maps it, so that a file cut short
meanwhile ends the process. Here a blob is read into memory and its SHA-256 looked at; what does
not fit is compiled anew and written again. Where the folder cannot be used, nothing is kept.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from seg_node.errors import InputError
from seg_node.files import private_folder, write_atomic

_LOG = logging.getLogger(__name__)
_MAGIC = b'seg_node blob 1\n'
_HEAD = len(_MAGIC) + hashlib.sha256().digest_size


class CompileCache:
    """Blobs by key in a folder of the user's own; `folder` None: nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = None
        if folder is not None:
            try:
                self._folder = private_folder(folder)
            except InputError as error:
                _LOG.warning(
                    'compile cache not used, models are compiled at each start: %s', error
                )

    @property
    def used(self) -> bool:
        """Whether there is a folder to keep blobs in."""
        return self._folder is not None

    def get(self, key: str) -> bytes | None:
        """The blob of `key`, whole; None where there is none."""
        if self._folder is None:
            return None
        try:
            data = self._path(self._folder, key).read_bytes()
        except OSError:
            return None
        blob = data[_HEAD:]
        if not data.startswith(_MAGIC) or _digest(blob) != data[len(_MAGIC) : _HEAD]:
            _LOG.warning('compile cache: %s is damaged, compiled anew', key)
            return None
        return blob

    def put(self, key: str, blob: bytes) -> None:
        """Keep a blob; a folder that takes no more is said and left."""
        if self._folder is None:
            return
        try:
            with write_atomic(self._path(self._folder, key)) as temporary:
                temporary.write_bytes(_MAGIC + _digest(blob) + blob)
        except (InputError, OSError) as error:
            _LOG.warning('compile cache: %s', error)

    @staticmethod
    def key(*parts: str) -> str:
        """A name for all that a blob depends on."""
        return hashlib.sha256('\0'.join(parts).encode()).hexdigest()[:32]

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / f'{key}.blob'


def _digest(blob: bytes) -> bytes:
    return hashlib.sha256(blob).digest()
