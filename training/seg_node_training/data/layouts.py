"""The layouts of published data sets and of CARLA captures, under one interface.

Each layout is a list of picture/label pairs and a class map (`seg_node.classes`): what the codes
mean is data, how the files lie is the code here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.class_map import ClassMap, load_class_map
from seg_node.classes import LANE, UNLABELED, Rgb
from seg_node.errors import ConfigError, InputError
from seg_node.files import list_images
from seg_node.label_check import fitting_class_map, label_problem
from seg_node_training.data.label_values import values_of
from seg_node_training.data.targets import UNKNOWN

U8 = npt.NDArray[np.uint8]
MOST_SHOWN = 20
"""Problems listed in full; of the rest only the number."""


@dataclass(frozen=True)
class Pair:
    """One picture and its label picture."""

    image: Path
    label: Path


@dataclass(frozen=True)
class PairedSet:
    """Pictures with label pictures of another project's codes.

    `lines`: whether the labels tell markings from road; where not, the marking plane is unknown.
    Loads give uint8 (H, W, 3) BGR and the target uint8 (2, H, W), planes road (with markings) and
    lane marking, 0, 254 or 255 unknown.
    """

    name: str
    pairs: tuple[Pair, ...]
    classes: ClassMap
    lines: bool

    def sources(self) -> tuple[Pair, ...]:
        """Every pair; raises `InputError` that lists all that is missing or of unequal size."""
        if not self.pairs:
            raise InputError(f'data set {self.name}: the split is empty')
        problems = []
        for pair in self.pairs:
            if not pair.label.is_file():
                problems.append(f'{pair.image.name}: no label {pair.label.name}')
                continue
            sizes = [_picture_size(path) for path in (pair.image, pair.label)]
            if sizes[0] != sizes[1]:
                problems.append(f'{pair.image.name}: size {sizes[0]}, its label {sizes[1]}')
        _raise_all(self.name, problems)
        self._check_values()
        return self.pairs

    def _check_values(self) -> None:
        """Ids that the class map makes neither road nor marking anywhere are another numbering."""
        values = values_of(pair.label for pair in self.pairs)
        if not self.classes.ids or not values.present:
            return
        problem = label_problem(values, LANE.names, (1, 2), self.classes)
        if problem:
            fitting = fitting_class_map(values)
            hint = f'; they look like {fitting}' if fitting else ''
            raise InputError(f'data set {self.name}: {problem}{hint}')

    def load(self, pair: Pair) -> tuple[U8, U8]:
        """Picture and target; raises `InputError` for unknown colours."""
        image = cv2.imread(str(pair.image), cv2.IMREAD_COLOR)
        if image is None:
            raise InputError(f'{pair.image}: not a picture that OpenCV can read')
        ids = self._ids(pair.label)
        target = np.full((2, *ids.shape), UNKNOWN, np.uint8)
        target[0] = np.select([ids == UNLABELED, ids > 0], [UNKNOWN, 254], 0)
        if self.lines:
            target[1] = np.select([ids == UNLABELED, ids == 2], [UNKNOWN, 254], 0)
        return image, target

    def _ids(self, path: Path) -> U8:
        raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if raw is None or raw.dtype != np.uint8:
            raise InputError(f'{path}: expected an 8-bit picture')
        if raw.ndim == 2:
            if not self.classes.ids:
                raise InputError(f'{path}: expected colours of {self.classes.name}, got ids')
            return self.classes.apply_ids(raw)
        if not self.classes.colours:
            return self.classes.apply_ids(np.ascontiguousarray(raw[..., 2]))  # CARLA: tag in red
        rgb = np.ascontiguousarray(raw[..., 2::-1])
        unknown = self.classes.unknown_colours(rgb)
        if unknown:
            shown = ', '.join(str(c) for c in unknown[:5])
            raise InputError(
                f'{path}: {len(unknown)} colours that {self.classes.name} has not: {shown}'
            )
        return self.classes.apply_colours(rgb)


def _picture_size(path: Path) -> str:
    """Width x height from the file's header alone."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return f'{picture.width}x{picture.height}'
    except (UnidentifiedImageError, OSError):
        return 'unreadable'


def _raise_all(name: str, problems: list[str]) -> None:
    if problems:
        rest = len(problems) - MOST_SHOWN
        more = f'; and {rest} more' if rest > 0 else ''
        raise InputError(
            f'data set {name}: {len(problems)} problems: '
            + '; '.join(problems[:MOST_SHOWN])
            + more
        )


def _folder(name: str, path: Path) -> list[Path]:
    if not path.is_dir():
        raise InputError(f'data set {name}: {path}: no such folder')
    return list_images(path)


def palette_map(path: Path) -> ClassMap:
    """Class map of a capture's `classes.json`, in the predecessor's form or as a list.

    Raises `InputError` when it is missing, not JSON, or has neither a road nor a road line.
    """
    try:
        raw = json.loads(path.read_text(encoding='utf-8'))
        if isinstance(raw, dict):
            named = {str(n): tuple(c) for n, c in raw['class_num'].items()}
        else:
            named = {str(entry['name']): tuple(entry['color']) for entry in raw}
        colours: dict[Rgb, int] = {}
        for class_name, (red, green, blue) in named.items():
            plain = class_name.lower().replace('_', '')
            target = {'roadline': 2, 'roadlines': 2, 'road': 1, 'roads': 1}.get(plain, 0)
            colours[(int(red), int(green), int(blue))] = (
                UNLABELED if plain == 'unlabeled' else target
            )
    except OSError as error:
        raise InputError(f'{path}: {error.strerror}') from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f'{path}: expected class names with RGB colours') from None
    if not {1, 2} & set(colours.values()):
        raise InputError(f'{path}: expected a class Road or RoadLine, got {", ".join(named)}')
    return ClassMap(str(path), 1, LANE.names, colours=colours)


