"""Adapters, augmentation and the mixture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_node.class_map import load_class_map
from seg_node.errors import ConfigError, InputError
from seg_node_training.data.cache import CachedSet
from seg_node_training.data.folders import FolderSet, sure_road
from seg_node_training.data.mixing import MixedPairs, StepLoader, Turns
from seg_node_training.data.synthetic_paint import paint_markings
from seg_node_training.data.targets import UNKNOWN
from seg_node_training.data.transforms import build
from seg_node_training.data.transforms.geometry import Window
from seg_node_training.data.transforms.scene import Markings


def write_pair(folder: Path, stem: str, ids: np.ndarray, seed: int = 0) -> None:
    """A noisy picture and its ids under images/ and labels/."""
    picture = np.random.default_rng(seed).integers(0, 256, (*ids.shape, 3), np.uint8)
    for kind, array in (('images', picture), ('labels', ids)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / kind / f'{stem}.png'), array)


@pytest.fixture
def road_ids() -> np.ndarray:
    """uint8 (72, 128): sky, a road that widens, a line, a strip of ignore."""
    ids = np.zeros((72, 128), np.uint8)
    cv2.fillPoly(ids, [np.array([[60, 30], [68, 30], [120, 71], [8, 71]])], 1)
    cv2.line(ids, (64, 32), (64, 71), 2, 3)
    ids[:, :4] = 255
    return ids


@pytest.mark.parametrize(
    ('knows', 'road', 'lane'), [('ids', True, True), ('road', True, False), ('line', False, True)]
)
def test_a_folder_says_only_what_it_knows(tmp_path, road_ids, knows, road, lane):
    write_pair(tmp_path, 'a', road_ids)
    data = FolderSet('set', tmp_path, knows)
    image, target = data.load(data.sources()[0])
    assert image.shape == (72, 128, 3)
    assert bool(np.any(target[0] != UNKNOWN)) is road
    assert bool(np.any(target[1] != UNKNOWN)) is lane
    assert np.all(target[:, :, :4] == UNKNOWN)
    if road:
        np.testing.assert_array_equal(target[0] == 254, (road_ids == 1) | (road_ids == 2))
    if lane:
        np.testing.assert_array_equal(target[1] == 254, road_ids == 2)


def test_all_missing_labels_are_named_at_once(tmp_path, road_ids):
    for stem in 'abc':
        write_pair(tmp_path, stem, road_ids)
    (tmp_path / 'labels/a.png').unlink()
    (tmp_path / 'labels/c.png').unlink()
    with pytest.raises(InputError, match=r'2 problems.*a\.png.*c\.png'):
        FolderSet('set', tmp_path, 'ids').sources()


def test_size_mismatch_is_named_before_training(tmp_path, road_ids):
    write_pair(tmp_path, 'a', road_ids)
    cv2.imwrite(str(tmp_path / 'labels/a.png'), road_ids[40:50])
    with pytest.raises(InputError, match='expected the size of its picture, 128x72, got 128x10'):
        CachedSet(FolderSet('set', tmp_path, 'ids'), tmp_path / 'cache', 72, 128)


def test_empty_split_and_unknown_knowledge(tmp_path, road_ids):
    write_pair(tmp_path, 'a', road_ids)
    (tmp_path / 'val.txt').write_text('')
    with pytest.raises(InputError, match='empty'):
        FolderSet('set', tmp_path, 'ids', 'val.txt').sources()
    with pytest.raises(ConfigError, match='expected one of ids, road'):
        FolderSet('set', tmp_path, 'everything').sources()


def test_sure_road_keeps_only_the_sure():
    soft = np.full((40, 160), 100, np.uint8)
    soft[:10] = 0
    soft[20:, 60:100] = 255
    soft[20:, :20] = 3
    target = sure_road(soft)
    assert np.all(target[:10] == 0)
    assert np.all(target[20:, 60:100] == 254)
    assert np.all(target[20:, :20] == 0)
    assert np.all(target[12:18] == UNKNOWN)
    above = sure_road(soft, only_above=True)
    assert np.all(above[20:, :20] == UNKNOWN)
    assert np.all(above[:10] == 0)


def test_painted_markings_are_bright_labelled_and_on_the_road(road_ids):
    road = np.kron((road_ids > 0) & (road_ids < 255), np.ones((4, 4), np.uint8)).astype(np.uint8)
    image = np.full((*road.shape, 3), 90, np.uint8)
    target = np.stack([road * 254, np.zeros_like(road)])
    found = 0
    for seed in range(20):
        painted, labelled = paint_markings(image, target, np.random.default_rng(seed))
        lane = labelled[1] == 254
        found += int(lane.any())
        assert not np.any(lane & (road == 0))
        np.testing.assert_array_equal(labelled[0], target[0])
        untouched = (labelled[1] == 0) & (painted.astype(int) - image > 60).any(2)
        assert untouched.sum() <= 0.02 * max(1, lane.sum())
    assert found >= 15
    assert np.all(image == 90), 'the cached picture must stay as it was'


def make_pairs(folder: Path, road_ids: np.ndarray, seed: int = 3) -> MixedPairs:
    """A mixture of two cached sets."""
    sets = []
    for name, knows in (('first', 'ids'), ('second', 'road')):
        for index in range(2):
            write_pair(folder / name, f'p{index}', road_ids, index)
        sets.append(CachedSet(FolderSet(name, folder / name, knows), folder / 'cache', 72, 128))
    return MixedPairs(
        sets,
        [1.0, 2.0],
        build([Markings(p=0.5), Window(height=32, width=64)]),
        seed,
    )


def test_a_pair_depends_on_seed_and_position_alone(tmp_path, road_ids):
    pairs = make_pairs(tmp_path, road_ids)
    whole = list(StepLoader(pairs, 0, 4, 2, workers=0))
    late = list(StepLoader(pairs, 2, 4, 2, workers=1))
    for (image, target), (other_image, other_target) in zip(whole[2:], late):
        assert bool((image == other_image).all())
        assert bool((target == other_target).all())
    changed = make_pairs(tmp_path, road_ids, seed=4)[0]
    assert not bool((changed[0] == pairs[0][0]).all())


def test_domains_have_their_turn(tmp_path):
    sets = []
    for value, name in ((20, 'simulated'), (90, 'real'), (160, 'real_too')):
        ids = np.zeros((16, 16), np.uint8)
        write_pair(tmp_path / name, 'p', ids)
        picture = np.full((16, 16, 3), value, np.uint8)
        cv2.imwrite(str(tmp_path / name / 'images' / 'p.png'), picture)
        sets.append(CachedSet(FolderSet(name, tmp_path / name, 'ids'), tmp_path / 'c', 16, 16))
    turns = Turns(('simulated', 'real', 'real'), length=6)  # three batches of two
    pairs = MixedPairs(sets, [1.0, 1.0, 3.0], build([]), 0, turns=turns)
    drawn = [
        set(images[:, 0, 0, 0].tolist()) for images, _ in StepLoader(pairs, 0, 60, 2, workers=0)
    ]
    assert all((batch == {20}) == (step % 6 < 3) for step, batch in enumerate(drawn))
    others = [batch for step, batch in enumerate(drawn) if step % 6 >= 3]
    assert set.union(*others) == {90, 160}
    assert others.count({160}) > others.count({90})


def test_no_training_set_is_one_clear_line():
    with pytest.raises(ConfigError, match='expected a training set'):
        MixedPairs([], [], build([]), 0)


def test_foreign_label_values_are_refused_before_anything_is_decoded(tmp_path, road_ids):
    tags = np.array([10, 7, 6], np.uint8)[np.where(road_ids == 255, 0, road_ids)]
    write_pair(tmp_path, 'a', tags)
    with pytest.raises(
        InputError, match=r'data set set: .*6, 7, 10.*class_map: carla_0_9_13'
    ) as e:
        FolderSet('set', tmp_path, 'ids').sources()
    assert len(str(e.value).splitlines()) == 1
    data = FolderSet('set', tmp_path, 'ids', class_map=load_class_map('carla_0_9_13'))
    _, target = data.load(data.sources()[0])
    np.testing.assert_array_equal(target[1] == 254, road_ids == 2)


def test_binary_masks_are_refused_and_read_by_their_class_map(tmp_path, road_ids):
    write_pair(tmp_path, 'a', np.where(road_ids == 2, 255, 0).astype(np.uint8))
    with pytest.raises(InputError, match='binary_marking'):
        FolderSet('set', tmp_path, 'line').sources()
    data = FolderSet('set', tmp_path, 'line', class_map=load_class_map('binary_marking'))
    _, target = data.load(data.sources()[0])
    np.testing.assert_array_equal(target[1] == 254, road_ids == 2)
    assert np.all(target[0] == UNKNOWN)


def test_a_picture_replaced_in_its_place_is_decoded_anew(tmp_path, road_ids):
    write_pair(tmp_path / 'set', 'a', road_ids)
    data = FolderSet('set', tmp_path / 'set', 'ids')
    before = CachedSet(data, tmp_path / 'cache', 36, 64).images[0].copy()
    write_pair(tmp_path / 'set', 'a', road_ids, seed=1)
    assert np.any(CachedSet(data, tmp_path / 'cache', 36, 64).images[0] != before)
