"""Whether a network takes the pictures that a recipe will give it, before anything is decoded.

A network halves its pictures several times and joins what it has halved with what it enlarges:
sides that do not divide fail deep inside of it, or not before the first evaluation.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from seg_node.camera.size import Size
from seg_node.errors import ConfigError, last_line
from seg_node_training.config import Recipe
from seg_node_training.data.transforms import build, transformed

_DIVISORS = (2, 4, 8, 16, 32, 64)


def check_sizes(model: nn.Module, recipe: Recipe) -> None:
    """Run `model` once on black pictures of each size that the recipe leads to.

    Raises `ConfigError` that names the size, where it comes from, and one that works.
    """
    sizes = {
        'data.cache_width x cache_height after the transforms': _training_size(recipe),
        'input': Size(recipe.input.width, recipe.input.height),
    }
    for place, size in sizes.items():
        problem = _problem(model, size)
        if problem:
            advice = _near(model, size)
            raise ConfigError(
                f'recipe {recipe.name}: {recipe.model.name} does not take pictures of {size} '
                f'({place}){advice}: {problem}'
            )


def _training_size(recipe: Recipe) -> Size:
    shape = recipe.data.cache_height, recipe.data.cache_width
    black, codes = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8)
    image, _ = transformed(build(recipe.transforms), black, codes, np.random.default_rng(0))
    return Size(int(image.shape[2]), int(image.shape[1]))


def _problem(model: nn.Module, size: Size) -> str:
    """What the network says of a black picture of `size`; empty where it answers."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(torch.zeros(1, 3, size.height, size.width, device=device))
    except (RuntimeError, ValueError) as error:
        return last_line(error)
    finally:
        model.train(training)
    return ''


def _near(model: nn.Module, size: Size) -> str:
    for divisor in _DIVISORS:
        sides = (side - side % divisor for side in (size.width, size.height))
        width, height = sides
        if width and height and not _problem(model, Size(width, height)):
            return f', {width}x{height} would do'
    return ''
