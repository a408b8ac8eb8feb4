"""A model's card, beside its file and named as it is, written from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seg_node.files import write_atomic
from seg_node.model.loader import fp32_twin
from seg_node_training.config import REPOSITORY, Recipe
from seg_node_training.data.transforms.scene import Markings
from seg_node_training.evaluate.metrics import SetScore
from seg_node_training.export.specs import PROTOCOL
from seg_node_training.revision import source_revision


@dataclass(frozen=True)
class Export:
    """What a card tells of: `results` by precision, then by data set."""

    path: Path
    checkpoint: Path
    recipe: Recipe
    state: Mapping[str, Any]
    results: Mapping[str, Mapping[str, SetScore]]
    quantization: Mapping[str, Any]


def _number(value: float | None) -> str:
    # Rounded as in the file first: 0.81149 is 0.8115 there, and both show 0.811.
    return '–' if value is None else f'{round(value, 4):.3f}'


def figure_table(results: Mapping[str, Mapping[str, SetScore]]) -> list[str]:
    """Markdown rows: IoU of each set and class in fp32 and int8, precision and recall of int8."""
    rows = [
        '| set | pictures | class | IoU fp32 | IoU int8 | precision int8 | recall int8 |',
        '|---|---|---|---|---|---|---|',
    ]
    for name, score in results['int8'].items():
        floats = results['fp32'][name].summary()
        for label, values in score.summary().items():
            rows.append(
                f'| {name} | {len(score.pictures)} | {label} | {_number(floats[label]["iou"])} '
                f'| **{_number(values["iou"])}** | {_number(values["precision"])} '
                f'| {_number(values["recall"])} |'
            )
    return rows


def card_text(export: Export) -> str:
    """The whole card, Markdown."""
    recipe, size = export.recipe, export.path.stat().st_size
    data = [p for p in recipe.data.train if p.weight > 0]
    lines = [
        f'# `{export.path.name}`',
        '',
        f'Written by `training/quantize.py` at revision `{source_revision()}`.',
        '',
        f'- Network: `{recipe.model.name}` {dict(recipe.model.options)}, input '
        f'{recipe.input.width}x{recipe.input.height} {recipe.input.colour_order}, '
        f'{recipe.input.resize}; file {size / 2**20:.2f} MiB.',
        f'- Classes: {", ".join(recipe.class_set.names)}; head {recipe.head}.'
        + (' The road score covers markings too.' if recipe.classes == 'lane' else ''),
        f'- Trained {export.state["step"]} steps of batch {recipe.loop.batch_size} '
        f'(recipe `{recipe.name}`), averaged weights{_lineage(export.state)}.',
        f'- Quantization: {export.quantization["method"]}; {export.quantization["observer"]} '
        f'observer on {export.quantization["calibration_pictures"]} training pictures '
        f'({", ".join(f"{k} {v}" for k, v in export.quantization["calibration"].items())}); '
        f'{export.quantization["convolutions"]} convolutions, {_in_int8(export.quantization)}.',
        f'- Gate: {_verdict(export.quantization["gate"])}',
        *_twin(export),
        '',
        '## Figures',
        '',
        f'Protocol: {PROTOCOL}. Measured through OpenVINO on the CPU. No picture of these sets '
        'was trained on.',
        '',
        *figure_table(export.results),
        '',
        '## Training data',
        '',
        '| set | licence | origin | what its labels were trusted for |',
        '|---|---|---|---|',
        *[f'| {p.name} | {p.licence} | {p.origin} | {p.knows} |' for p in data],
        '',
        'Labels: `road+paint`: road outlines by hand, markings from a teacher network '
        '(TwinLiteNet, MIT) cut down to what is brighter than the road beside it; '
        '`teacher`: both from the teacher, where it is sure; `teacher_lines`: markings alone; '
        '`line`: markings by hand; `soft`: the soft answers of Intel '
        'road-segmentation-adas-0001 (Apache-2.0), unknown where the older teacher contradicts '
        'them low in the picture; `road+soft`, `ego+soft`: the same, and where a human drew the '
        'road, it is right. '
        f'On {painted_share(recipe):.0%} of the pictures whose road is known, random '
        'markings with exact labels are painted onto the road.',
        '',
        '## Limits',
        '',
        'Trained on a few hundred photos, mostly by day and in dry weather, with labels made by a '
        'teacher for markings. Kerbs and bright seams are taken for markings at times; snow, rain '
        'and night are hardly covered. Not for use in a safety function.',
        '',
        '## Make it again',
        '',
        '```',
        f'python training/train.py F --config {recipe.name}{_init(export.state)}',
        f'python training/quantize.py {_relative(export.checkpoint)} '
        f'-o models/{export.path.name} --observer {export.quantization["observer"]} '
        '--keep-fp32 --card',
        '```',
        '',
    ]
    return '\n'.join(lines)


def painted_share(recipe: Recipe) -> float:
    """Chance that a training picture gets synthetic markings."""
    return next((step.p for step in recipe.transforms if isinstance(step, Markings)), 0.0)


def _twin(export: Export) -> list[str]:
    """A line on the float file, where it lies beside the int8 one."""
    twin = fp32_twin(export.path)
    if not twin.is_file():
        return []
    return [
        f'- Float twin: `{twin.name}` ({twin.stat().st_size / 2**20:.2f} MiB), the same network '
        'before quantization, for `precision: bf16`, `fp32` and `auto`.'
    ]


def _verdict(gate: Mapping[str, Any]) -> str:
    """The gate's verdict as a sentence."""
    worst = max(gate['lost_points'].values(), default=0.0)
    said = (
        f'at most {max(worst, 0):.2f} points of IoU lost on any class of any set (limit '
        f'{gate["limit_points"]:g}), {gate["times_fp32"]} times as fast as fp32 in OpenVINO where '
        'it was made.'
    )
    if gate['passed']:
        return f'passed; {said}'
    return f'**refused, written with `--force`**: {"; ".join(gate["reasons"])}. {said}'


def _in_int8(quantization: Mapping[str, Any]) -> str:
    kept = quantization['kept_float']
    weights = f'weights of {quantization.get("weight_bits", 8)} bits'
    return f'all int8 but the head ({", ".join(kept)})' if kept else f'all int8, {weights}'


def _lineage(state: Mapping[str, Any]) -> str:
    """What the run began from, where it was not a random start."""
    before = state.get('lineage') or []
    if not before:
        return ''
    return f'; before that: {"; ".join(before)}'


def _init(state: Mapping[str, Any]) -> str:
    """The option that begins with the float file that ships, where the run did."""
    last = (state.get('lineage') or [''])[-1].partition(',')[0]
    return f' --init models/{last}' if last.endswith('.onnx') else ''


def _relative(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(REPOSITORY))
    except ValueError:
        return path.name


def card_path(model: Path) -> Path:
    """Where the card of an int8 file (and of its float twin) lies."""
    return model.with_name(f'{model.stem.removesuffix("_int8")}.md')


def write_card(export: Export) -> Path:
    """Write the card beside the model; its path."""
    path = card_path(export.path)
    with write_atomic(path) as temporary:
        temporary.write_text(card_text(export), encoding='utf-8')
    return path
