"""Enlarging only where a decision is open gives what enlarging everything gives."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg_node.camera.geometry import Geometry
from seg_node.camera.size import Size
from seg_node.classes import LANE
from seg_node.decide import Decider
from seg_node.enlarge import Enlarger
from seg_node.model.spec import ModelSpec


def smooth(rng: np.random.Generator, shape: tuple[int, int], peak: int) -> np.ndarray:
    """Blobs of probability on a low floor, as networks give."""
    coarse = rng.uniform(0, 1, (max(2, shape[0] // 9), max(2, shape[1] // 9)))
    fine = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip((fine - 0.35) * peak * 1.6, 0, 255).astype(np.uint8)


@given(
    seed=st.integers(0, 10_000),
    source=st.sampled_from(
        [(1280, 720), (640, 360), (960, 540), (1919, 77), (512, 288), (100, 300), (31, 17)]
    ),
    network=st.sampled_from([(512, 288), (96, 64), (130, 50)]),
    policy=st.sampled_from(['stretch', 'letterbox']),
    thresholds=st.tuples(st.integers(1, 255), st.integers(1, 255)),
    peaks=st.tuples(st.integers(0, 255), st.integers(0, 255)),
)
@settings(max_examples=80)
def test_same_mask_as_enlarging_everything(seed, source, network, policy, thresholds, peaks):
    rng = np.random.default_rng(seed)
    decider = Decider(ModelSpec('m', LANE, 'sigmoid', thresholds=thresholds))
    geometry = Geometry.fit(Size(*source), Size(*network), policy)
    scores = [smooth(rng, network[::-1], peak) for peak in peaks]
    enlarger = Enlarger(geometry, decider, 2)
    whole = decider([geometry.to_source(plane) for plane in scores])
    np.testing.assert_array_equal(enlarger.mask(scores), whole)
    np.testing.assert_array_equal(decider(enlarger.planes(scores)), whole)


@pytest.mark.parametrize('value', [0, 127, 128, 255])
def test_flat_scores(value):
    decider = Decider(ModelSpec('m', LANE, 'sigmoid'))
    enlarger = Enlarger(Geometry.fit(Size(1280, 720), Size(512, 288)), decider, 2)
    flat = np.full((288, 512), value, np.uint8)
    assert (enlarger.mask([flat, np.zeros_like(flat)]) == int(value >= 128)).all()


def test_nothing_of_the_last_frame_stays():
    decider = Decider(ModelSpec('m', LANE, 'sigmoid'))
    enlarger = Enlarger(Geometry.fit(Size(640, 360), Size(512, 288)), decider, 2)
    full, empty = np.full((288, 512), 255, np.uint8), np.zeros((288, 512), np.uint8)
    assert (enlarger.mask([full, full]) == 2).all()
    assert not enlarger.mask([empty, empty]).any()
