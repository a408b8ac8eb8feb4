"""How the renderer's loops are compiled, and where the compiled code is kept.

Numba looks for changes only in the file of the outermost function, not in what it calls; so the
cache lives in a folder named after the content of all files of this package.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from pathlib import Path

import numba
from numba.core import config


def _digest() -> str:
    content = hashlib.sha256(numba.__version__.encode())
    for file in sorted(Path(__file__).parent.glob('*.py')):
        content.update(file.read_bytes())
    return content.hexdigest()[:16]


def _cache_folder() -> Path:
    """The user's cache folder, or the temporary one where that cannot be written."""
    base = Path(os.environ.get('XDG_CACHE_HOME') or Path('~/.cache').expanduser())
    for root in (base, Path(tempfile.gettempdir()) / f'cache-{os.getuid()}'):
        folder = root / 'seg_node' / 'numba' / _digest()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix='seg_node-numba-'))


if not os.environ.get('NUMBA_CACHE_DIR'):
    config.CACHE_DIR = str(_cache_folder())

# Without reference counting of arrays the kernels are three times as fast; they may not allocate.
kernel = functools.partial(
    numba.njit, cache=True, nogil=True, fastmath=True, error_model='numpy', _nrt=False
)()
