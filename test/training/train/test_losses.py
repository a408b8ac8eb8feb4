"""Losses and metrics against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seg_node_training.data.targets import UNKNOWN, encoder, found_planes, lane_ids, truth_planes
from seg_node_training.evaluate.confusion import Confusion
from seg_node_training.evaluate.metrics import SetScore, binary_counts
from seg_node_training.train.losses import masked_bce, masked_dice, split_target


def test_bce_is_the_mean_over_known_pixels():
    logits = torch.zeros(1, 1, 1, 4)
    logits[..., 3] = 50.0  # would cost 50 if it counted
    target, known = split_target(torch.tensor([[[[254, 0, 127, UNKNOWN]]]], dtype=torch.uint8))
    assert masked_bce(logits, target, known).item() == pytest.approx(math.log(2), abs=1e-6)


def test_dice_by_hand():
    logits = torch.full((1, 1, 1, 4), -1e3)
    logits[..., :2] = 1e3
    target, known = split_target(torch.tensor([[[[254, 0, 254, 0]]]], dtype=torch.uint8))
    # One hit, two found, two true: 1 - (2 * 1 + 1) / (2 + 2 + 1)
    assert masked_dice(logits, target, known).item() == pytest.approx(1 - 3 / 5, abs=1e-6)


def test_a_class_nobody_knows_gives_no_loss_and_no_gradient():
    logits = torch.randn(2, 2, 4, 4, requires_grad=True)
    codes = torch.full((2, 2, 4, 4), UNKNOWN, dtype=torch.uint8)
    codes[:, 0] = 254
    target, known = split_target(codes)
    loss = masked_bce(logits, target, known) + masked_dice(logits, target, known)
    loss.backward()
    assert torch.count_nonzero(logits.grad[:, 1]) == 0
    assert torch.count_nonzero(logits.grad[:, 0]) > 0
    alone = logits.detach()[:, :1]
    same = masked_bce(alone, target[:, :1], known[:, :1])
    same = same + masked_dice(alone, target[:, :1], known[:, :1])
    assert loss.item() == pytest.approx(same.item(), abs=1e-6)


def test_nothing_known_at_all_is_zero_and_finite():
    logits = torch.randn(1, 2, 3, 3, requires_grad=True)
    target, known = split_target(torch.full((1, 2, 3, 3), UNKNOWN, dtype=torch.uint8))
    loss = masked_bce(logits, target, known) + masked_dice(logits, target, known)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(logits.grad).all()


def test_soft_targets_are_probabilities():
    target, known = split_target(torch.tensor([0, 127, 254, 255], dtype=torch.uint8))
    assert target[:3].tolist() == [0.0, 0.5, 1.0]
    assert known.tolist() == [1.0, 1.0, 1.0, 0.0]


def test_counts_leave_out_unknown_pixels():
    found = np.array([[True, True, False, True, False]])
    counts = binary_counts(found, np.array([[254, 0, 254, 255, 0]], np.uint8))
    assert counts.tolist() == [[1, 1], [1, 1]]
    score = SetScore()
    score.add('p', {'road': found}, {'road': np.array([[254, 0, 254, 255, 0]], np.uint8)})
    assert score.summary()['road'] == pytest.approx(
        {'iou': 1 / 3, 'precision': 0.5, 'recall': 0.5}
    )


def test_iou_is_accumulated_over_pictures_not_averaged():
    score = SetScore()
    unknown = np.full((1, 4), 255, np.uint8)
    for found, truth in (([1, 1, 1, 1], [254] * 4), ([1, 0, 0, 0], [0, 254, 0, 0])):
        planes = {'road': np.array([found], bool), 'lane_marking': np.zeros((1, 4), bool)}
        truths = {'road': np.array([truth], np.uint8), 'lane_marking': unknown}
        score.add('picture', planes, truths)
    assert score.summary()['road']['iou'] == pytest.approx(4 / 6)
    assert 'lane_marking' not in score.summary()


def test_confusion_by_hand():
    confusion = Confusion(('background', 'road', 'lane_marking'))
    truth = np.array([[0, 1, 1, 2, 255]], np.uint8)
    confusion.add(truth, np.array([[0, 1, 2, 2, 0]], np.uint8))
    assert confusion.counts.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert confusion.iou() == {'background': 1.0, 'road': 0.5, 'lane_marking': 0.5}
    assert confusion.mean_iou() == pytest.approx(2 / 3)


def test_truth_of_a_road_only_target_has_two_ids():
    road = np.array([[254, 0, 255]], np.uint8)
    unknown = np.full((1, 3), 255, np.uint8)
    assert lane_ids(np.stack([road, unknown])).tolist() == [[1, 0, 255]]
    lane = np.array([[254, 0, 0]], np.uint8)
    assert lane_ids(np.stack([road, lane])).tolist() == [[2, 0, 255]]


def test_targets_of_each_kind_of_head():
    planes = np.array([[[254, 254, 0, 255]], [[0, 254, 0, 254]]], np.uint8)
    np.testing.assert_array_equal(encoder('lane', 'sigmoid')(planes), planes)
    np.testing.assert_array_equal(encoder('marking', 'sigmoid')(planes), planes[1:])
    assert encoder('lane', 'softmax')(planes).tolist() == [[[1, 2, 0, 2]]]
    assert encoder('marking', 'softmax')(planes).tolist() == [[[0, 1, 0, 1]]]
    ids = np.array([[[0, 3, 255]]], np.uint8)
    np.testing.assert_array_equal(encoder('lane_types', 'softmax')(ids), ids)
    truths = truth_planes(ids, 'lane_types', ('background', 'a', 'b', 'c'))
    assert truths['c'].tolist() == [[0, 254, 255]]
    found = found_planes(np.array([[1, 2, 0]], np.uint8), 'lane', ('background', 'road', 'line'))
    assert found['road'].tolist() == [[True, True, False]]
    assert found['line'].tolist() == [[False, True, False]]


def test_markings_are_also_scored_within_a_stated_tolerance():
    truth = np.zeros((20, 40), np.uint8)
    truth[:, 10:12] = 254
    truth[:, 30:] = UNKNOWN
    found = np.zeros((20, 40), bool)
    found[:, 13:15] = True  # three pixels beside, all of it within the tolerance
    found[:, 20:22] = True  # nothing there
    found[:, 33:35] = True  # nobody knows
    score = SetScore()
    score.add('a', {'road': found, 'lane_marking': found}, {'road': truth, 'lane_marking': truth})
    table = score.summary()
    assert table['lane_marking']['iou'] == 0
    # 40 true pixels are all near; of 80 found ones 40 are not: 40 / (40 + 40).
    assert table['lane_marking']['lane_iou_within_3px'] == pytest.approx(0.5)
    assert 'lane_iou_within_3px' not in table['road']
