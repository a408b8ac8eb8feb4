"""Transforms: pictures and targets stay together, chance comes from the pair, faults are named."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from torchvision.tv_tensors import Image, Mask

from seg_node.camera.geometry import PAD
from seg_node.camera.size import Size
from seg_node.errors import ConfigError
from seg_node_training.config import RECIPES, load_recipe, parse_recipe
from seg_node_training.data.targets import UNKNOWN
from seg_node_training.data.transforms import STEPS, build, transformed
from seg_node_training.data.transforms.build import at_size, from_strengths
from seg_node_training.data.transforms.geometry import resize_pair

SMALLEST = {
    'resize': {'height': 48, 'width': 64, 'policy': 'letterbox'},
    'crop': {'height': 40, 'width': 64},
    'window': {'height': 40, 'width': 64},
    'rotation': {'degrees': 20},
    'shear': {'degrees': 15},
    'brightness': {'factor': [1.2, 1.3]},
    'contrast': {'factor': [1.2, 1.3]},
    'colour_jitter': {'brightness': 0.2, 'contrast': 0.2, 'saturation': 0.2, 'hue': 0.1},
    'flip': {'p': 1.0},
}


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A white, tilted box on green, uint8 (90, 160, 3), and its two target planes."""
    image = np.full((90, 160, 3), (20, 90, 20), np.uint8)
    box = np.array([[40, 20], [110, 35], [100, 80], [30, 60]])
    cv2.fillPoly(image, [box], (250, 250, 250))
    plane = np.where(image[..., 0] > 127, 254, 0).astype(np.uint8)
    return image, np.stack([plane, plane])


def chain_of(*steps: dict[str, object]) -> v2.Transform:
    """The chain of a recipe's list."""
    return build(parse_recipe({'name': 'x', 'transforms': steps}, 'x').transforms)


def array(image: torch.Tensor) -> np.ndarray:
    """uint8 (H, W, 3) of a v2 image."""
    return image.permute(1, 2, 0).numpy()


@pytest.mark.parametrize('name', ['resize', 'crop', 'window', 'flip', 'rotation', 'shear'])
def test_picture_and_target_move_together(name, pair):
    chain = chain_of({name: SMALLEST[name]})
    moved = 0
    for seed in range(6):
        image, mask = transformed(chain, *pair, np.random.default_rng(seed))
        assert type(image) is Image and type(mask) is Mask
        codes = mask.numpy()[0]
        assert set(np.unique(codes)) <= {0, 254, UNKNOWN}, 'nearest neighbour keeps codes'
        known = codes != UNKNOWN
        agree = (array(image)[..., 2] > 135)[known] == (codes > 127)[known]
        assert agree.mean() > 0.96
        assert known.mean() > 0.2
        np.testing.assert_array_equal(mask[0], mask[1])
        moved += image.shape != (3, 90, 160) or not np.array_equal(codes, pair[1][0])
    assert moved >= 5


@pytest.mark.parametrize(
    'name', sorted(set(STEPS) - {'resize', 'crop', 'window', 'flip', 'one_of'})
)
def test_chance_comes_from_the_pair_alone(name, pair):
    chain = chain_of({name: SMALLEST.get(name)})
    made = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        cv2.setRNGSeed(global_seed)
        before = torch.get_rng_state()
        kept = pair[0].copy()
        made.append(transformed(chain, *pair, np.random.default_rng(5)))
        assert torch.equal(before, torch.get_rng_state()), 'dropout must not notice'
        np.testing.assert_array_equal(pair[0], kept)
    assert torch.equal(made[0][0], made[1][0]) and torch.equal(made[0][1], made[1][1])
    others = [transformed(chain, *pair, np.random.default_rng(seed))[0] for seed in range(6)]
    assert any(not torch.equal(other, made[0][0]) for other in others)
    assert isinstance(chain, v2.Compose)


def test_tones_do_what_their_names_say(pair):
    image, target = pair
    rng = np.random.default_rng(0)

    def one(**step: object) -> np.ndarray:
        return array(transformed(chain_of(step), image, target, rng)[0]).astype(int)

    added = one(brightness={'add': [10, 20]}) - image
    assert set(np.unique(added[image == 90])) <= set(range(10, 21))
    assert added.min() >= 0 and one(brightness={'add': [10, 20]}).max() == 255
    green = one(brightness={'factor': [2, 2]})[0, 0]
    assert green.tolist() == [40, 180, 40]
    assert one(contrast={'factor': [1.3, 1.3]}).std() > image.std()
    # A hue of half a turn makes green magenta; the bright box has no hue.
    turned = one(colour_jitter={'hue': 0.5})
    assert any(abs(int(one(colour_jitter={'hue': 0.5})[0, 0, 1]) - 90) > 20 for _ in range(8))
    assert np.abs(turned[50, 70] - 250).max() <= 2
    noisy = one(noise={'sigma': [5, 5]}) - image
    assert noisy[:15].std() == pytest.approx(5, abs=0.6)
    blurred = one(blur={'sigma': [1.4, 1.4]})
    assert (
        np.abs(np.diff(blurred, axis=1)).max() < np.abs(np.diff(image.astype(int), axis=1)).max()
    )
    assert 0 < np.abs(one(jpeg={'quality': [25, 30]}) - image).mean() < 12


