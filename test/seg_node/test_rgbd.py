"""What each mode does to colour and depth, and the account of sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg_node.camera.depth import Depth
from seg_node.classes import LANE, LANE_TYPES, ClassSet
from seg_node.errors import ConfigError, FrameError
from seg_node.joining import StampSynchronizer
from seg_node.rgbd import RgbdMode, lane_ids, road_ids

MASK = np.array([[0, 1, 2, 1], [0, 0, 2, 2]], np.uint8)
DEPTH = Depth(np.arange(1, 9, dtype=np.uint16).reshape(2, 4), '16UC1')


def cut(mode, **options):
    return RgbdMode.of(mode, LANE, **options).cut(DEPTH, MASK).pixels.tolist()


def test_each_mode_on_depth():
    assert cut('lane_rgb') == DEPTH.pixels.tolist()
    assert cut('lanes_only') == [[0, 0, 3, 0], [0, 0, 7, 8]]
    assert cut('road_only') == [[0, 2, 3, 4], [0, 0, 7, 8]]
    assert cut('drop_classes', drop=['background', 'lane_marking']) == [[0, 2, 0, 4], [0, 0, 0, 0]]


def test_dilation_widens_what_the_mode_acts_on():
    mask = np.zeros((9, 9), np.uint8)
    mask[4, 4] = 2
    depth = Depth(np.ones((9, 9), np.float32), '32FC1')
    kept = RgbdMode.of('lanes_only', LANE, dilate_px=2).cut(depth, mask).pixels
    assert kept[4].tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0]
    dropped = RgbdMode.of('drop_classes', LANE, ['lane_marking'], 2).cut(depth, mask).pixels
    assert np.array_equal(dropped, 1 - kept)
    painted = RgbdMode.of('lane_rgb', LANE, dilate_px=2).paint(mask)
    assert np.array_equal(painted.any(axis=2), kept > 0)
    assert painted[4, 4].tolist() == list(LANE.colours[2][::-1])


def test_smaller_depth_is_cut_by_blocks():
    depth = Depth(np.ones((1, 2), np.float32), '32FC1')
    assert RgbdMode.of('lanes_only', LANE).cut(depth, MASK).pixels.tolist() == [[0, 1]]
    with pytest.raises(FrameError, match='integer multiple'):
        RgbdMode.of('lane_rgb', LANE).cut(Depth(np.ones((1, 3), np.float32), '32FC1'), MASK)


def test_classes_are_found_by_name():
    assert lane_ids(LANE) == (2,)
    assert road_ids(LANE) == (1, 2)
    assert lane_ids(LANE_TYPES) == (3, 4, 5)
    assert road_ids(LANE_TYPES) == (1, 2, 3, 4, 5)
    other = ClassSet(('void', 'tarmac', 'paint'), ((0, 0, 0),) * 3)
    assert lane_ids(other, ['paint']) == (2,)
    with pytest.raises(ConfigError, match='void, tarmac, paint'):
        lane_ids(other)


def test_impossible_modes():
    with pytest.raises(ConfigError, match='at least one class name'):
        RgbdMode.of('drop_classes', LANE)
    with pytest.raises(ConfigError) as refused:  # the shipped model has no such class
        RgbdMode.of('drop_classes', LANE, ['vehicle'])
    assert str(refused.value) == (
        "rtabmap.drop_classes: class 'vehicle': expected one of background, road, lane_marking of "
        'the model'
    )
    with pytest.raises(ConfigError, match='dilate_px'):
        RgbdMode.of('lanes_only', LANE, dilate_px=-1)


def balanced(sync):
    counts = sync.counts()
    return all(
        counts.offered.get(part, 0)
        == counts.sets + counts.lost.get(part, 0) + counts.pending.get(part, 0)
        for part in sync.parts
    )


def test_a_set_is_whole_in_any_order_of_arrival():
    sync = StampSynchronizer(('image', 'info', 'depth'))
    assert sync.offer('depth', 5, 'd5') is None
    assert sync.offer('image', 5, 'i5') is None
    assert sync.offer('info', 5, 'c5') == {'image': 'i5', 'info': 'c5', 'depth': 'd5'}
    assert balanced(sync)


def test_exact_stamps_are_exact_and_tolerance_takes_the_nearest():
    sync = StampSynchronizer(('image', 'depth'))
    sync.offer('image', 100, 'i')
    assert sync.offer('depth', 101, 'd') is None
    sync = StampSynchronizer(('image', 'depth'), tolerance_ns=10)
    sync.offer('depth', 92, 'far')
    sync.offer('depth', 103, 'near')
    assert sync.offer('image', 100, 'i') == {'image': 'i', 'depth': 'near'}
    assert sync.offer('depth', 120, 'd') is None
    assert balanced(sync)


def test_stamps_that_never_meet_are_lost_and_memory_is_bounded():
    sync = StampSynchronizer(('image', 'depth'), keep=4)
    for i in range(100):
        assert sync.offer('image', 2 * i, i) is None
        assert sync.offer('depth', 2 * i + 1, i) is None
    counts = sync.counts()
    assert counts.sets == 0
    assert counts.lost == {'image': 96, 'depth': 96}
    assert balanced(sync)
    sync.clear()
    assert sync.counts().lost == {'image': 100, 'depth': 100}


def test_missing_and_later_required_parts():
    sync = StampSynchronizer(('image', 'depth'))
    sync.offer('image', 1, 'i')
    assert sync.missing() == ('depth',)
    sync.require('info')
    assert sync.offer('depth', 1, 'd') is None
    assert sync.offer('info', 1, 'c') == {'image': 'i', 'depth': 'd', 'info': 'c'}


@given(
    st.lists(st.tuples(st.sampled_from('abc'), st.integers(0, 12)), max_size=120),
    st.integers(0, 2),
)
def test_every_part_is_accounted_for(offers, tolerance):
    sync = StampSynchronizer('abc', tolerance, keep=3)
    sets = [s for n, t in offers if (s := sync.offer(n, t, (n, t)))]
    assert balanced(sync)
    assert sync.counts().sets == len(sets)
    for whole in sets:
        assert sorted(whole) == ['a', 'b', 'c']
        assert all(abs(t - whole['a'][1]) <= tolerance for _, t in whole.values())
