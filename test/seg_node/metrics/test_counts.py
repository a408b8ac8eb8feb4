"""The fast counts against plain ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from seg_node.camera.camera_info import Calibration
from seg_node.camera.depth import Depth
from seg_node.camera.ground import GroundPlane, GroundView
from seg_node.camera.intrinsics import Intrinsics
from seg_node.camera.size import Size
from seg_node.metrics.counts import CountSpec, confusion, lane_counts, pair_counts
from seg_node.metrics.figures import mean_iou
from seg_node.replay.bootstrap import Bootstrap
from seg_node.replay.distance import Bands
from seg_node.replay.tally import spread_out

SIZES = st.tuples(st.integers(2, 40), st.integers(2, 50))


def planes(seed: int, size: tuple[int, int], classes: int, bands: int):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes + 1, size).astype(np.uint8)
    truth[truth == classes] = 255
    mask = rng.integers(0, classes, size).astype(np.uint8)
    return truth, mask, rng.integers(0, bands + 1, size).astype(np.uint8)


@settings(max_examples=60)
@given(st.integers(0, 2**31), SIZES, st.sampled_from([(2, 6), (3, 4), (6, 5)]))
def test_confusion_by_band(seed, size, shape):
    classes, bands = shape
    truth, mask, band = planes(seed, size, classes, bands)
    expected = np.zeros((bands + 1, classes, classes), np.int64)
    known = truth != 255
    np.add.at(expected, (band[known], truth[known], mask[known]), 1)
    spec = CountSpec(classes, bands, (1,), 2)
    assert np.array_equal(confusion(truth, mask, band, spec), expected)
    without = confusion(truth, mask, None, spec)
    assert np.array_equal(without[-1], expected.sum(0)) and not without[:-1].any()


@settings(max_examples=60)
@given(st.integers(0, 2**31), SIZES, st.integers(0, 6))
def test_lane_counts_by_euclidean_distance(seed, size, tolerance):
    rng = np.random.default_rng(seed)
    truth, mask = ((rng.random(size) < 0.08).astype(np.uint8) * 2 for _ in range(2))
    truth[rng.random(size) < 0.1] = 255
    true, found = truth == 2, (mask == 2) & (truth != 255)

    def near(one, other):
        if not other.any():
            return 0
        return int((one & (distance_transform_edt(~other) <= tolerance)).sum())

    counts = lane_counts(truth, mask, CountSpec(3, 4, (2,), tolerance))
    assert (counts.true, counts.true_near) == (true.sum(), near(true, found))
    assert (counts.found, counts.found_near) == (found.sum(), near(found, true))


def test_ground_plane_agrees_with_projection():
    """A point of the road, projected, lies in a row whose distance is the point's."""
    size, height, pitch = Size(640, 360), 1.6, 4.0
    k = (400.0, 0.0, 319.5, 0.0, 400.0, 179.5, 0.0, 0.0, 1.0)
    camera = Intrinsics(size, k, (*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0))
    depth = (
        GroundView(Calibration(camera), GroundPlane(height, np.radians(pitch))).depth(size).pixels
    )
    angle = np.radians(pitch)
    for forward in (6.0, 12.0, 30.0):
        z = forward * np.cos(angle) + height * np.sin(angle)
        y = height * np.cos(angle) - forward * np.sin(angle)
        row = 400.0 * y / z + 179.5
        low, high = depth[int(np.floor(row)), 0], depth[int(np.ceil(row)), 0]
        assert high <= z + 1e-6 <= low + 1e-3
    assert depth[0, 0] == 0.0


def test_bands_of_metres_and_millimetres():
    metres = Depth(np.float32([[0.0, 9.9, 10.0, np.nan, np.inf]]), '32FC1')
    assert Bands((10.0,)).of(metres).tolist() == [[2, 0, 1, 2, 2]]
    millimetres = Depth(np.uint16([[0, 9999, 10000, 65535]]), '16UC1')
    assert Bands((10.0, 40.0)).of(millimetres).tolist() == [[3, 0, 1, 2]]


def test_bootstrap_interval_covers_the_difference_and_is_repeatable():
    rng = np.random.default_rng(3)
    blocks = rng.integers(50, 100, (2, 80, 2, 2)).astype(np.int64)
    blocks[1, :, 0, 0] += 40
    boot = Bootstrap.for_frames(80, 1.0)
    values = boot.samples(blocks, mean_iou)
    assert np.array_equal(values, boot.samples(blocks, mean_iou))
    low, high = boot.interval(values[:, 1] - values[:, 0])
    difference = mean_iou(blocks.sum(1))
    assert 0 < low < difference[1] - difference[0] < high
    one = boot.samples(np.stack([blocks[0], blocks[0]]), mean_iou)
    assert np.array_equal(one[:, 0], one[:, 1])


def test_blocks_are_neither_too_few_nor_too_many():
    assert Bootstrap.for_frames(60, 15.0).block_frames == 3
    assert Bootstrap.for_frames(1000, 15.0).block_frames == 15
    assert Bootstrap.for_frames(10**6, 30.0).block_frames == -(-(10**6) // 1500)
    assert Bootstrap.for_frames(0, None).block_frames == 1


def test_gallery_frames_differ():
    assert spread_out(np.array([5, 6, 7, 20, 4]), 3, 5) == [5, 20]


@pytest.mark.parametrize('classes', [2, 15, 16, 150, 255])
def test_pairs_of_any_number_of_classes(classes):
    rng = np.random.default_rng(classes)
    truth = rng.integers(0, 256, (40, 50), np.uint8)
    mask = rng.integers(0, classes, (40, 50)).astype(np.uint8)
    expected = np.zeros((classes, classes), np.int64)
    for true, shown in zip(truth.ravel().tolist(), mask.ravel().tolist()):
        if true < classes:
            expected[true, shown] += 1
    assert np.array_equal(pair_counts(truth, mask, classes), expected)
