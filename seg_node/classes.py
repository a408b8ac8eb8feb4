"""Class ids, colours, and the versioned class maps from other data sets' codes to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.errors import ConfigError, problems_line

UNLABELED = 255
"""Id of pixels without a label; ignored everywhere."""

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class ClassSet:
    """Class names and RGB colours in id order; id 0 is the background."""

    names: tuple[str, ...]
    colours: tuple[Rgb, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.colours) or len(self.names) < 2:
            raise ConfigError(
                f'class set: expected a colour for each of at least 2 classes, '
                f'got {len(self.names)} names and {len(self.colours)} colours'
            )

    def __len__(self) -> int:
        return len(self.names)

    def id_of(self, name: str) -> int:
        """Id of the class `name`; raises `ConfigError` when there is none of that name."""
        if name not in self.names:
            raise ConfigError(f'class {name!r}: expected one of {", ".join(self.names)}')
        return self.names.index(name)

    @cached_property
    def palette_bgr(self) -> npt.NDArray[np.uint8]:
        """uint8 (256, 3): BGR colour of every id; black for ids without a class."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self)] = np.asarray(self.colours, np.uint8)[:, ::-1]
        return table

    def colourize(self, mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Paint `mask` (uint8 (H, W), class ids) as uint8 (H, W, 3) BGR."""
        return np.take(self.palette_bgr, mask, axis=0)


LANE = ClassSet(
    ('background', 'road', 'lane_marking'), ((0, 0, 0), (128, 64, 128), (157, 234, 50))
)
"""The lane model's classes; colours as CARLA's palette."""

LANE_TYPES = ClassSet(
    ('background', 'ego_lane', 'other_lane', 'double_line', 'dashed_line', 'single_line'),
    ((0, 0, 0), (0, 128, 0), (128, 64, 128), (255, 160, 0), (255, 255, 0), (255, 255, 255)),
)
"""The lane-type model's six classes."""


@dataclass(frozen=True)
class ClassMap:
    """From another data set's codes (ids or colours) to our class ids.

    `ids` maps raw ids, `colours` RGB colours; `default` is what every other code becomes.
    """

    name: str
    version: int
    target: tuple[str, ...]
    ids: dict[int, int] = field(default_factory=dict)
    colours: dict[Rgb, int] = field(default_factory=dict)
    default: int = 0
    notes: str = ''

    @cached_property
    def _table(self) -> npt.NDArray[np.uint8]:
        table = np.full(256, self.default, np.uint8)
        for raw, mapped in self.ids.items():
            table[raw] = mapped
        return table

    def apply_ids(self, raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Map uint8 (H, W) raw ids to uint8 (H, W) class ids."""
        return np.take(self._table, raw)

    def apply_colours(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Map uint8 (H, W, 3) RGB colours to uint8 (H, W) class ids."""
        red, green, blue = (rgb[..., i].astype(np.int32) for i in range(3))
        code = (red << 16) | (green << 8) | blue
        mapped = np.full(code.shape, self.default, np.uint8)
        for (r, g, b), target in self.colours.items():
            mapped[code == ((r << 16) | (g << 8) | b)] = target
        return mapped

    def unknown_colours(self, rgb: npt.NDArray[np.uint8]) -> list[Rgb]:
        """Colours of uint8 (H, W, 3) RGB `rgb` that the map does not list, most frequent first."""
        flat, counts = np.unique(rgb.reshape(-1, 3), axis=0, return_counts=True)
        found = ((int(n), (int(c[0]), int(c[1]), int(c[2]))) for c, n in zip(flat, counts))
        return [colour for _, colour in sorted(found, reverse=True) if colour not in self.colours]


_SHIPPED_MAPS = Path(__file__).parent / 'class_maps'


def class_map_names() -> tuple[str, ...]:
    """Names of the class maps that come with the package."""
    folder = _SHIPPED_MAPS
    return tuple(sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith('.yaml')))


def load_class_map(name_or_path: str | Path) -> ClassMap:
    """Load a class map by the name of a shipped one, or from a YAML file.

    Raises `ConfigError` that lists every problem of the file at once.
    """
    path = Path(name_or_path)
    if path.suffix in ('.yaml', '.yml'):
        if not path.is_file():
            raise ConfigError(f'class map {path}: no such file')
        text = path.read_text(encoding='utf-8')
    elif str(name_or_path) in class_map_names():
        text = (_SHIPPED_MAPS / f'{path.name}.yaml').read_text('utf-8')
    else:
        known = ', '.join(class_map_names())
        raise ConfigError(f'class map {name_or_path}: expected a .yaml file or one of {known}')
    return _parse(str(name_or_path), text)


def _parse(subject: str, text: str) -> ClassMap:
    import yaml  # only those who read labels need it: a node starts faster without

    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f'class map {subject}: not YAML: {str(error).splitlines()[0]}') from None
    if not isinstance(raw, dict):
        raise ConfigError(f'class map {subject}: expected a mapping, got {type(raw).__name__}')
    problems: list[str] = []
    known = {'name', 'version', 'target', 'ids', 'colours', 'default', 'notes'}
    problems += [f'unknown key {key!r}' for key in raw if key not in known]
    target = raw.get('target')
    if not isinstance(target, list) or len(target) < 2:
        problems.append(f'target: expected a list of at least 2 class names, got {target!r}')
        target = []
    values: dict[str, int] = {str(n): i for i, n in enumerate(target)}
    values['unlabeled'] = UNLABELED

    def resolve(where: str, name: Any) -> int:
        if not isinstance(name, str) or name not in values:
            problems.append(f'{where}: expected one of {", ".join(values)}, got {name!r}')
            return UNLABELED
        return values[name]

    def pairs(key: str) -> Iterable[tuple[Any, Any]]:
        found = raw.get(key) or {}
        if isinstance(found, dict):
            return found.items()
        problems.append(f'{key}: expected a mapping from codes to classes, got {found!r}')
        return ()

    version = raw.get('version', 1)
    if not isinstance(version, int):
        problems.append(f'version: expected a number, got {version!r}')
    ids = {}
    for code, name in pairs('ids'):
        if type(code) is not int or not 0 <= code <= 255:
            problems.append(f'ids: expected ids from 0 to 255, got {code!r}')
            continue
        ids[code] = resolve(f'ids[{code}]', name)
    colours: dict[Rgb, int] = {}
    for code, name in pairs('colours'):
        parts = str(code).split(',')
        if len(parts) != 3 or not all(p.strip().isdigit() and int(p) < 256 for p in parts):
            problems.append(f"colours: expected 'r,g,b' from 0 to 255, got {code!r}")
            continue
        colours[(int(parts[0]), int(parts[1]), int(parts[2]))] = resolve(f'colours[{code}]', name)
    if not ids and not colours:
        problems.append('expected ids or colours, got neither')
    default = resolve('default', raw.get('default', target[0] if target else 'unlabeled'))
    if problems:
        raise ConfigError(problems_line(f'class map {subject}', problems))
    return ClassMap(
        name=str(raw.get('name', subject)),
        version=version,
        target=tuple(str(n) for n in target),
        ids=ids,
        colours=colours,
        default=default,
        notes=str(raw.get('notes', '')),
    )
