"""Recipes: one that extends another, and what is refused."""

from __future__ import annotations

import pytest

from seg_node.errors import ConfigError
from seg_node_training.config import RECIPES, load_recipe


@pytest.mark.parametrize('name', sorted(path.stem for path in RECIPES.glob('*.yaml')))
def test_every_shipped_recipe_is_read(name):
    assert load_recipe(name).name == name


def test_a_recipe_extends_another_key_by_key(tmp_path):
    own = tmp_path / 'own.yaml'
    own.write_text('extends: lane_small\nname: own\nloop: {steps: 7}\ntransforms: []\n')
    recipe, base = load_recipe(str(own)), load_recipe('lane_small')
    assert (recipe.name, recipe.loop.steps, recipe.transforms) == ('own', 7, ())
    assert recipe.loop.batch_size == base.loop.batch_size
    assert recipe.data.train == base.data.train


@pytest.mark.parametrize(
    ('text', 'line'),
    [
        ('extends: nobody', 'recipe nobody: expected a .yaml file or one of '),
        ('extends: [1]', r'own.yaml: extends: expected the name of a recipe, got \[1\]'),
        ('extends: OWN', 'own.yaml: extends itself'),
        ('extends: lane_small\nlop: {}', 'own.yaml: .*lop'),
        ('- 1', 'expected a mapping, got list'),
        ('a: [', 'not YAML'),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, text, line):
    own = tmp_path / 'own.yaml'
    own.write_text(text.replace('OWN', str(own)))
    with pytest.raises(ConfigError, match=line) as caught:
        load_recipe(str(own))
    assert '\n' not in str(caught.value)
