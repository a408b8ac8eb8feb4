"""Plain folders of pictures and labels, with full, partial or soft knowledge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.class_map import ClassMap
from seg_node.classes import LANE, LANE_TYPES
from seg_node.errors import ConfigError, InputError, problems_line
from seg_node.files import list_images
from seg_node.label_check import label_problem
from seg_node_training.data.label_values import values_of
from seg_node_training.data.paint import bright_on_road, lane_target
from seg_node_training.data.targets import UNKNOWN
from seg_node_training.data.teachers import SoftAnswers, soft_target

U8 = npt.NDArray[np.uint8]

SOFT = ('soft', 'road+soft', 'ego+soft')
KNOWLEDGE = (
    *('ids', 'road', 'line', 'road+paint', 'teacher', 'teacher_above', 'teacher_lines'),
    *SOFT,
)
"""What a folder's labels are trusted for, by name:

`ids`: both classes from `labels/` (1 road, 2 marking; the road plane is 1 or 2); `road`: only the
road plane of `labels/`; `line`: only class 2 of `labels/`; `road+paint`: road from `labels/`,
markings from `teacher_paint/`; `teacher`: soft road from `teacher_road/` where it is sure,
markings from `teacher_paint/`; `teacher_above`: the same, but "no road" is believed only above the
highest road pixel (the teacher means "drivable for me": where oncoming lanes are in the picture
it says no to them); `teacher_lines`: markings from `teacher_paint/` alone.

