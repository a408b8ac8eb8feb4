"""The shipped class maps against the codes their makers document, and bad files."""

from __future__ import annotations

import numpy as np
import pytest

from seg_node.class_map import class_map_names, load_class_map
from seg_node.classes import LANE, LANE_TYPES, UNLABELED
from seg_node.errors import ConfigError

ROAD, MARKING = LANE.id_of('road'), LANE.id_of('lane_marking')


@pytest.mark.parametrize(
    ('name', 'codes'),
    [
        # CARLA's documentation, "Semantic segmentation camera", of either version.
        ('carla_0_9_13', {0: 255, 1: 0, 6: MARKING, 7: ROAD, 8: 0, 10: 0, 22: 0, 24: 0}),
        ('carla_0_9_14', {0: 255, 1: ROAD, 2: 0, 6: 0, 7: 0, 14: 0, 24: MARKING, 25: 0, 28: 0}),
        # cityscapesScripts, labels.py: ids 0-6 are ignored in evaluation, 7 road, 8 sidewalk.
        ('cityscapes', {0: 255, 3: 255, 6: 255, 7: ROAD, 8: 0, 26: 0, 33: 0}),
        ('camvid', {3: ROAD, 11: 255, 0: 0, 10: 0}),
        ('bdd100k', {0: ROAD, 1: 0, 18: 0, 255: 255}),
    ],
)
def test_known_ids(name, codes):
    mapped = load_class_map(name).apply_ids(np.array([list(codes)], np.uint8))
    assert dict(zip(codes, mapped[0].tolist())) == codes


@pytest.mark.parametrize(
    ('name', 'codes'),
    [
        # CityScapesPalette of CARLA: Road, RoadLine, Sidewalk, Sky, Unlabeled, Car.
        (
            'carla_palette',
            {
                (128, 64, 128): ROAD,
                (157, 234, 50): MARKING,
                (244, 35, 232): 0,
                (70, 130, 180): 0,
                (0, 0, 0): 255,
                (0, 0, 142): 0,
            },
        ),
        # CamVid's label_colors.txt: Road, LaneMkgsDriv, LaneMkgsNonDriv, Void, Sky.
        (
            'camvid',
            {
                (128, 64, 128): ROAD,
                (128, 0, 192): MARKING,
                (192, 0, 64): MARKING,
                (0, 0, 0): 255,
                (128, 128, 128): 0,
            },
        ),
        # comma10k's README: road, lane markings, undrivable, movable, my car.
        (
            'comma10k',
            {
                (64, 32, 32): ROAD,
                (255, 0, 0): MARKING,
                (128, 128, 96): 0,
                (0, 255, 102): 0,
                (204, 0, 255): 0,
                (1, 2, 3): 255,
            },
        ),
    ],
)
def test_known_colours(name, codes):
    class_map = load_class_map(name)
    rgb = np.array([list(codes)], np.uint8)
    assert dict(zip(codes, class_map.apply_colours(rgb)[0].tolist())) == codes


def test_every_shipped_map_loads_and_targets_our_classes():
    assert set(class_map_names()) >= {
        'carla_0_9_13',
        'carla_0_9_14',
        'carla_palette',
        'cityscapes',
        'camvid',
        'bdd100k',
        'comma10k',
    }
    for name in class_map_names():
        class_map = load_class_map(name)
        assert class_map.name == name
        assert class_map.version >= 1
        assert class_map.target in (LANE.names, LANE_TYPES.names)
        known = {*range(len(class_map.target)), UNLABELED}
        assert {*class_map.ids.values(), *class_map.colours.values(), class_map.default} <= known


def test_unknown_colours_are_told_most_frequent_first():
    rgb = np.array([[[9, 9, 9], [128, 64, 128], [1, 1, 1], [9, 9, 9]]], np.uint8)
    assert load_class_map('camvid').unknown_colours(rgb) == [(9, 9, 9), (1, 1, 1)]


def test_a_map_from_a_file(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text(
        "name: mine\nversion: 3\ntarget: [no, yes]\ndefault: unlabeled\nids: {4: 'yes', 5: 'no'}\n"
    )
    path.write_text(path.read_text().replace('[no, yes]', "['no', 'yes']"))
    class_map = load_class_map(path)
    np.testing.assert_array_equal(class_map.apply_ids(np.array([4, 5, 6], np.uint8)), [1, 0, 255])
    assert class_map.version == 3


def test_a_bad_file_lists_every_problem(tmp_path):
    path = tmp_path / 'bad.yaml'
    path.write_text(
        'target: [background, road]\ncolour: 3\ndefault: sky\n'
        "ids: {300: road, 2: raod, x: road}\ncolours: {'1,2': road, '1,2,256': road}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_class_map(path)
    message = str(caught.value)
    for words in (
        'bad.yaml: 7 problems',
        'colour: unknown key, did you mean colours?',
        "default: expected one of background, road, unlabeled, got 'sky'",
        'got 300',
        "ids.2: expected one of background, road, unlabeled, got 'raod'",
        "got 'x'",
        "expected 'r,g,b' from 0 to 255, got '1,2'",
        "got '1,2,256'",
    ):
        assert words in message
    assert '\n' not in message


@pytest.mark.parametrize(
    'text',
    [
        '',
        '- 1',
        'a: [',
        'target: [a, b]',
        'ids: {1: road}',
        'target: [a, b]\nids: [1, 2]',
        'target: [a, b]\nids: {1: [a]}',
        'target: [a, b]\nids: {1: b}\nversion: new',
        'target: [a, b]\nids: {true: b}\ncolours: 7',
    ],
)
def test_files_of_the_wrong_form_are_one_line(tmp_path, text):
    path = tmp_path / 'bad.yaml'
    path.write_text(text)
    with pytest.raises(ConfigError, match=r'class map .*bad\.yaml') as caught:
        load_class_map(path)
    assert '\n' not in str(caught.value)


def test_names_that_are_not_there(tmp_path):
    with pytest.raises(ConfigError, match='carla_0_9_14'):
        load_class_map('carla')
    with pytest.raises(ConfigError, match='no such file'):
        load_class_map(tmp_path / 'none.yaml')
