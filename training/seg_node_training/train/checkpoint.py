"""Checkpoints: whole or not there, readable without running code from them, complete to resume."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seg_node.errors import InputError, ModelError, first_line
from seg_node.files import write_atomic
from seg_node_training.config import Recipe, parse_recipe
from seg_node_training.models import build_model

FORMAT = 'seg_node_training/1'


def epoch_path(folder: Path, prefix: str, epoch: int) -> Path:
    """The predecessor's naming: `<prefix>_epoch%03d.pth`."""
    return folder / f'{prefix}_epoch{epoch:03d}.pth'


def best_path(folder: Path, prefix: str) -> Path:
    """The checkpoint with the lowest validation loss."""
    return folder / f'{prefix}_best.pth'


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` atomically: a full disk leaves the previous file as it was."""
    try:
        with write_atomic(path) as temporary:
            torch.save({'format': FORMAT, **state}, temporary)
    except (OSError, RuntimeError, InputError) as error:
        raise InputError(
            f'{path}: checkpoint not saved ({first_line(error)}); the previous one is untouched'
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, or a folder's latest, onto the CPU.

    `ModelError` says in one line what is wrong with it.
    """
    if path.is_dir():
        newest = latest_checkpoint(path)
        if newest is None:
            raise ModelError(f'{path}: no checkpoint in this folder')
        path = newest
    if not path.is_file():
        raise ModelError(f'{path}: no such checkpoint')
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises half a dozen kinds for a broken file
        first = first_line(error, 120)
        raise ModelError(f'{path}: truncated or not a checkpoint ({first})') from None
    if not isinstance(state, dict) or state.get('format') != FORMAT:
        came = state.get('format') if isinstance(state, dict) else type(state).__name__
        raise ModelError(f'{path}: expected a checkpoint of format {FORMAT}, got {came!r}')
    return state


def latest_checkpoint(folder: Path, prefix: str | None = None) -> Path | None:
    """The checkpoint of the highest epoch (of `prefix`) in `folder`, None where there is none."""
    name = '.+' if prefix is None else re.escape(prefix)
    pattern = re.compile(rf'{name}_epoch(\d+)\.pth')
    by_epoch = [(int(m[1]), p) for p in folder.glob('*.pth') if (m := pattern.fullmatch(p.name))]
    return max(by_epoch)[1] if by_epoch else None


def load_state(model: nn.Module, state: dict[str, Any], subject: str) -> None:
    """Put weights into `model`; `ModelError` when they belong to another network."""
    own = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    came = {k: tuple(v.shape) for k, v in state.items()}
    if own != came:
        odd = sorted(set(own.items()) ^ set(came.items()))[0]
        raise ModelError(
            f'{subject}: weights of another model: expected {len(own)} tensors, got {len(came)}; '
            f'first difference {odd[0]} {odd[1]}'
        )
    model.load_state_dict(state)


def load_model(path: Path, which: str = 'ema') -> tuple[nn.Module, Recipe, dict[str, Any]]:
    """The network of a checkpoint in evaluation mode, its recipe, and the whole state.

    `which`: `ema` (the averaged weights) or `model` (those of the last step).
    """
    state = load_checkpoint(path)
    recipe = parse_recipe(state['recipe'], str(path))
    model = build_model(recipe.model.name, recipe.outputs, **recipe.model.options)
    load_state(model, state[which], str(path))
    return model.eval(), recipe, state
