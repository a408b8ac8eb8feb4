"""How the renderer's loops are compiled, and where the compiled code is kept.

Numba looks for changes only in the file of the outermost function, not in what it calls; so the
cache lives in a folder named after the content of all files of this package.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config

from seg_node.errors import InputError
from seg_node.files import private_folder

Function = TypeVar('Function', bound=Callable[..., Any])


def _digest() -> str:
    content = hashlib.sha256(numba.__version__.encode())
    for file in sorted(Path(__file__).parent.glob('*.py')):
        content.update(file.read_bytes())
    return content.hexdigest()[:16]


def _own(folder: Path) -> Path:
    """`folder`, made with mode 0700. OSError where it is a link, or others own or may write it."""
    folder.mkdir(exist_ok=True, mode=0o700)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o022:
        raise PermissionError(f'{folder}: not only ours')
    return folder


def cache_folder() -> Path:
    """A folder of the user's own for compiled code, whose files are pickles: what lies there runs.

    In the user's cache folder where only the user could have put anything into it, else a new one
    that is removed at exit.
    """
    base = Path(os.environ.get('XDG_CACHE_HOME') or Path('~/.cache').expanduser())
    try:
        root = private_folder(base / 'seg_node' / 'numba')
        return _own(root / _digest())
    except (InputError, OSError):
        folder = Path(tempfile.mkdtemp(prefix='seg_node-numba-'))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder


if not os.environ.get('NUMBA_CACHE_DIR'):
    # numba makes its settings of the environment when it is imported
    config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]

# Without reference counting of arrays the kernels are three times as fast; they may not allocate.
# Inlined into one another they are twice as fast again: an array is seven words to hand over, and
# a pixel asks a dozen functions that take several.
_compiled = functools.partial(
    numba.njit,
    cache=True,
    nogil=True,
    fastmath=True,
    error_model='numpy',
    forceinline=True,
    _nrt=False,
)()


def kernel(function: Function) -> Function:
    """`function`, compiled at its first call; to be called as it is written.

    It takes numbers, arrays and the named tuples of `inputs`, and allocates nothing.
    """
    return cast(Function, _compiled(function))
