"""Hysteresis against a slow reference, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seg_node.classes import LANE
from seg_node.decide import Decider
from seg_node.errors import ConfigError
from seg_node.images.frames import Frame
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.model.spec import ModelSpec
from seg_node.pipeline import OutputSize, Segmenter
from seg_node.ros.decision import Decision
from seg_node.steadiness import LONGEST_GAP_NS, Hysteresis


def decider(thresholds: tuple[int, ...] = (128, 128), logits: bool = False) -> Decider:
    form = {'encoding': 'logits', 'logit_scale': 1 / 16, 'logit_zero': 128} if logits else {}
    return Decider(ModelSpec('m', LANE, 'sigmoid', thresholds, **form))


def reference(drive: np.ndarray, thresholds: tuple[int, ...], margin: int) -> list[np.ndarray]:
    """Masks of scores (N, 2, h, w), pixel by pixel, by the definition of a Schmitt trigger."""
    has = np.zeros(drive.shape[1:], bool)
    masks = []
    for number, scores in enumerate(drive.astype(int)):
        for index in np.ndindex(has.shape):
            threshold = thresholds[index[0]]
            if number:
                down, up = max(threshold - margin, 1), min(threshold + margin, 255)
                threshold = down if has[index] else up
            has[index] = scores[index] >= threshold
        masks.append(np.where(has[1], 2, np.where(has[0], 1, 0)))
    return masks


@given(
    drive=arrays(np.uint8, (4, 2, 2, 3)),
    thresholds=st.tuples(st.integers(1, 255), st.integers(1, 255)),
    margin=st.integers(1, 127),
)
def test_masks_are_those_of_a_schmitt_trigger(drive, thresholds, margin):
    rule = decider(thresholds)
    steady = Hysteresis(rule, margin)
    for scores, expected in zip(drive, reference(drive, thresholds, margin)):
        np.testing.assert_array_equal(rule(steady(tuple(scores))), expected)


@given(drive=arrays(np.uint8, (3, 2, 2, 3)), margin=st.integers(1, 100))
def test_logits_are_judged_by_their_scores(drive, margin):
    rule = decider(logits=True)
    steady = Hysteresis(rule, margin)
    assert rule.code is not None
    scores = np.stack([[rule.code.scores(k, p.copy()) for k, p in enumerate(f)] for f in drive])
    for planes, expected in zip(drive, reference(scores, (128, 128), margin)):
        np.testing.assert_array_equal(rule(steady(tuple(planes))), expected)


def plane(score: int) -> tuple[np.ndarray, ...]:
    return (np.full((2, 3), score, np.uint8), np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ('gap_ns', 'kept'),
    [
        (50_000_000, True),
        (LONGEST_GAP_NS, True),
        (LONGEST_GAP_NS + 1, False),
        (0, False),
        (-1, False),
    ],
)
def test_frames_far_apart_or_back_in_time_are_no_neighbours(gap_ns, kept):
    rule = decider()
    steady = Hysteresis(rule, 30)
    steady(plane(200), 10**12)
    mask = rule(steady(plane(110), 10**12 + gap_ns))
    assert mask.all() == kept


def test_another_size_begins_anew():
    rule = decider()
    steady = Hysteresis(rule, 30)
    steady(plane(200))
    other = tuple(np.full((4, 5), 110, np.uint8) for _ in range(2))
    assert not rule(steady(other)).any()


@pytest.mark.parametrize('size', ['source', 'network'])
def test_the_segmenter_keeps_its_scores(contract_model, size: OutputSize):
    def grey(value: int) -> Frame:
        return Frame(np.full((64, 96, 3), value, np.uint8), 'bgr')

    segmenter = Segmenter(load_model(contract_model, RunOptions(threads=1)).runner, size)
    Decision(hysteresis=30).apply(segmenter)
    assert (segmenter(grey(140)).mask == 2).all()
    answer = segmenter(grey(110))
    assert (answer.mask == 2).all()
    assert {int(p.min()) for p in answer.planes} == {110}
    assert not segmenter(grey(90)).mask.any()
    assert not segmenter(grey(140)).mask.any()
    Decision().apply(segmenter)
    assert (segmenter(grey(140)).mask == 2).all()


def test_a_model_that_decides_by_the_largest_score_has_none():
    spec = ModelSpec('m', LANE, 'softmax')
    with pytest.raises(ConfigError, match='hysteresis: model m decides by the largest score'):
        Decision(hysteresis=30).check(spec)
