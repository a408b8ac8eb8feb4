"""The versioned class maps from other data sets' codes to our class ids, and their files."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from seg_node.classes import UNLABELED, Rgb
from seg_node.errors import ConfigError, problems_line, validation_problems
from seg_node.yaml_files import read_mapping


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

    @cached_property
    def colour_table(self) -> npt.NDArray[np.uint8]:
        """uint8 (2^24): class id of every colour, indexed by 0xRRGGBB."""
        table = np.full(1 << 24, self.default, np.uint8)
        for (red, green, blue), target in self.colours.items():
            table[red << 16 | green << 8 | blue] = target
        return table

    def apply_colours(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Map uint8 (H, W, 3) RGB colours to uint8 (H, W) class ids."""
        red, green, blue = (rgb[..., i].astype(np.uint32) for i in range(3))
        return np.take(self.colour_table, red << 16 | green << 8 | blue)

    def unknown_colours(self, rgb: npt.NDArray[np.uint8]) -> list[Rgb]:
        """Colours of uint8 (H, W, 3) RGB `rgb` that the map does not list, most frequent first."""
        flat, counts = np.unique(rgb.reshape(-1, 3), axis=0, return_counts=True)
        counted = ((int(n), (int(c[0]), int(c[1]), int(c[2]))) for c, n in zip(flat, counts))
        return [
            colour for _, colour in sorted(counted, reverse=True) if colour not in self.colours
        ]


def _colour(code: Any) -> Any:
    parts = [part.strip() for part in code.split(',')] if isinstance(code, str) else []
    if len(parts) != 3 or not all(part.isdigit() and int(part) < 256 for part in parts):
        raise ValueError(f"expected 'r,g,b' from 0 to 255, got {code!r}")
    return tuple(map(int, parts))


def _known_class(name: str, info: ValidationInfo) -> str:
    known = (*info.data.get('target', ()), 'unlabeled')
    if 'target' in info.data and name not in known:
        raise ValueError(f'expected one of {", ".join(known)}, got {name!r}')
    return name


_RawId = Annotated[int, Strict(), Field(ge=0, le=255)]
_Colour = Annotated[Rgb, BeforeValidator(_colour)]
_Class = Annotated[str, AfterValidator(_known_class)]


class _ClassMapFile(BaseModel):
    """What a class map's YAML file holds; `unlabeled` is a class of every target."""

    model_config = ConfigDict(extra='forbid', frozen=True)
    name: str = ''
    version: Annotated[int, Strict()] = 1
    target: tuple[str, ...] = Field(min_length=2)
    ids: dict[_RawId, _Class] | None = None
    colours: dict[_Colour, _Class] | None = None
    default: _Class | None = None
    notes: str = ''

    @model_validator(mode='after')
    def _maps_something(self) -> _ClassMapFile:
        if not self.ids and not self.colours:
            raise ValueError('expected ids or colours, got neither')
        return self

    def class_map(self, name: str) -> ClassMap:
        """The map, called `name` where the file does not say."""
        number = {'unlabeled': UNLABELED} | {label: i for i, label in enumerate(self.target)}
        return ClassMap(
            name=self.name or name,
            version=self.version,
            target=self.target,
            ids={code: number[label] for code, label in (self.ids or {}).items()},
            colours={code: number[label] for code, label in (self.colours or {}).items()},
            default=number[self.default or self.target[0]],
            notes=self.notes,
        )


_SHIPPED_MAPS = Path(__file__).parent / 'class_maps'


def class_map_names() -> tuple[str, ...]:
    """Names of the class maps that come with the package."""
    return tuple(sorted(p.stem for p in _SHIPPED_MAPS.glob('*.yaml')))


def load_class_map(name_or_path: str | Path) -> ClassMap:
    """Load a class map by the name of a shipped one, or from a YAML file.

    Raises `ConfigError` that lists every problem of the file at once.
    """
    path = Path(name_or_path)
    if path.suffix in ('.yaml', '.yml'):
        if not path.is_file():
            raise ConfigError(f'class map {path}: no such file')
        file = path
    elif str(name_or_path) in class_map_names():
        file = _SHIPPED_MAPS / f'{path.name}.yaml'
    else:
        known = ', '.join(class_map_names())
        raise ConfigError(f'class map {name_or_path}: expected a .yaml file or one of {known}')
    subject = f'class map {name_or_path}'
    try:
        return _ClassMapFile.model_validate(read_mapping(file, subject)).class_map(path.stem)
    except ValidationError as error:
        problems = validation_problems(error, model=_ClassMapFile)
        raise ConfigError(problems_line(subject, problems)) from None
