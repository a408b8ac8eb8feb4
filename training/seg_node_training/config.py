"""Recipes: everything that a training run depends on, in one checked YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from seg_node.classes import LANE, LANE_TYPES, ClassSet
from seg_node.errors import ConfigError, first_line, problems_line, validation_problems
from seg_node_training.data.transforms.build import AnyStep, from_strengths

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPES = Path(__file__).resolve().parent / 'recipes'

MARKING = ClassSet(('background', 'lane_marking'), (LANE.colours[0], LANE.colours[2]))
"""The predecessor's task: one class."""

CLASS_SETS: dict[str, ClassSet] = {'lane': LANE, 'marking': MARKING, 'lane_types': LANE_TYPES}

LoopPrecision = Literal['auto', '32-true', 'bf16-mixed', '16-mixed']


class _RecipePart(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class ModelPart(_RecipePart):
    """Which network, with which options (`seg_node_training.models`)."""

    name: str = 'light_unet'
    options: dict[str, Any] = {}


class InputPart(_RecipePart):
    """What the network sees: size in pixels, colour order, how a picture is fitted."""

    height: int = 288
    width: int = 512
    colour_order: Literal['bgr', 'rgb'] = 'bgr'
    resize: Literal['stretch', 'letterbox'] = 'stretch'
    interpolation: Literal['linear', 'area'] = 'linear'
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Of x / 255, in the colour order of the network."""


class SetPart(_RecipePart):
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
    looks: int = Field(1, ge=1)
    """Of `embedded`: how many looks (asphalt, kerbs, houses) each town has; each takes seconds."""
    labels: Literal['lane', 'lane_types'] = 'lane'
    seed: int = 0
    split: str | None = None
    weight: float = Field(1.0, ge=0)
    domain: str = ''
    """Sets of one domain have their turn together (`DataPart.turns`)."""
    limit: int | None = Field(None, ge=1)
    licence: str = ''
    origin: str = ''


class DataPart(_RecipePart):
    """`root` is relative to the recipe's file where it is there, else to the repository; paths of
    the sets are relative to `root`."""

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


class LossPart(_RecipePart):
    """Weights of the terms of the loss (`seg_node_training.train.objective`).

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


class OptimizerPart(_RecipePart):
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


class LoopPart(_RecipePart):
    """Length and rhythm of the run, in optimizer steps."""

    steps: int = Field(8000, ge=1)
    batch_size: int = Field(8, ge=1)
    steps_per_epoch: int = Field(250, ge=1)
    evaluate_every: int = Field(500, ge=1)
    evaluate_limit: int | None = Field(None, ge=1)
    """Pictures a set while training; `inference.py` and the model card take all."""
    precision: LoopPrecision = 'auto'
    """`auto`: bf16 where the hardware has it, fp16 on a GPU without, 32 bit else."""
    ema: float = 0.998
    workers: int = Field(1, ge=0)
    threads: int = Field(2, ge=1)
    seed: int = 0
    max_bad_batches: int = 20
    stop_after: int | None = Field(None, ge=1)
    """Evaluations without a lower validation loss after which the run ends early; epochs without
    a lower training loss where there are no evaluation sets."""
    settle_steps: int = Field(0, ge=0)
    """First steps of a run that begins from another network's weights (`train/start.py`) in which
    only what did not come from there learns."""
    deterministic: bool = False
    """Only algorithms that give the same bits each time (GPUs; on CPUs it is so anyway)."""


class Recipe(_RecipePart):
    """A whole run. Saved beside its checkpoints and inside them."""

    name: str
    prefix_name: str = 'unet'
    classes: Literal['lane', 'marking', 'lane_types'] = 'lane'
    head: Literal['sigmoid', 'softmax'] = 'sigmoid'
    thresholds: tuple[int, ...] | None = None
    output: Literal['scores', 'logits'] = 'scores'
    """What its model file puts out: contract 1 or 2 (`seg_node.model.spec`)."""
    temperatures: tuple[float, ...] | None = None
    """What the logits of each foreground class are divided by before the sigmoid (`logits`)."""
    model: ModelPart = ModelPart()
    input: InputPart = InputPart()
    data: DataPart = DataPart()
    transforms: tuple[AnyStep, ...] = ()
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
    asked_path = Path(path).expanduser()
    return asked_path if asked_path.is_absolute() else (root / asked_path).resolve()


def load_recipe(name_or_path: str) -> Recipe:
    """A recipe by a shipped name or from a YAML file; `ConfigError` lists all faults.

    `extends: NAME` begins with another one: mappings are merged key by key, all else is replaced.
    """
    path = _recipe_path(name_or_path)
    recipe = parse_recipe(_read_recipe(path, ()), str(path))
    beside = (path.resolve().parent / recipe.data.root).resolve()
    if path.parent != RECIPES and not Path(recipe.data.root).is_absolute() and beside.is_dir():
        data = recipe.data.model_copy(update={'root': str(beside)})
        return recipe.model_copy(update={'data': data})
    return recipe


def _recipe_path(name_or_path: str) -> Path:
    path = Path(name_or_path)
    if path.suffix not in ('.yaml', '.yml'):
        path = RECIPES / f'{name_or_path}.yaml'
    if not path.is_file():
        known = ', '.join(sorted(p.stem for p in RECIPES.glob('*.yaml')))
        raise ConfigError(f'recipe {name_or_path}: expected a .yaml file or one of {known}')
    return path


def _read_recipe(path: Path, above: tuple[Path, ...]) -> Any:
    """The mapping of a recipe file with what it extends; `above` are those that extend it."""
    if path in above:
        raise ConfigError(f'recipe {path}: extends itself')
    try:
        raw = yaml.safe_load(path.read_text(encoding='utf-8'))
    except yaml.YAMLError as error:
        raise ConfigError(f'recipe {path}: not YAML: {first_line(error)}') from None
    if not isinstance(raw, dict) or 'extends' not in raw:
        return raw
    base = raw.pop('extends')
    if not isinstance(base, str):
        raise ConfigError(f'recipe {path}: extends: expected the name of a recipe, got {base!r}')
    return _merged(_read_recipe(_recipe_path(base), (*above, path)), raw)


def _merged(base: Any, over: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {**base, **{key: _merged(base.get(key), value) for key, value in over.items()}}


def parse_recipe(raw: Any, subject: str) -> Recipe:
    """Check a mapping; `subject` names it in the error."""
    if not isinstance(raw, dict):
        raise ConfigError(f'recipe {subject}: expected a mapping, got {type(raw).__name__}')
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        problems = validation_problems(error, model=Recipe)
        raise ConfigError(problems_line(f'recipe {subject}', problems)) from None
