"""Keeps a thread's alternate signal stack as it was while a library puts its own in its place.

OpenVINO's CPU plugin gives every thread that compiles or infers an alternate signal stack
(sigaltstack(2)) and on release puts back the one that it met. With two models alive, the first
to be made and to go leaves the thread with memory that is unmapped: the next signal, Ctrl-C for
one, then ends the process with a segmentation fault (OpenVINO 2026.4).
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator


class _Stack(ctypes.Structure):
    """`stack_t` of <signal.h> on Linux."""

    _fields_ = (
        ('pointer', ctypes.c_void_p),
        ('flags', ctypes.c_int),
        ('size', ctypes.c_size_t),
    )


@contextlib.contextmanager
def kept_signal_stack() -> Iterator[None]:
    """The calling thread leaves with the alternate signal stack that it came with (Linux)."""
    if not sys.platform.startswith('linux'):
        yield
        return
    libc, before = ctypes.CDLL(None), _Stack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(before), None)
