"""The decision rule against a slow reference in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seg_node.classes import LANE_TYPES, ClassSet
from seg_node.decide import Decider, background_score, confidence
from seg_node.model.spec import ModelSpec

HEADS = ('sigmoid', 'softmax')


def model(count: int, head: str, thresholds: tuple[int, ...] = ()) -> ModelSpec:
    names = tuple(f'c{i}' for i in range(count + 1))
    return ModelSpec('m', ClassSet(names, ((0, 0, 0),) * (count + 1)), head, thresholds)


def slow(planes: np.ndarray, head: str, thresholds: tuple[int, ...]):
    """Class ids and confidence, pixel by pixel, as docs of `Head` say."""
    _, height, width = planes.shape
    mask, sure = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            scores = [int(v) for v in planes[:, y, x]]
            if head == 'sigmoid':
                background = 255 - max(scores)
                present = [i for i, s in enumerate(scores) if s >= thresholds[i]]
                winner = present[-1] + 1 if present else 0
            else:
                background = max(0, 255 - sum(scores))
                everything = [background, *scores]
                winner = everything.index(max(everything))
            mask[y, x] = winner
            sure[y, x] = [background, *scores][winner]
    return mask, sure


planes_of = st.integers(1, 5).flatmap(
    lambda k: arrays(np.uint8, st.tuples(st.just(k), st.integers(1, 6), st.integers(2, 7)))
)


@given(planes=planes_of, head=st.sampled_from(HEADS), data=st.data())
@settings(max_examples=150)
def test_mask_and_confidence_as_the_reference(planes, head, data):
    count = len(planes)
    thresholds = tuple(data.draw(st.lists(st.integers(1, 255), min_size=count, max_size=count)))
    decider = Decider(model(count, head, thresholds if head == 'sigmoid' else ()))
    expected, expected_confidence = slow(planes, head, thresholds)
    mask = decider(list(planes))
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(confidence(mask, list(planes), head), expected_confidence)


@pytest.mark.parametrize('head', HEADS)
def test_planes_that_are_views_and_a_given_output(head):
    rng = np.random.default_rng(2)
    wide = rng.integers(0, 256, (5, 8, 30), np.uint8)
    planes = wide[:, 1:6, 3:20]
    before = wide.copy()
    out = np.full((5, 17), 99, np.uint8)
    decider = Decider(ModelSpec('m', LANE_TYPES, head))
    assert decider(list(planes), out) is out
    np.testing.assert_array_equal(out, slow(planes, head, (128,) * 5)[0])
    np.testing.assert_array_equal(wide, before)  # scores are read again for the confidence


def test_one_decider_serves_pictures_of_changing_size():
    rng = np.random.default_rng(4)
    decider = Decider(model(2, 'sigmoid', (10, 250)))
    for shape in ((3, 4), (7, 2), (3, 4)):
        planes = rng.integers(0, 256, (2, *shape), np.uint8)
        np.testing.assert_array_equal(decider(planes), slow(planes, 'sigmoid', (10, 250))[0])


def test_background_never_goes_below_zero():
    planes = [np.full((1, 1), 200, np.uint8)] * 3
    assert background_score(planes, 'softmax')[0, 0] == 0
    assert background_score(planes, 'sigmoid')[0, 0] == 55
