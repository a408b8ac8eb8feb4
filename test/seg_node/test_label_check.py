"""Label values of other projects are named, and the class map that fits is proposed."""

from __future__ import annotations

import numpy as np
import pytest

from seg_node.class_map import load_class_map
from seg_node.classes import LANE
from seg_node.label_check import LabelValues, fitting_class_map, label_problem


def values(top: list[int], bottom: list[int]) -> LabelValues:
    """Counts of a label picture whose upper and lower half hold these codes, evenly."""
    halves = [np.resize(np.array(codes, np.uint8), (8, 24)) for codes in (top, bottom)]
    return LabelValues.of([np.vstack(halves)])


def problem(found: LabelValues, positive: tuple[int, ...] = (1, 2), name: str = '') -> str | None:
    return label_problem(found, LANE.names, positive, load_class_map(name) if name else None)


@pytest.mark.parametrize(
    ('top', 'bottom', 'name'),
    [
        ([10], [7, 7, 6, 10], 'carla_0_9_13'),
        ([11, 3], [1, 24, 2], 'carla_0_9_14'),
        ([23, 21], [7, 8, 26], 'cityscapes'),
        ([10, 2], [0, 13, 255], 'bdd100k'),
        ([90], [80, 40], None),
        ([0], [255], None),
    ],
)
def test_the_numbering_is_recognised(top, bottom, name):
    assert fitting_class_map(values(top, bottom)) == name


def test_foreign_ids_are_named_with_the_map_that_fits():
    text = problem(values([10], [7, 6, 0]))
    assert text is not None
    assert 'labels hold ids 6, 7, 10' in text
    assert 'use class_map: carla_0_9_13' in text
    assert problem(values([10], [7, 6, 0]), name='carla_0_9_13') is None


def test_a_grey_picture_is_no_flood_of_numbers():
    text = problem(values(list(range(100)), list(range(100, 200))))
    assert text is not None
    assert 'and 185 more' in text
    assert len(text) < 250


@pytest.mark.parametrize('positive', [(1, 2), (2,)])
def test_binary_masks_are_refused_and_their_map_works(positive):
    masks = values([0], [0, 255])
    text = problem(masks, positive)
    assert text is not None
    assert "hold only 0, 255, and 255 is 'unlabelled' here" in text
    assert problem(masks, positive, 'binary_marking') is None


@pytest.mark.parametrize('bottom', [[0, 1], [1], [1, 255]])
def test_what_is_asked_for_never_occurs(bottom):
    text = problem(values([0], bottom), (2,))
    assert text is not None
    assert 'never 2 lane_marking' in text


@pytest.mark.parametrize('bottom', [[0], [0, 1, 255], [2], [1, 2]])
def test_labels_of_ours_pass(bottom):
    assert problem(values([0], bottom)) is None


def test_a_map_that_never_says_road_is_the_wrong_one():
    text = problem(values([10], [7, 6]), name='carla_0_9_14')
    assert text is not None
    assert 'none of which carla_0_9_14 makes' in text
