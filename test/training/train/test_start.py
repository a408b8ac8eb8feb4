"""Beginning from the float file that ships: the same network, ready to be trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seg_node.errors import ModelError
from seg_node_training.config import parse_recipe
from seg_node_training.evaluate.network import normalise
from seg_node_training.export.graph import Contract, export_graph
from seg_node_training.export.logit_graph import LogitContract, export_raw, finish
from seg_node_training.models import build_model
from seg_node_training.train.average import between
from seg_node_training.train.start import file_weights, fitted, load_matching, put_back

SIZE = (32, 64)
TWO = {'base': 4, 'depth': 3, 'stem': 4}
FOUR = {'base': 8, 'depth': 2, 'stem': 8, 'patch': 4}


def recipe_of(options, output):
    return parse_recipe(
        {
            'name': 'small',
            'output': output,
            'model': {'name': 'light_unet', 'options': options},
            'input': {'height': SIZE[0], 'width': SIZE[1]},
        },
        'test',
    )


def trained(recipe, seed=2):
    torch.manual_seed(seed)
    model = build_model('light_unet', recipe.outputs, **recipe.model.options)
    with torch.no_grad():
        for _ in range(3):
            model.train()(torch.rand(4, 3, *SIZE))
    return model.eval()


@pytest.fixture
def pictures():
    return list(np.random.default_rng(0).integers(0, 256, (6, *SIZE, 3), np.uint8))


def logits(model, pictures, recipe):
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return model.eval()(normalise(batch, recipe.input))


@pytest.mark.parametrize('options', [TWO, FOUR])
@pytest.mark.parametrize('output', ['scores', 'logits'])
def test_a_float_file_gives_back_its_network(options, output, pictures, tmp_path):
    recipe = recipe_of(options, output)
    model = trained(recipe)
    path = tmp_path / 'small_fp32.onnx'
    if output == 'logits':
        export_raw(LogitContract(model, recipe), SIZE, path)
        finish(path, path)
    else:
        export_graph(Contract(model, recipe, (128, 128)), SIZE, path)
    again = build_model('light_unet', recipe.outputs, **options)
    put_back(again, file_weights(path), pictures, recipe, 'file')
    found, expected = logits(again, pictures, recipe), logits(model, pictures, recipe)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert expected.std() > 0.01


def test_in_training_mode_it_begins_where_it_was(pictures, tmp_path):
    """Batch statistics of the same pictures are the running ones, so nothing jumps."""
    recipe = recipe_of(TWO, 'scores')
    model = trained(recipe)
    path = tmp_path / 'small_fp32.onnx'
    export_graph(Contract(model, recipe, (128, 128)), SIZE, path)
    again = build_model('light_unet', recipe.outputs, **TWO)
    put_back(again, file_weights(path), pictures, recipe, 'file')
    batch = normalise(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2), recipe.input)
    with torch.no_grad():
        found = again.train()(batch)
    torch.testing.assert_close(found, logits(model, pictures, recipe), rtol=1e-2, atol=1e-3)


def test_weights_of_another_shape_are_refused_by_name(pictures, tmp_path):
    recipe = recipe_of(TWO, 'scores')
    path = tmp_path / 'small_fp32.onnx'
    export_graph(Contract(trained(recipe), recipe, (128, 128)), SIZE, path)
    wider = build_model('light_unet', recipe.outputs, base=8, depth=3, stem=4)
    with pytest.raises(ModelError, match='weights of another model: expected'):
        put_back(wider, file_weights(path), pictures, recipe, 'file')


def test_a_file_without_the_networks_tensors_is_refused(tmp_path):
    path = tmp_path / 'broken.onnx'
    path.write_bytes(b'no graph')
    with pytest.raises(ModelError):
        file_weights(path)


def test_a_4x4_network_takes_the_common_levels_of_a_2x2_one():
    old, new = trained(recipe_of(TWO, 'scores')), trained(recipe_of(FOUR, 'logits'), seed=9)
    came = load_matching(new, fitted(old.state_dict(), recipe_of(FOUR, 'logits')), 'start')
    theirs, ours = old.state_dict(), new.state_dict()
    torch.testing.assert_close(
        ours['encoder.2.0.0.weight'], theirs['encoder.3.0.0.weight'], rtol=0, atol=0
    )
    torch.testing.assert_close(
        ours['decoder.0.0.0.weight'], theirs['decoder.0.0.0.weight'], rtol=0, atol=0
    )
    assert 'stem.0.weight' not in came
    assert 'head.weight' not in came


def test_little_in_common_is_another_model():
    other = build_model('light_unet', 2, base=6, depth=2, stem=4)
    with pytest.raises(ModelError, match='of another model'):
        load_matching(other, trained(recipe_of(TWO, 'scores')).state_dict(), 'start')


def test_weights_between_two_runs_are_on_the_line_between_them():
    one, other = (trained(recipe_of(TWO, 'scores'), seed).state_dict() for seed in (2, 3))
    middle = between(one, other, 0.25)
    for name, value in middle.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * one[name] + 0.25 * other[name])
    with pytest.raises(ModelError, match='two networks'):
        between(one, trained(recipe_of(FOUR, 'scores')).state_dict(), 0.5)