def test_one_of_takes_each_and_only_one(pair):
    add = [{'brightness': {'add': [n, n]}} for n in (1, 2, 4)]
    chain = chain_of({'one_of': {'p': 0.75, 'of': add}})
    seen = []
    for seed in range(80):
        image, _ = transformed(chain, *pair, np.random.default_rng(seed))
        seen.append(int(image[1, 0, 0]) - 90)
    assert set(seen) == {0, 1, 2, 4}
    assert 10 <= seen.count(0) <= 30


def test_resize_policies(pair):
    image, target = pair
    size = Size(64, 64)
    stretched, planes = resize_pair(image, target, size, 'stretch')
    assert stretched.shape == (64, 64, 3) and not np.any(planes == UNKNOWN)
    boxed, planes = resize_pair(image, target, size, 'letterbox')
    assert np.all(boxed[:14] == PAD) and np.all(planes[:, :14] == UNKNOWN)
    assert np.all(planes[:, 14:50] != UNKNOWN)
    cut, planes = resize_pair(image, target, size, 'crop')
    assert not np.any(planes == UNKNOWN)
    middle = cv2.resize(image[:, 35:125], (64, 64), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(cut, middle)


def test_all_faults_of_a_list_come_at_once():
    steps = [
        {'flipp': {}},
        {'blur': {'sigm': [1, 2], 'p': 2}},
        {'one_of': {'of': [{'crop': {'widht': 64}}]}},
        {'one_of': {}},
        {'tone': [0.3]},
        'flip',
        {'flip': None, 'blur': None},
        {'noise': {'kind': 'flip'}},
    ]
    with pytest.raises(ConfigError) as caught:
        parse_recipe({'name': 'x', 'transforms': steps}, 'x')
    text = str(caught.value)
    for part in (
        'transforms.0: flipp: unknown transform, did you mean flip?',
        'transforms.1.blur.sigm: unknown key, did you mean sigma?',
        'transforms.1.blur.p: Input should be less than or equal to 1, got 2',
        'transforms.2.one_of.of.0.crop.height: Field required',
        'transforms.2.one_of.of.0.crop.widht: unknown key, did you mean width?',
        'transforms.3.one_of.of: Field required',
        'transforms.4: tone: expected a mapping of parameters, got [0.3]',
        "transforms.5: expected one name with its parameters, got 'flip'",
        'transforms.6: expected one name',
        'transforms.7: noise: expected a mapping of parameters',
    ):
        assert part in text, text
    assert '\n' not in text


def test_recipes_of_before_keep_their_meaning():
    old = {'height': 64, 'width': 96, 'zoom': [0.9, 1.1], 'markings': 0.5, 'noise': 0, 'grey': 0}
    recipe = parse_recipe({'name': 'x', 'augmentation': old}, 'x')
    assert [step.kind for step in recipe.transforms] == [
        *('markings', 'window', 'tone', 'shadow', 'blur', 'jpeg')
    ]
    assert recipe.transforms[1].zoom == (0.9, 1.1)
    assert recipe.model_dump()['transforms'][3] == {'shadow': {'p': 0.35}}
    with pytest.raises(ConfigError, match='flipp: unknown key, did you mean flip'):
        from_strengths({'flipp': 1})


@pytest.mark.parametrize('name', sorted(p.stem for p in RECIPES.glob('*.yaml')))
def test_every_recipe_s_chain_works(name, pair):
    recipe = load_recipe(name)
    chain = build(at_size(recipe.transforms, 40, 64))
    image, mask = transformed(chain, *pair, np.random.default_rng(1))
    assert image.dtype == mask.dtype == torch.uint8
    assert image.shape[1:] == mask.shape[1:]


def test_a_saved_recipe_reads_as_it_was():
    steps = [{'one_of': {'of': [{'flip': None}, {'jpeg': {'quality': [30, 40]}}]}}, {'tone': {}}]
    recipe = parse_recipe({'name': 'x', 'transforms': steps}, 'x')
    saved = recipe.model_dump(mode='json')
    assert saved['transforms'][0]['one_of']['of'][0] == {'flip': {'p': 0.5}}
    assert parse_recipe(saved, 'x') == recipe
