"""Local clones of the data sources into the training layout.

`python training/gather.py CLONES -o DATA`: every clone in CLONES (a folder called NAME, OWNER/NAME
or OWNER+NAME) that `sources.yaml` knows becomes `DATA/<set>/images` and, where it has labels,
`labels/` (ids 0 background, 1 road, 2 lane marking, 255 unknown), `train.txt` and `val.txt`.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.class_map import load_class_map
from seg_node.errors import ConfigError, InputError
from seg_node.files import IMAGE_SUFFIXES, write_atomic, write_image
from seg_node.images.reading import read_bgr
from seg_node.progress import track
from seg_node_training.command import run_command
from seg_node_training.data.sources import (
    CocoPolygons,
    Codes,
    DataSource,
    Mapped,
    YoloPolygons,
    load_sources,
    page,
)

U8 = npt.NDArray[np.uint8]
WIDEST = 960
ALIKE = 4
"""Bits of 64 in which the difference hashes of two pictures that look alike differ at most."""


def find_clone(clones: Path, source: DataSource) -> Path | None:
    """The clone of `source` under `clones`; None where there is none."""
    owner, name = source.repository.split('/')
    places = (clones / owner / name, clones / f'{owner}+{name}', clones / name)
    return next((place for place in places if place.is_dir()), None)


def pictures_of(source: DataSource, clone: Path) -> Iterator[Path]:
    """The pictures of a source, folder by folder, in name order.

    Of the augmented variants in an export of Roboflow (`NAME.rf.HASH.jpg`) the first is taken.
    """
    photos = set()
    for pattern in source.pictures:
        for folder in sorted(p for p in clone.glob(pattern) if p.is_dir()):
            for path in sorted(folder.glob(source.only)):
                photo = path.parent, path.stem.split('.rf.')[0]
                if path.suffix.lower() in IMAGE_SUFFIXES and photo not in photos:
                    photos.add(photo)
                    yield path


def label_of(source: DataSource, image: Path, size: tuple[int, int]) -> U8 | None:
    """Ids uint8 (H, W) of a picture of `size` (H, W); None where its label is missing."""
    labels = source.labels
    if isinstance(labels, YoloPolygons):
        path = image.parent / labels.folder / f'{image.stem}.txt'
        return _polygons(_yolo(path, size), size, labels.id) if path.is_file() else None
    if isinstance(labels, CocoPolygons):
        path = image.parent / labels.file
        polygons = _coco(path).get(image.name) if path.is_file() else None
        return None if polygons is None else _polygons(polygons, size, labels.id)
    if isinstance(labels, Codes):
        stem = image.stem.replace(*labels.replace) if labels.replace else image.stem
        path = image.parent / labels.folder.format(folder=image.parent.name) / f'{stem}.png'
        plane = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        table = np.zeros(256, np.uint8)
        table[list(labels.codes)] = list(labels.codes.values())
        return None if plane is None else np.take(table, plane)
    if isinstance(labels, Mapped):
        path = image.parent / labels.folder / f'{image.stem}{labels.suffix}.png'
        colours = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if colours is None:
            return None
        return load_class_map(labels.class_map).apply_colours(
            np.ascontiguousarray(colours[..., ::-1], np.uint8)
        )
    return None


def _yolo(path: Path, size: tuple[int, int]) -> list[npt.NDArray[np.float64]]:
    scale = np.array([size[1], size[0]])
    rows = [line.split()[1:] for line in path.read_text().splitlines()]
    return [np.array(row, np.float64).reshape(-1, 2) * scale for row in rows if len(row) >= 6]


@functools.lru_cache(maxsize=4)  # one file describes all pictures of a folder
def _coco(path: Path) -> dict[str, list[npt.NDArray[np.float64]]]:
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        names = {entry['id']: entry['file_name'] for entry in raw['images']}
        by_image: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in names.values()}
        for entry in raw['annotations']:
            by_image[names[entry['image_id']]] += [
                np.array(points, np.float64).reshape(-1, 2) for points in entry['segmentation']
            ]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path}: not a COCO file ({type(error).__name__}: {error})') from None
    return by_image


def _polygons(polygons: list[npt.NDArray[np.float64]], size: tuple[int, int], code: int) -> U8:
    ids = np.zeros(size, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(ids, [polygon.round().astype(np.int32)], code)
    return ids


def difference_hash(picture: U8) -> int:
    """64 bits: whether each of 8x8 places is brighter than its right neighbour (Krawetz 2013)."""
    grey = cv2.cvtColor(
        cv2.resize(picture, (9, 8), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY
    )
    bits = (grey[:, :-1] > grey[:, 1:]).ravel()
    return int(np.packbits(bits).tobytes().hex(), 16)


def gather(source: DataSource, clone: Path, root: Path) -> int:
    """Write the set of one source under `root`; the number of pictures kept.

    Raises `InputError` when its clone has none of the folders.
    """
    out = root / source.path
    seen: list[int] = []
    splits: dict[str, list[str]] = {}
    for path in track(list(pictures_of(source, clone)), source.name):
        picture = read_bgr(path)
        size = (picture.shape[0], picture.shape[1])
        ids = label_of(source, path, size)
        if source.labels is not None and (ids is None or ids.shape != size):
            continue
        mark = difference_hash(picture)
        # A label of its own is worth keeping even where the pictures look alike.
        if source.labels is None and any((mark ^ other).bit_count() <= ALIKE for other in seen):
            continue
        seen.append(mark)
        stem = f'{len(seen):05d}_{path.stem}'
        _write(out, stem, picture, ids)
        if source.labels is not None:
            splits.setdefault(split_of(path.relative_to(clone)), []).append(stem)
    if not seen:
        raise InputError(f'{clone}: nothing of {source.name} in {", ".join(source.pictures)}')
    for name, stems in splits.items():
        with write_atomic(out / f'{name}.txt') as temporary:
            temporary.write_text('\n'.join(stems) + '\n', encoding='utf-8')
    return len(seen)


def split_of(path: Path) -> str:
    """`val` for a picture in a folder that its source calls val, valid or test, else `train`."""
    return 'val' if {'val', 'valid', 'test'} & set(path.parts[:-1]) else 'train'


def _write(out: Path, stem: str, picture: U8, ids: U8 | None) -> None:
    height, width = picture.shape[:2]
    if width > WIDEST:
        small = (WIDEST, round(height * WIDEST / width))
        picture = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8)
        if ids is not None:
            ids = np.asarray(cv2.resize(ids, small, interpolation=cv2.INTER_NEAREST), np.uint8)
    write_image(out / 'images' / f'{stem}.jpg', picture)
    if ids is not None:
        write_image(out / 'labels' / f'{stem}.png', ids)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog='gather.py', description=__doc__)
    parser.add_argument('clones', type=Path, nargs='?', help='folder of the clones')
    parser.add_argument('-o', '--out', type=Path, help='the data root')
    parser.add_argument('--page', type=Path, help='write the table of the sources, docs/data.md')
    return parser


def run(options: argparse.Namespace) -> None:
    """Do what the command line says; raises `SegNodeError`."""
    sources = load_sources()
    if options.page is not None:
        with write_atomic(options.page) as temporary:
            temporary.write_text(page(sources), encoding='utf-8')
        return
    if options.clones is None or options.out is None:
        raise ConfigError('gather: expected CLONES and -o DATA')
    if not options.clones.is_dir():
        raise InputError(f'{options.clones}: no such folder')
    there = [(s, c) for s in sources if (c := find_clone(options.clones, s)) is not None]
    for source, clone in there:
        print(f'{source.path}: {gather(source, clone, options.out)} pictures')
    missing = [s.repository for s in sources if s not in [source for source, _ in there]]
    if missing:
        print(f'no clone of: {", ".join(dict.fromkeys(missing))}')
    if not there:
        raise InputError(f'{options.clones}: no clone of any source')


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
