"""Writing MP4 videos with PyAV (FFmpeg), whole or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg_node.errors import InputError
from seg_node.files import write_atomic

Array = npt.NDArray[np.uint8]
WRITTEN_SUFFIXES = frozenset({'.mp4', '.m4v', '.mov', '.mkv', '.avi'})
"""Containers that take H.264."""


def check_video_name(path: Path) -> None:
    """Raise `InputError` for a file name that is no kind of video that is written."""
    if path.suffix.lower() not in WRITTEN_SUFFIXES:
        raise InputError(
            f'{path}: not a kind of video that is written: expected one of '
            f'{", ".join(sorted(WRITTEN_SUFFIXES))}'
        )


@contextlib.contextmanager
def video_writer(path: Path, rate: float = 25.0) -> Iterator[Callable[[Array], None]]:
    """Give a function that appends uint8 (H, W, 3) BGR pictures to an H.264 MP4.

    The size is the first picture's, cut to even numbers as H.264 wants. Nothing is written when no
    picture came. Raises `InputError` for a file name that is no kind of video.
    """
    import av

    check_video_name(path)
    with contextlib.ExitStack() as stack:
        container = None
        stream = None

        def append(bgr: Array) -> None:
            nonlocal container, stream
            height, width = bgr.shape[0] & ~1, bgr.shape[1] & ~1
            if container is None:
                temporary = stack.enter_context(write_atomic(path))
                container = stack.enter_context(av.open(str(temporary), 'w'))
                stream = container.add_stream(
                    'libx264', rate=Fraction(rate).limit_denominator(1000)
                )
                stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
                stream.options = {'crf': '21', 'preset': 'veryfast'}
            assert stream is not None
            picture = np.ascontiguousarray(bgr[:height, :width])
            frame = av.VideoFrame.from_ndarray(picture, format='bgr24')
            container.mux(stream.encode(frame))

        yield append
        if container is not None and stream is not None:
            container.mux(stream.encode())
