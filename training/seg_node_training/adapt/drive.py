"""From a drive to pictures with soft answers: which frames, and which pixels of them teach.

Frames in which little has changed since the last one kept teach nothing new (a car that waits).
Pixels that stay the same while the world goes by belong to the car or to the recorder: bonnet,
mirror, windscreen wiper, a time stamp. What a teacher says of them is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.errors import InputError
from seg_node.files import write_atomic, write_image
from seg_node.images.reading import read_bgr
from seg_node.progress import track
from seg_node.sources import open_source
from seg_node_training.data.targets import UNKNOWN
from seg_node_training.teach.teacher import Teacher

U8 = npt.NDArray[np.uint8]
THUMB = (64, 36)
"""Size (width, height) at which frames are compared."""
LEAST_CHANGE = 2.0
"""Mean difference of two thumbs, of 255, below which the second one shows nothing new."""
STILL_SIZE = (160, 90)
STILL_SHARE = 0.3
"""A pixel stands still when its changes are below this share of the picture's median."""
LEAST_FOR_STILL = 20
"""Frames that it takes to tell what stands still."""
WIDEST = 960
"""Widest kept frame, in pixels: no network here sees more."""


def collect_frames(drive: Path, topic: str | None, most: int, folder: Path) -> list[Path]:
    """At most `most` frames of a folder, video or bag, evenly over what changes, as JPEG files.

    Raises `InputError` where there is no frame that differs from the one before.
    """
    kept: list[bytes] = []
    gap, skipped = 1, 0
    last: npt.NDArray[np.float32] | None = None
    for item in track(open_source(drive, topic), f'read {drive.name}'):
        picture = _narrowed(item.frame.bgr())
        thumb = cv2.resize(picture, THUMB, interpolation=cv2.INTER_AREA).astype(np.float32)
        if last is not None and float(np.abs(thumb - last).mean()) < LEAST_CHANGE:
            continue
        last = thumb
        skipped += 1
        if skipped < gap:
            continue
        skipped = 0
        kept.append(cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 96])[1].tobytes())
        if len(kept) > 2 * most:  # memory stays bounded, whatever the drive's length
            kept, gap = kept[::2], gap * 2
    if len(kept) < 2:
        raise InputError(f'{drive}: expected frames that differ, found {len(kept)}')
    if len(kept) > most:
        kept = [kept[i] for i in np.linspace(0, len(kept) - 1, most).round().astype(int)]
    paths = [folder / f'{index:05d}.jpg' for index in range(len(kept))]
    for path, data in zip(paths, kept):
        with write_atomic(path) as temporary:
            temporary.write_bytes(data)
    return paths


def _narrowed(picture: U8) -> U8:
    height, width = picture.shape[:2]
    if width <= WIDEST:
        return picture
    size = (WIDEST, round(height * WIDEST / width))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def still_pixels(paths: list[Path]) -> npt.NDArray[np.bool_]:
    """bool (90, 160): where the picture stays the same over the drive.

    The measure is the median over time of the change from frame to frame: a shadow or a car that
    passes over the bonnet does not hide it. Few frames, or a drive in which nothing moves, give
    no pixel.
    """
    if len(paths) < LEAST_FOR_STILL:
        return np.zeros(STILL_SIZE[::-1], bool)
    small = [cv2.resize(read_bgr(p), STILL_SIZE, interpolation=cv2.INTER_AREA) for p in paths]
    stack = np.stack([s.astype(np.int16).mean(2) for s in small])
    change = np.median(np.abs(np.diff(stack, axis=0)), axis=0).astype(np.float32)
    change = cv2.blur(change, (5, 5))
    # The sky changes little too; what is unknown there costs nothing, it is never road.
    still = change < STILL_SHARE * float(np.median(change))
    opened = cv2.morphologyEx(still.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    whole: npt.NDArray[np.bool_] = opened.astype(bool)
    return whole


@dataclass(frozen=True)
class TaughtSource:
    """One frame and the soft answers to it."""

    image: Path
    road: Path
    mark: Path | None


@dataclass(frozen=True)
class TaughtFrames:
    """Frames with a teacher's soft answers, as a set to train on.

    Loads give the picture uint8 (H, W, 3) BGR and the target uint8 (2, H, W), road (with markings)
    and marking, 0..254 probability, 255 unknown: where `still` (a picture, 255 = stands still)
    says so, and the marking plane of a teacher that knows none.
    """

    name: str
    taught: tuple[TaughtSource, ...]
    still: Path

    def sources(self) -> tuple[TaughtSource, ...]:
        """The frames."""
        return self.taught

    def load(self, source: TaughtSource) -> tuple[U8, U8]:
        """Picture and target."""
        image = read_bgr(source.image)
        target = np.full((2, *image.shape[:2]), UNKNOWN, np.uint8)
        for plane, path in zip(target, (source.road, source.mark)):
            if path is not None:
                plane[...] = np.minimum(_plane(path, image), 254)
        target[:, _plane(self.still, image) > 127] = UNKNOWN
        return image, target


def _plane(path: Path, image: U8) -> U8:
    plane = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if plane is None:
        raise InputError(f'{path}: not a picture that OpenCV can read')
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def teach_frames(paths: list[Path], teacher: Teacher, folder: Path) -> TaughtFrames:
    """Ask the teacher about every frame and keep its answers in `folder`."""
    still = folder / 'still.png'
    write_image(still, still_pixels(paths).astype(np.uint8) * 255)
    taught = []
    for path in track(paths, f'ask {teacher.name}'):
        road, mark = (folder / kind / f'{path.stem}.png' for kind in ('road', 'mark'))
        answer = teacher(read_bgr(path))
        write_image(road, answer[0])
        if teacher.knows_markings:
            write_image(mark, answer[1])
        taught.append(TaughtSource(path, road, mark if teacher.knows_markings else None))
    return TaughtFrames('drive', tuple(taught), still)
