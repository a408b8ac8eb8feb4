"""Ground truth of a frame: what a label image means, found out or told, and read fast."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.class_map import ClassMap, class_map_names, load_class_map
from seg_node.classes import LANE, LANE_TYPES, UNLABELED
from seg_node.errors import ConfigError, InputError
from seg_node.images.frames import Frame
from seg_node.joining import nearest
from seg_node.label_check import LabelValues, label_problem

Array = npt.NDArray[np.uint8]
CodeChannel = Literal['mono', 'red', 'colours']
"""Where the code of a pixel stands: one channel, CARLA's red channel, or all three as a colour."""
PLAIN_MAPS = {'ids': LANE, 'lane_types': LANE_TYPES}
"""Names for labels that are class ids already."""


@dataclass(frozen=True)
class Coding:
    """How label pictures are read: `class_map` applied to `channel`; `how` says who chose it."""

    class_map: ClassMap
    channel: CodeChannel
    how: str

    def then(self, table: Array) -> Coding:
        """This coding followed by `table`, uint8 (256), from class ids to others."""
        chosen = self.class_map
        return replace(
            self,
            class_map=replace(
                chosen,
                ids={code: int(table[i]) for code, i in chosen.ids.items()},
                colours={code: int(table[i]) for code, i in chosen.colours.items()},
                default=int(table[chosen.default]),
            ),
        )

    @cached_property
    def _ids(self) -> Array:
        return self.class_map.apply_ids(np.arange(256, dtype=np.uint8))

    def labels(self, frame: Frame) -> Array:
        """uint8 (H, W), class ids of a label picture. Raises `InputError` for another kind."""
        if self.channel == 'colours':
            if frame.pixels.ndim == 2:
                raise InputError('ground truth: expected colours, got one channel')
            return np.take(self.class_map.colour_table, _codes(frame))
        return np.asarray(cv2.LUT(_plane(frame, self.channel), self._ids), np.uint8)

    @property
    def produced(self) -> frozenset[int]:
        """The class ids that this coding can give, without `UNLABELED`."""
        source = (
            self.class_map.colours.values()
            if self.channel == 'colours'
            else self.class_map.ids.values()
        )
        return frozenset({*source, self.class_map.default} - {UNLABELED})


def _plane(frame: Frame, channel: CodeChannel) -> Array:
    if frame.pixels.ndim == 2:
        return np.ascontiguousarray(frame.pixels)
    index = 0 if frame.order.startswith('rgb') or channel == 'mono' else 2
    return np.ascontiguousarray(frame.pixels[..., index])


def _codes(frame: Frame) -> npt.NDArray[np.uint32]:
    """uint32 (H, W): 0xRRGGBB of every pixel."""
    convert = {
        'bgr': cv2.COLOR_BGR2BGRA,
        'rgb': cv2.COLOR_RGB2BGRA,
        'rgba': cv2.COLOR_RGBA2BGRA,
    }.get(frame.order)
    pixels = frame.pixels if convert is None else cv2.cvtColor(frame.pixels, convert)
    packed = np.ascontiguousarray(pixels, np.uint8).view('<u4')[..., 0]
    codes: npt.NDArray[np.uint32] = packed & np.uint32(0xFFFFFF)
    return codes


def choose_coding(name: str, samples: Sequence[Frame]) -> Coding:
    """The coding that `name` asks for, or that `samples` of the labels show when it is `auto`.

    `name`: `auto`, `ids`, `lane_types`, a shipped class map or a YAML file. Raises `ConfigError`
    for an unknown name, `InputError` when the samples fit nothing.
    """
    if name == 'auto':
        return _detect(samples)
    coloured = _coloured(samples)
    if name in PLAIN_MAPS:
        return Coding(_plain(name), 'mono', f'{name}: chosen')
    if not name.endswith(('.yaml', '.yml')) and name not in class_map_names():
        known = ', '.join(('auto', *PLAIN_MAPS, *class_map_names()))
        raise ConfigError(f'--class-map {name}: expected a .yaml file or one of {known}')
    chosen = load_class_map(name)
    how = f'{chosen.name} version {chosen.version}: chosen'
    if chosen.colours and (coloured or not chosen.ids):
        return Coding(chosen, 'colours', how)
    return Coding(chosen, 'red' if _red_only(samples) else 'mono', how)


def _plain(name: str) -> ClassMap:
    names = PLAIN_MAPS[name].names
    ids = {i: i for i in range(len(names))} | {UNLABELED: UNLABELED}
    return ClassMap(name, 1, names, ids=ids, default=UNLABELED)