`soft`: both planes from the soft answers of `teacher2_road/` and `teacher2_mark/`
(`data.teachers`); `road+soft`: road from `labels/`, which is right where the teacher differs,
markings from `teacher2_mark/`; `ego+soft`: the same as `soft`, and what `labels/` calls road is.
Where the older teacher's answers lie beside them, pixels that the two disagree on are unknown.
"""
ID_FOLDERS = ('lane_types',)
"""Folders of class ids that a set may know instead: one plane, all of it as it stands."""


@dataclass(frozen=True)
class FolderSource:
    """Where one picture and the pictures that describe it lie."""

    image: Path
    labels: Path | None
    paint: Path | None
    road: Path | None
    marks: Path | None = None


@dataclass(frozen=True)
class FolderSet:
    """An image/label folder: `images/*` with `labels/*.png`, `teacher_*/*.png` of equal stems.

    `knows` is one of `KNOWLEDGE`. Loads give the picture, uint8 (H, W, 3) BGR, and the target,
    uint8 (2, H, W): planes road (with markings) and lane marking, 0..254 probability, 255 unknown.
    """

    name: str
    folder: Path
    knows: str
    split: str | None = None
    limit: int | None = None
    class_map: ClassMap | None = None
    """What the codes in `labels/` are translated by, where they are not ours."""

    def sources(self) -> list[FolderSource]:
        """Every picture of the split, checked; raises `InputError` that lists all problems.

        Checked are missing files and the values of the labels (`seg_node.label_check`).
        """
        if self.knows not in (*KNOWLEDGE, *ID_FOLDERS):
            raise ConfigError(
                f'data set {self.name}: knows: expected one of '
                f'{", ".join((*KNOWLEDGE, *ID_FOLDERS))}, '
                f'got {self.knows!r}'
            )
        images = self.folder / 'images'
        if not images.is_dir():
            raise InputError(f'data set {self.name}: {images}: no such folder')
        pictures = list_images(images)
        problems: list[str] = []
        if self.split is not None:
            pictures = self._only_split(pictures, problems)
        sources = [self._source(path) for path in pictures]
        for source in sources:
            for part in (source.labels, source.paint, source.road, source.marks):
                if part is not None and not part.is_file():
                    problems.append(f'{source.image.name}: {part.parent.name}/{part.name} missing')
        if problems:
            raise InputError(problems_line(f'data set {self.name}', problems))
        if not sources:
            raise InputError(f'data set {self.name}: split {self.split} of {images} is empty')
        if self.limit is not None and self.limit < len(sources):
            pick = np.linspace(0, len(sources) - 1, self.limit).round().astype(int)
            sources = [sources[i] for i in pick]
        self._check_values([s.labels for s in sources if s.labels is not None])
        return sources

    def _check_values(self, labels: list[Path]) -> None:
        if not labels:
            return
        if self.knows in ID_FOLDERS:
            known, positive = LANE_TYPES.names, range(1, len(LANE_TYPES))
        else:
            known, positive = LANE.names, range(2 if self.knows == 'line' else 1, len(LANE))
        problem = label_problem(values_of(labels), known, positive, self.class_map)
        if problem:
            raise InputError(f'data set {self.name}: {labels[0].parent}: {problem}')

    def _only_split(self, images: list[Path], problems: list[str]) -> list[Path]:
        listing = self.folder / str(self.split)
        if not listing.is_file():
            raise InputError(f'data set {self.name}: {listing}: no such split file')
        by_stem = {path.stem: path for path in images}
        stems = [Path(line.strip()).stem for line in listing.read_text().split('\n')]
        chosen = []
        for stem in filter(None, stems):
            if stem in by_stem:
                chosen.append(by_stem[stem])
            else:
                problems.append(f'{stem}: listed in {self.split}, not in images/')
        return chosen

    def _source(self, image: Path) -> FolderSource:
        def beside(kind: str) -> Path:
            return self.folder / kind / f'{image.stem}.png'

        if self.knows in ID_FOLDERS:
            return FolderSource(image, beside(self.knows), None, None)
        if self.knows in SOFT:
            return FolderSource(
                image,
                None if self.knows == 'soft' else beside('labels'),
                _if_there(beside('teacher_paint')),
                None if self.knows == 'road+soft' else beside('teacher2_road'),
                beside('teacher2_mark'),
            )
        return FolderSource(
            image,
            beside('labels') if self.knows in ('ids', 'road', 'line', 'road+paint') else None,
            beside('teacher_paint')
            if self.knows in ('road+paint', 'teacher', 'teacher_above', 'teacher_lines')
            else None,
            beside('teacher_road') if self.knows in ('teacher', 'teacher_above') else None,
        )

    def load(self, source: FolderSource) -> tuple[U8, U8]:
        """Picture uint8 (H, W, 3) BGR and target uint8 (2, H, W) of `source`."""
        image = cv2.imread(str(source.image), cv2.IMREAD_COLOR)
        if image is None:
            raise InputError(f'{source.image}: not a picture that OpenCV can read')
        if self.knows in ID_FOLDERS and source.labels is not None:
            return image, self._ids(source.labels, image)[None]
        if self.knows in SOFT:
            return image, self._soft_target(source, image)
        target = np.full((2, *image.shape[:2]), UNKNOWN, np.uint8)
        if source.labels is not None:
            ids = self._ids(source.labels, image)
            if self.knows != 'line':
                target[0] = np.select([ids == 255, ids > 0], [UNKNOWN, 254], 0)
            if self.knows in ('ids', 'line'):
                target[1] = np.select([ids == 255, ids == 2], [UNKNOWN, 254], 0)
        if source.road is not None:
            target[0] = sure_road(
                _read_plane(source.road, image, exact=False), self.knows == 'teacher_above'
            )
        if source.paint is not None:
            paint = _read_plane(source.paint, image, exact=True)
            road = target[0] if self.knows != 'teacher_lines' else None
            target[1] = lane_target(image, paint, road)
            if source.road is not None:
                bright = bright_on_road(image, target[0])
                target[0][bright & (target[0] == 0)] = UNKNOWN
                target[1][bright] = UNKNOWN
                # The teacher calls the strip under a line "not drivable"; paint lies on road.
                target[0][paint == 128] = UNKNOWN
                target[0][paint == 255] = 254
                target[1][paint == 255] = 254
        return image, target

    def _ids(self, path: Path, image: U8) -> U8:
        raw = _read_plane(path, image, exact=True)
        return raw if self.class_map is None else self.class_map.apply_ids(raw)

    def _soft_target(self, source: FolderSource, image: U8) -> U8:
        def read(path: Path | None) -> U8 | None:
            return None if path is None else _read_plane(path, image, exact=False)

        ids = None
        if source.labels is not None:
            ids = self._ids(source.labels, image)
        older = _if_there(source.image.parents[1] / 'teacher_road' / f'{source.image.stem}.png')
        return soft_target(
            SoftAnswers(read(source.road), read(source.marks), read(older), read(source.paint)),
            ids,
        )


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None


def sure_road(probability: U8, only_above: bool = False) -> U8:
    """Soft road target (0..254, 255 unknown) from a teacher's probability x 255, uint8 (H, W).

    Above 0.8 it is kept as it is; below 0.06 it is background, with `only_above` in the rows
    above the highest road pixel alone; between, and close to the road's edge, it is unknown.
    """
    soft = np.full(probability.shape, UNKNOWN, np.uint8)
    sure = probability > 204
    soft[sure] = np.minimum(probability[sure], 254)
    reach = max(3, probability.shape[1] // 80) | 1
    near = cv2.dilate((probability > 127).astype(np.uint8), np.ones((reach, reach), np.uint8))
    nothing = (probability < 16) & (near == 0)
    if only_above:
        rows = np.flatnonzero((probability > 127).any(1))
        nothing[int(rows[0]) if len(rows) else 0 :] = False
    soft[nothing] = 0
    return soft


def _read_plane(path: Path, image: U8, exact: bool) -> U8:
    plane = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if plane is None or plane.ndim != 2 or plane.dtype != np.uint8:
        raise InputError(f'{path}: expected an 8-bit single-channel picture')
    if plane.shape != image.shape[:2]:
        if exact:
            raise InputError(
                f'{path}: expected the size of its picture, {image.shape[1]}x{image.shape[0]}, '
                f'got {plane.shape[1]}x{plane.shape[0]}'
            )
        plane = cv2.resize(plane, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    shares: U8 = plane
    return shares
