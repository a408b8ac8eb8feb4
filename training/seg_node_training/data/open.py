"""From a set of a recipe to the adapter that reads it."""

from __future__ import annotations

from typing import Any

from seg_node.class_map import load_class_map
from seg_node.errors import InputError, problems_line
from seg_node_training.config import Recipe, SetPart, resolve
from seg_node_training.data.cache import Adapter
from seg_node_training.data.embedded import EmbeddedSet
from seg_node_training.data.folders import FolderSet
from seg_node_training.data.layouts import open_layout


def open_set(part: SetPart, recipe: Recipe) -> Adapter[Any]:
    """The adapter that a recipe's set describes."""
    if part.kind == 'embedded':
        return EmbeddedSet(
            part.name,
            part.limit or 0,
            part.seed,
            part.towns,
            labels=part.labels,
            looks=part.looks,
        )
    folder = resolve(part.path, resolve(recipe.data.root))
    if part.kind == 'folder':
        classes = load_class_map(part.class_map) if part.class_map else None
        return FolderSet(part.name, folder, part.knows, part.split, part.limit, classes)
    return open_layout(part.kind, part.name, folder, part.split, part.class_map, part.limit)


def check_sets(recipe: Recipe) -> None:
    """List the pictures of every set to train on or to evaluate, before anything else is done.

    Raises `InputError` with the problems of all sets.
    """
    problems: dict[str, None] = {}
    for part in (*recipe.data.train, *recipe.data.evaluate):
        try:
            open_set(part, recipe).sources()
        except InputError as error:
            problems[str(error)] = None
    if problems:
        raise InputError(problems_line(f'recipe {recipe.name}', list(problems)))
