"""The sources of training data: what they are, and docs/data.md, which is written from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from seg_node.errors import ConfigError, problems_line, validation_problems

SOURCES = Path(__file__).resolve().parent / 'sources.yaml'


class _SourcePart(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class YoloPolygons(_SourcePart):
    """A text file a picture, a polygon a line, in shares of the picture: class x y x y ..."""

    kind: Literal['yolo_polygons']
    folder: str
    id: int


class CocoPolygons(_SourcePart):
    """One COCO file in the folder of the pictures; every polygon in it becomes `id`."""

    kind: Literal['coco_polygons']
    file: str
    id: int


class Codes(_SourcePart):
    """A label picture a picture; `codes` maps its values, all others become 0.

    `folder` is relative to that of the pictures, `{folder}` is its name. `replace`: what in the
    picture's stem becomes what in the label's.
    """

    kind: Literal['codes']
    folder: str
    codes: dict[int, int]
    replace: tuple[str, str] | None = None


class Mapped(_SourcePart):
    """A label picture a picture, in the colours or ids of a shipped class map."""

    kind: Literal['class_map']
    folder: str
    class_map: str
    suffix: str = ''


Labels = Annotated[YoloPolygons | CocoPolygons | Codes | Mapped, Field(discriminator='kind')]


class DataSource(_SourcePart):
    """One source: a GitHub repository, folders of it, and what may be done with them."""

    name: str
    path: str
    """Where it goes under the data root; what recipes name."""
    repository: str
    commit: str
    pictures: tuple[str, ...]
    only: str = '*'
    labels: Labels | None = None
    knows: str = ''
    licence: str
    stated: str
    ship: bool


def load_sources(path: Path = SOURCES) -> tuple[DataSource, ...]:
    """The sources in a YAML file. Raises `ConfigError` that lists every fault."""
    try:
        raw = yaml.safe_load(path.read_text(encoding='utf-8'))
        return tuple(TypeAdapter(list[DataSource]).validate_python(raw))
    except ValidationError as error:
        raise ConfigError(problems_line(str(path), validation_problems(error))) from None


def page(sources: tuple[DataSource, ...]) -> str:
    """docs/data.md."""
    rows = [
        f'| `{s.path}` | [{s.repository}](https://github.com/{s.repository}) @ `{s.commit[:12]}` '
        f'| {", ".join(f"`{folder}`" for folder in s.pictures)} | {s.knows or "–"} | {s.licence} '
        f'| {s.stated} | {"yes" if s.ship else "**no**, evaluation only"} |'
        for s in sources
    ]
    return '\n'.join([*HEAD, *rows, *FOOT, ''])


HEAD = [
    '# Data',
    '',
    'No picture is in this repository. Each set below is made from a local clone of its source:',
    '',
    '```',
    'git clone https://github.com/OWNER/NAME clones/NAME        # as many of them as you want',
    'python training/gather.py clones -o data                  # to the training layout',
    'python training/label.py data/unlabelled/SET --teacher X  # where a source has no labels',
    'python training/train.py F --config RECIPE                # whose data.root is that folder',
    '```',
    '',
    '`gather.py` takes what it finds, and names what it does not. Pictures are at most 960 pixels',
    'wide; of unlabelled ones that look alike (difference hashes of 64 bits, at most 4 apart) the',
    'first is kept, and one of the augmented variants that Roboflow exports of a photo. The',
    'embedded world (`kind: embedded`) is rendered by `sim/` and needs nothing.',
    '',
    '| set | repository, commit | folders | labels know | licence | where stated '
    '| weights may ship |',
    '|---|---|---|---|---|---|---|',
]
FOOT = [
    '',
    'Faces and number plates are not blurred in several of these: keep the pictures out of what',
    'you publish. The list is `training/seg_node_training/data/sources.yaml`; this page is',
    'written by `python training/gather.py --page docs/data.md`.',
]
