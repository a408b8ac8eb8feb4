"""Painting a finished map: the mask acts on the pictures of its nodes, graph and loops stay.

RTAB-Map finds loops by features of the colours that have depth, so a map is best made of what the
camera saw, and painted afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg_node.errors import FrameError, InputError
from seg_node.files import write_atomic
from seg_node.images.frames import Frame, Order
from seg_node.rgbd import RgbdMode
from seg_node.rtabmap import pictures
from seg_node.rtabmap.database import MapDatabase, NodePictures, copy_map, open_map

Array = npt.NDArray[np.uint8]
Segment = Callable[[Frame], Array]
"""A picture to its mask, uint8 (H, W) of class ids."""
Track = Callable[[Iterable[NodePictures], int], Iterable[NodePictures]]


@dataclass
class PaintReport:
    """What became of the nodes: painted ones, and those left as they were, by id, with why."""

    painted: int = 0
    left: dict[int, str] = field(default_factory=dict)


def paint_map(
    source: Path, target: Path, mode: RgbdMode, segment: Segment, track: Track
) -> PaintReport:
    """Write a copy of `source` whose nodes hold what `mode` makes of them; `source` stays.

    Raises `InputError` when `source` is no known database, or `target` is it or cannot be written.
    """
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f'{target}: is the map itself; a painted map is written beside it')
    report = PaintReport()
    with (
        open_map(source) as original,
        write_atomic(target) as temporary,
        copy_map(original, temporary) as copy,
    ):
        for node in track(original.nodes(), len(original)):
            _paint_node(copy, node, mode, segment, report)
        if not report.painted:
            why = next(iter(report.left.values()), 'no node has a picture')
            raise InputError(f'{source}: nothing could be painted: {why}')
        copy.forget_derived()
    return report


def _paint_node(
    copy: MapDatabase, node: NodePictures, mode: RgbdMode, segment: Segment, report: PaintReport
) -> None:
    try:
        calibration = pictures.read_calibration(node.calibration)
        mask = _mask(pictures.decode_picture(node.image), calibration.widths, segment)
        if mode.replaces_rgb:
            copy.put(node.node, pictures.encode_png(mode.paint(mask)), None)
        else:
            copy.put(node.node, None, _cut_depth(node, calibration.stereo, mode, mask))
    except (InputError, FrameError) as error:
        report.left[node.node] = str(error)
    else:
        report.painted += 1


def _cut_depth(node: NodePictures, stereo: bool, mode: RgbdMode, mask: Array) -> bytes:
    if stereo or not node.depth:
        what = 'a stereo pair' if stereo else 'no depth'
        raise InputError(f'{what}: mode {mode.mode} needs a depth image')
    return pictures.encode_depth(mode.cut(pictures.decode_depth(node.depth), mask))


def _mask(pixels: Array, widths: tuple[int, ...], segment: Segment) -> Array:
    """The mask of a picture, camera by camera where several stand side by side."""
    if len(widths) < 2 or sum(widths) != pixels.shape[1]:
        widths = (pixels.shape[1],)
    ends = np.cumsum(widths)
    parts = [pixels[:, end - width : end] for end, width in zip(ends, widths)]
    order: Order = 'mono' if pixels.ndim == 2 else 'bgr'
    # The segmenter answers in its own memory: each part is copied before the next.
    masks = [segment(Frame(np.ascontiguousarray(part), order)).copy() for part in parts]
    return np.concatenate(masks, axis=1)
