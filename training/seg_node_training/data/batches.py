"""The one way from a recipe to training batches: float training and QAT both take it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from seg_node_training.config import Recipe, resolve
from seg_node_training.data.cache import CachedSet
from seg_node_training.data.mixing import MixedPairs, Turns
from seg_node_training.data.open import open_set
from seg_node_training.data.targets import encoder
from seg_node_training.data.transforms import build


def training_pairs(
    recipe: Recipe, one_decodes: AbstractContextManager[object] | None = None
) -> MixedPairs:
    """The mixture of the recipe's training sets, decoded into the cache where needed.

    `one_decodes` is entered while the cache is filled, so that of several processes one does it.
    """
    data = recipe.data
    adapters = [open_set(part, recipe) for part in data.train]
    policy = data.cache_resize or recipe.input.resize
    with one_decodes or nullcontext():
        sets = [
            CachedSet(a, resolve(data.cache), data.cache_height, data.cache_width, policy)
            for a in adapters
        ]
    turns = None
    if data.turns:
        domains = tuple(part.domain for part in data.train)
        turns = Turns(domains, data.turns * recipe.loop.batch_size)
    weights = [part.weight for part in data.train]
    encode = encoder(recipe.classes, recipe.head)
    return MixedPairs(sets, weights, build(recipe.transforms), recipe.loop.seed, encode, turns)