def carla_capture(name: str, root: Path, split: str, classes: str | None) -> PairedSet:
    """The predecessor's layout: `rgb/SPLIT/*.png`, `seg/SPLIT/*.png`, `classes.json`.

    `classes`: a class map by name for raw tags instead of colours.
    """
    table = load_class_map(classes) if classes else palette_map(root / 'classes.json')
    images = _folder(name, root / 'rgb' / split)
    pairs = tuple(Pair(p, root / 'seg' / split / f'{p.stem}.png') for p in images)
    return PairedSet(name, pairs, table, lines=True)


def tag_folder(name: str, root: Path, split: str, classes: str | None) -> PairedSet:
    """`images/*`, `labels/*.png` with codes of the class map `classes` (raw CARLA tags, say)."""
    if classes is None:
        raise ConfigError(f'data set {name}: expected class_map, e.g. carla_0_9_14')
    images = _folder(name, root / 'images')
    listing = root / split
    if split:
        if not listing.is_file():
            raise InputError(f'data set {name}: {listing}: no such split file')
        stems = {Path(line.strip()).stem for line in listing.read_text().splitlines() if line}
        images = [p for p in images if p.stem in stems]
    pairs = tuple(Pair(p, root / 'labels' / f'{p.stem}.png') for p in images)
    return PairedSet(name, pairs, load_class_map(classes), lines=True)


def cityscapes(name: str, root: Path, split: str, classes: str | None) -> PairedSet:
    """Cityscapes' official layout, read by torchvision; it knows road but no markings."""
    from torchvision.datasets import Cityscapes

    try:
        data = Cityscapes(str(root), split=split, mode='fine', target_type='semantic')
    except (RuntimeError, ValueError, OSError) as error:
        text = ' '.join(str(error).split())[:200]
        raise InputError(f'data set {name}: {root} is no Cityscapes: {text}') from None
    pairs = tuple(Pair(Path(i), Path(t[0])) for i, t in zip(data.images, data.targets))
    return PairedSet(name, pairs, load_class_map(classes or 'cityscapes'), lines=False)


def camvid(name: str, root: Path, split: str, classes: str | None) -> PairedSet:
    """CamVid: 32 colours (`images/*`, `labels/*_L.png`) or 11 ids (`train`, `trainannot`).

    The 11-class version (SegNet's) has markings inside road. Of the 32-colour version `split`
    names a text file beside the folders; without one all pictures are taken.
    """
    table = load_class_map(classes or 'camvid')
    if (root / f'{split}annot').is_dir():
        images = _folder(name, root / split)
        pairs = tuple(Pair(p, root / f'{split}annot' / f'{p.stem}.png') for p in images)
        return PairedSet(name, pairs, table, lines=False)
    images = _folder(name, root / 'images')
    listing = root / f'{split}.txt'
    if listing.is_file():
        stems = {Path(line.strip()).stem for line in listing.read_text().splitlines() if line}
        images = [p for p in images if p.stem in stems]
    pairs = tuple(Pair(p, root / 'labels' / f'{p.stem}_L.png') for p in images)
    return PairedSet(name, pairs, table, lines=True)


def bdd100k(name: str, root: Path, split: str, classes: str | None) -> PairedSet:
    """BDD100K semantic segmentation: `images/10k/SPLIT`, `labels/sem_seg/masks/SPLIT`."""
    images = _folder(name, root / 'images' / '10k' / split)
    labels = root / 'labels' / 'sem_seg' / 'masks' / split
    pairs = tuple(Pair(p, labels / f'{p.stem}.png') for p in images)
    return PairedSet(name, pairs, load_class_map(classes or 'bdd100k'), lines=False)


def comma10k(name: str, root: Path, split: str, classes: str | None) -> PairedSet:
    """comma10k: `imgs/*.png`, `masks/*.png`; by its custom names ending in 9 are `val`."""
    images = _folder(name, root / 'imgs')
    if split:
        images = [p for p in images if p.stem.endswith('9') == (split == 'val')]
    pairs = tuple(Pair(p, root / 'masks' / p.name) for p in images)
    return PairedSet(name, pairs, load_class_map(classes or 'comma10k'), lines=True)


LAYOUTS: dict[str, Callable[[str, Path, str, str | None], PairedSet]] = {
    'carla': carla_capture,
    'tags': tag_folder,
    'cityscapes': cityscapes,
    'camvid': camvid,
    'bdd100k': bdd100k,
    'comma10k': comma10k,
}


def open_layout(
    kind: str, name: str, root: Path, split: str | None, classes: str | None, limit: int | None
) -> PairedSet:
    """The set of a layout by name; `limit` takes that many pictures, evenly spread."""
    default = '' if kind in ('tags', 'comma10k') else 'train'
    paired = LAYOUTS[kind](name, root, split if split is not None else default, classes)
    if limit is not None and limit < len(paired.pairs):
        pick = np.linspace(0, len(paired.pairs) - 1, limit).round().astype(int)
        paired = replace(paired, pairs=tuple(paired.pairs[i] for i in pick))
    return paired
