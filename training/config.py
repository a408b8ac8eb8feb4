"""Recipes: everything that a training run depends on, in one checked YAML file."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from seg_node.classes import LANE, LANE_TYPES, ClassSet
from seg_node.errors import ConfigError, problems_line
from seg_node_training.data.transforms.build import check_steps, from_strengths

REPOSITORY = Path(__file__).resolve().parents[1]
RECIPES = Path(__file__).resolve().parent / 'recipes'

MARKING = ClassSet(('background', 'lane_marking'), (LANE.colours[0], LANE.colours[2]))
"""The predecessor's task: one class."""

CLASS_SETS: dict[str, ClassSet] = {'lane': LANE, 'marking': MARKING, 'lane_types': LANE_TYPES}

Precision = Literal['auto', '32-true', 'bf16-mixed', '16-mixed']


class _Part(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class ModelPart(_Part):
    """Which network, with which options (`seg_node_training.models`)."""

    name: str = 'light_unet'
    options: dict[str, Any] = {}


class InputPart(_Part):
    """What the network sees: size in pixels, colour order, how a picture is fitted."""

    height: int = 288
    width: int = 512
    colour_order: Literal['bgr', 'rgb'] = 'bgr'
    resize: Literal['stretch', 'letterbox'] = 'stretch'
    interpolation: Literal['linear', 'area'] = 'linear'
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Of x / 255, in the colour order of the network."""


class SetPart(_Part):
    """One data set: where, what its labels know, how often it is drawn.

    `folder`: pictures and labels on disk (`data.folders`). `embedded`: `limit` frames of the
    embedded world. The others are layouts of published sets and captures (`data.layouts`),
    with `class_map` where the codes are not the layout's own."""

    name: str
    kind: Literal[
        'folder', 'embedded', 'carla', 'tags', 'cityscapes', 'camvid', 'bdd100k', 'comma10k'
    ] = 'folder'
    path: str = ''
    knows: str = 'ids'
    class_map: str | None = None
    towns: tuple[str, ...] = ()
    labels: Literal['lane', 'lane_types'] = 'lane'
    seed: int = 0
    split: str | None = None
    weight: float = Field(1.0, ge=0)
    domain: str = ''
    """Sets of one domain have their turn together (`DataPart.turns`)."""
    limit: int | None = Field(None, ge=1)
    licence: str = ''
    origin: str = ''


class DataPart(_Part):
    """`root` is relative to the repository; paths of the sets are relative to `root`."""

    root: str = '../shared/data'
    cache: str = 'out/cache'
    cache_height: int = 360
    cache_width: int = 640
    cache_resize: Literal['stretch', 'letterbox', 'crop'] | None = None
    """How pictures are brought to the cache's size; None: as `input.resize` says."""
    turns: int | None = Field(None, ge=1)
    """Batches from one domain before the next one has its turn; None mixes all in each batch."""
    train: tuple[SetPart, ...] = ()
    evaluate: tuple[SetPart, ...] = ()
    calibrate: tuple[SetPart, ...] = ()


class LossPart(_Part):
    """Weights of the terms of the loss (`seg_node_training.objective`).

    `l2` weighs the sum of the squared parameters; `class_weights` are those of `ce`.
    """

    bce: float = Field(0.0, ge=0)
    dice: float = Field(0.0, ge=0)
    ce: float = Field(0.0, ge=0)
    focal: float = Field(0.0, ge=0)
    tversky: float = Field(0.0, ge=0)
    lovasz: float = Field(0.0, ge=0)
    l2: float = Field(0.0, ge=0)
    class_weights: tuple[float, ...] | None = None

    def terms(self) -> dict[str, float]:
        """Weights by the name of the term."""
        names = ('bce', 'dice', 'ce', 'focal', 'tversky', 'lovasz')
        return {name: getattr(self, name) for name in names}


class OptimizerPart(_Part):
    """Optimizer and learning rate.

    Schedules, after a linear warm-up: `cosine` to `final_rate`; `exponential`: times `decay`
    every `period` epochs; `plateau`: times `decay` when the validation loss (the training loss
    where there are no evaluation sets) has not fallen for `patience` evaluations; `constant`.
    """

    name: Literal['adamw', 'adam', 'sgd', 'rmsprop'] = 'adamw'
    schedule: Literal['cosine', 'exponential', 'plateau', 'constant'] = 'cosine'
    decay: float = Field(0.95, gt=0, le=1)
    period: int = Field(1, ge=1)
    patience: int = Field(2, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    rate: float = Field(3e-3, gt=0)
    final_rate: float = Field(1e-5, ge=0)
    warmup_steps: int = Field(100, ge=0)
    weight_decay: float = 0.01
    clip_norm: float = 5.0


class LoopPart(_Part):
    """Length and rhythm of the run, in optimizer steps."""

    steps: int = Field(8000, ge=1)
    batch_size: int = Field(8, ge=1)
    steps_per_epoch: int = Field(250, ge=1)
    evaluate_every: int = Field(500, ge=1)
    evaluate_limit: int | None = Field(None, ge=1)
    """Pictures a set while training; `inference.py` and the model card take all."""
    precision: Precision = 'auto'
    """`auto`: bf16 where the hardware has it, fp16 on a GPU without, 32 bit else."""
    ema: float = 0.998
    workers: int = Field(1, ge=0)
    threads: int = Field(2, ge=1)
    seed: int = 0
    max_bad_batches: int = 20
    stop_after: int | None = Field(None, ge=1)
    """Evaluations without a lower validation loss after which the run ends early; epochs without
    a lower training loss where there are no evaluation sets."""
    deterministic: bool = False
    """Only algorithms that give the same bits each time (GPUs; on CPUs it is so anyway)."""


class Recipe(_Part):
    """A whole run. Saved beside its checkpoints and inside them."""

    name: str
    prefix_name: str = 'unet'
    classes: Literal['lane', 'marking', 'lane_types'] = 'lane'
    head: Literal['sigmoid', 'softmax'] = 'sigmoid'
    thresholds: tuple[int, ...] | None = None
    model: ModelPart = ModelPart()
    input: InputPart = InputPart()
    data: DataPart = DataPart()
    transforms: tuple[dict[str, dict[str, Any] | None], ...] = ()
    """What is done to a cached picture, in order (`data.transforms`)."""
    loss: LossPart = LossPart(bce=1.0, dice=1.0)
    optimizer: OptimizerPart = OptimizerPart()
    loop: LoopPart = LoopPart()

    @model_validator(mode='before')
    @classmethod
    def _steps_for_strengths(cls, raw: Any) -> Any:
        """Checkpoints of before have `augmentation:` instead of `transforms:`."""
        if isinstance(raw, dict) and isinstance(raw.get('augmentation'), dict):
            rest = {key: value for key, value in raw.items() if key != 'augmentation'}
            return {**rest, 'transforms': from_strengths(raw['augmentation'])}
        return raw

    @field_validator('transforms')
    @classmethod
    def _steps_are_known(cls, steps: Any) -> Any:
        faults = check_steps(steps)
        if faults:
            raise ValueError('; '.join(faults))
        return steps

    @property
    def class_set(self) -> ClassSet:
        """Names and colours of the classes."""
        return CLASS_SETS[self.classes]

    @property
    def outputs(self) -> int:
        """Logit planes of the network."""
        return len(self.class_set) - (1 if self.head == 'sigmoid' else 0)


def resolve(path: str, root: Path = REPOSITORY) -> Path:
    """`path`, relative ones against `root`."""
    given = Path(path).expanduser()
    return given if given.is_absolute() else (root / given).resolve()


def load_recipe(name_or_path: str) -> Recipe:
    """A recipe by a shipped name or from a YAML file; `ConfigError` lists all faults."""
    path = Path(name_or_path)
    if path.suffix not in ('.yaml', '.yml'):
        path = RECIPES / f'{name_or_path}.yaml'
    if not path.is_file():
        known = ', '.join(sorted(p.stem for p in RECIPES.glob('*.yaml')))
        raise ConfigError(f'recipe {name_or_path}: expected a .yaml file or one of {known}')
    try:
        raw = yaml.safe_load(path.read_text(encoding='utf-8'))
    except yaml.YAMLError as error:
        raise ConfigError(f'recipe {path}: not YAML: {str(error).splitlines()[0]}') from None
    return parse_recipe(raw, str(path))


def parse_recipe(raw: Any, subject: str) -> Recipe:
    """Check a mapping; `subject` names it in the error."""
    if not isinstance(raw, dict):
        raise ConfigError(f'recipe {subject}: expected a mapping, got {type(raw).__name__}')
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        lines = [_fault(dict(e)) for e in error.errors()]
        raise ConfigError(problems_line(f'recipe {subject}', lines)) from None


def _fault(error: dict[str, Any]) -> str:
    where = '.'.join(str(part) for part in error['loc'])
    if error['type'] == 'value_error':
        return f'{where}: {error["ctx"]["error"]}'
    if error['type'] != 'extra_forbidden':
        return f'{where}: {error["msg"].lower()}, got {error["input"]!r}'
    keys = _keys_at(error['loc'][:-1])
    near = difflib.get_close_matches(str(error['loc'][-1]), keys, 1, 0.5)
    hint = f', did you mean {near[0]}?' if near else f', expected one of {", ".join(keys)}'
    return f'{where}: unknown key{hint}'


def _keys_at(location: tuple[Any, ...]) -> list[str]:
    """Valid keys of the part of a recipe that `location` leads to."""
    model: type[BaseModel] = Recipe
    for step in location:
        if isinstance(step, int):
            continue
        annotation = model.model_fields[step].annotation
        parts = [annotation, *getattr(annotation, '__args__', ())]
        model = next(p for p in parts if isinstance(p, type) and issubclass(p, BaseModel))
    return list(model.model_fields)
