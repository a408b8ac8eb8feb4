"""Label a folder of pictures by a teacher: `python training/label.py FOLDER --teacher X.onnx`.

FOLDER has its pictures in `images/` (or directly, with `-o`). The soft answers are written beside
them as `teacher2_road/` and `teacher2_mark/`, 8-bit PNG, probability x 255, at most 896 wide: what
a set with `knows: soft` is trained on.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.errors import InputError
from seg_node.files import list_images, write_image
from seg_node.images.reading import read_bgr
from seg_node.progress import track
from seg_node_training.command import run_command
from seg_node_training.teach.teacher import Teacher, open_teacher

U8 = npt.NDArray[np.uint8]
WIDEST = 896
"""Widest answer, in pixels: a teacher sees no more, and soft edges enlarge without loss."""


def stored(plane: U8) -> U8:
    """A soft plane, uint8 (H, W), as it is kept: at most `WIDEST` wide, in 16 levels."""
    height, width = plane.shape
    if width > WIDEST:
        size = (WIDEST, round(height * WIDEST / width))
        plane = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    levels = np.round(plane.astype(np.float32) / 17) * 17
    return levels.astype(np.uint8)


def label_folder(folder: Path, teacher: Teacher, out: Path, prefix: str = 'teacher2') -> int:
    """Write the answers for every picture of `folder/images` (or `folder`) into `out`.

    Pictures are copied into `out/images` where that is not where they lie; answers that are there
    are kept, so that an interrupted run goes on. Returns the number of pictures.
    """
    images = folder / 'images' if (folder / 'images').is_dir() else folder
    if not images.is_dir():
        raise InputError(f'{folder}: no such folder')
    paths = list_images(images)
    elsewhere = images.resolve() != (out / 'images').resolve()
    if elsewhere:
        (out / 'images').mkdir(parents=True, exist_ok=True)
    for path in track(paths, f'label {folder.name}'):
        if elsewhere:
            shutil.copyfile(path, out / 'images' / path.name)
        targets = [out / f'{prefix}_{kind}' / f'{path.stem}.png' for kind in ('road', 'mark')]
        if all(target.is_file() for target in targets):
            continue
        answer = teacher(read_bgr(path))
        kept = targets if teacher.knows_markings else targets[:1]
        for plane, target in zip(answer, kept):
            write_image(target, stored(plane))
    return len(paths)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog='label.py', description=__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--teacher', type=Path, help='.onnx or .xml; default: the best that ships')
    parser.add_argument('--sidecar', type=Path, help='description of an .xml teacher')
    parser.add_argument('-o', '--out', type=Path, help='default: FOLDER itself')
    parser.add_argument('--prefix', default='teacher2', help='of the folders of answers')
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says; raises `SegNodeError`."""
    folder: Path = arguments.folder
    if arguments.out is None and not (folder / 'images').is_dir():
        raise InputError(f'{folder}: no folder images/ in it; give -o OUT for loose pictures')
    out = arguments.out or folder
    teacher = open_teacher(arguments.teacher, arguments.sidecar)
    count = label_folder(folder, teacher, out, arguments.prefix)
    print(f'{out}: {count} pictures labelled by {teacher.name}')


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