def _detect(samples: Sequence[Frame]) -> Coding:
    if not samples:
        raise InputError('ground truth: no picture to find the class map by; give --class-map')
    if _coloured(samples) and not _red_only(samples):
        return _detect_colours(samples)
    channel: CodeChannel = 'red' if _red_only(samples) else 'mono'
    planes = [_plane(frame, channel) for frame in samples]
    counts = np.sum([np.bincount(p.ravel(), minlength=256) for p in planes], axis=0)
    present = [int(i) for i in np.flatnonzero(counts)]
    seen = f'ids seen: {_listed(present)}'
    if set(present) <= {0, 1, 2, UNLABELED}:
        problem = label_problem(LabelValues.of(planes), LANE.names, (1, 2))
        if problem:
            raise InputError(f'ground truth: {problem} (--class-map)')
        return Coding(_plain('ids'), channel, f'ids: detected ({seen})')
    # Tags of CARLA: what fills the lower half of the picture is road, 7 in one numbering and 1
    # in the other; 24 to 28 exist in the newer one only.
    lower = np.sum([np.bincount(p[p.shape[0] // 2 :].ravel(), minlength=256) for p in planes], 0)
    area = max(int(lower.sum()), 1)
    old, new = lower[[6, 7]].sum() / area, lower[[1, 24]].sum() / area
    if max(present) <= 28 and max(old, new) > 0.05:
        newer = new > old or max(present) > 22
        name = 'carla_0_9_14' if newer else 'carla_0_9_13'
        share = new if newer else old
        why = f'its road tags cover {share:.0%} of the lower half; {seen}'
        return Coding(load_class_map(name), channel, f'{name}: detected ({why})')
    raise InputError(f'ground truth: no class map fits ({seen}); give --class-map')


def _detect_colours(samples: Sequence[Frame]) -> Coding:
    """The palette that knows the largest share of the pixels, if that is nearly all of them."""
    codes, counts = np.unique(
        np.concatenate([_codes(frame).ravel() for frame in samples]), return_counts=True
    )
    best: tuple[float, str] = (0.0, '')
    for name in class_map_names():
        known = [r << 16 | g << 8 | b for r, g, b in load_class_map(name).colours]
        share = float(counts[np.isin(codes, known)].sum() / counts.sum())
        best = max(best, (share, name))
    share, name = best
    if share < 0.98:
        raise InputError(
            f'ground truth: no palette fits (best: {name or "none"}, {share:.0%} of the pixels); '
            'give --class-map'
        )
    how = f'{name}: detected (knows {share:.1%} of the pixels)'
    return Coding(load_class_map(name), 'colours', how)


def _coloured(samples: Sequence[Frame]) -> bool:
    def has_colour(frame: Frame) -> bool:
        pixels = frame.pixels
        if pixels.ndim == 2:
            return False
        return bool(
            np.any(pixels[..., 0] != pixels[..., 1]) or np.any(pixels[..., 1] != pixels[..., 2])
        )

    return any(has_colour(frame) for frame in samples)


def _red_only(samples: Sequence[Frame]) -> bool:
    """Whether the labels are colour pictures with nothing but small numbers in red (CARLA raw)."""

    def red(frame: Frame) -> bool:
        if frame.pixels.ndim == 2:
            return False
        blue = 2 if frame.order.startswith('rgb') else 0
        others = np.any(frame.pixels[..., blue]) or np.any(frame.pixels[..., 1])
        return not others and int(_plane(frame, 'red').max()) <= 40

    return bool(samples) and all(red(frame) for frame in samples)


def _listed(ids: Sequence[int]) -> str:
    return ', '.join(map(str, ids[:12])) + (' …' if len(ids) > 12 else '')


@dataclass(frozen=True)
class LabelFolder:
    """PNGs named by stamp (`<ns>`, `<s>.<ns>`, `<s>_<ns>`) or by frame number (`…_000012`)."""

    folder: Path
    by_stamp: tuple[tuple[int, str], ...]
    by_number: tuple[tuple[int, str], ...]

    @classmethod
    def open(cls, folder: Path) -> LabelFolder:
        """List the folder. Raises `InputError` when no name in it tells a frame."""
        stamps: dict[int, str] = {}
        numbers: dict[int, str] = {}
        for path in sorted(folder.glob('*.png')):
            stamp = _stamp_of(path.stem)
            if stamp is not None:
                stamps[stamp] = path.name
            elif digits := re.search(r'(\d+)$', path.stem):
                numbers[int(digits[1])] = path.name
        if not stamps and not numbers:
            raise InputError(
                f'ground truth {folder}: expected PNGs named by stamp or frame number, found none'
            )
        return cls(folder, tuple(sorted(stamps.items())), tuple(sorted(numbers.items())))

    def __len__(self) -> int:
        return len(self.by_stamp) + len(self.by_number)

    @cached_property
    def _stamps(self) -> dict[int, str]:
        return dict(self.by_stamp)

    @cached_property
    def _in_order(self) -> list[int]:
        return sorted(self._stamps)

    @cached_property
    def _numbers(self) -> dict[int, str]:
        return dict(self.by_number)

    def find(self, stamps: Sequence[int], number: int, tolerance: int) -> Path | None:
        """The label picture of a frame: by one of its `stamps`, else by its number."""
        for stamp in stamps:
            nearest_stamp = nearest(self._in_order, stamp, tolerance)
            if nearest_stamp is not None:
                return self.folder / self._stamps[nearest_stamp]
        name = self._numbers.get(number)
        return None if name is None else self.folder / name

    def read(self, path: Path) -> Frame:
        """The label picture. Raises `InputError` when it cannot be read."""
        return read_label(path)

    def samples(self, count: int) -> list[Frame]:
        """Some pictures, evenly over the folder, to find the class map by."""
        names = [name for _, name in (*self.by_stamp, *self.by_number)]
        step = max(1, len(names) // count)
        return [read_label(self.folder / name) for name in names[::step][:count]]


def read_label(path: Path) -> Frame:
    """A label PNG as it is, 8 bit. Raises `InputError`."""
    pixels: Any = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint8:
        kind = 'not readable' if pixels is None else str(pixels.dtype)
        raise InputError(f'ground truth {path}: expected an 8-bit PNG, got {kind}')
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return Frame(pixels, {1: 'mono', 3: 'bgr', 4: 'bgra'}[channels])  # type: ignore[arg-type]


def _stamp_of(stem: str) -> int | None:
    if match := re.fullmatch(r'(\d{1,11})[._](\d{9})', stem):
        return int(match[1]) * 10**9 + int(match[2])
    return int(stem) if re.fullmatch(r'\d{15,19}', stem) else None
