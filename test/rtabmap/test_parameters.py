"""What RTAB-Map and the node are told for each way of mapping."""

from __future__ import annotations

import pytest

from seg_node.rtabmap.parameters import MODES, Mapping, as_arguments

ANY_MODE = {
    'Grid/RangeMax': '20',
    'Rtabmap/DetectionRate': '1',
    'Vis/MaxDepth': '999',
    'Kp/MaxDepth': '999',
}
ALL_FEATURES = {'Vis/DepthAsMask': 'false', 'Mem/DepthAsMask': 'false'}
OF_MODE = {
    'raw': {},
    'lane_rgb': {**ALL_FEATURES, 'Mem/ImageCompressionFormat': '.png'},
    'lanes_only': {
        'Vis/DepthAsMask': 'true',
        'Mem/DepthAsMask': 'true',
        'Grid/DepthDecimation': '1',
        'Grid/NormalsSegmentation': 'false',
        'Grid/MaxGroundHeight': '0.3',
    },
    'road_only': ALL_FEATURES,
    'drop_classes': ALL_FEATURES,
}


@pytest.mark.parametrize('mode', MODES)
def test_parameters_of_a_mode(mode):
    assert Mapping(mode).rtabmap() == ANY_MODE | OF_MODE[mode]


def test_the_node_is_told_the_mode_and_the_width():
    far = {'depth_far_m': 1000.0}
    assert Mapping('raw').node() == {'rtabmap.mode': 'off', **far}
    assert Mapping('road_only').node() == {'rtabmap.mode': 'road_only', **far}
    lanes = {'rtabmap.mode': 'lanes_only', 'rtabmap.dilate_px': 3, **far}
    assert Mapping('lanes_only').node() == lanes
    assert Mapping('lanes_only', dilate_px=0).node() == lanes | {'rtabmap.dilate_px': 0}


@pytest.mark.parametrize('speed', [0.0, 8.0, 8.1, 13.9, 25.0, 41.7])
def test_nodes_are_at_most_8_m_apart(speed):
    rate = float(Mapping(max_speed=speed).rtabmap()['Rtabmap/DetectionRate'])
    assert rate >= max(1.0, speed / 8.0)
    assert rate <= max(1.0, speed / 8.0) + 0.01


def test_what_is_far_is_no_feature():
    assert Mapping().odometry() == {'Vis/MaxDepth': '999'}
    none = Mapping(depth_far_m=0.0)
    assert none.odometry() == {}
    assert 'Vis/MaxDepth' not in none.rtabmap() and none.node()['depth_far_m'] == 0.0


def test_depth_as_mask_as_the_user_says():
    for mode in MODES:
        for chosen, word in ((True, 'true'), (False, 'false')):
            told = Mapping(mode, depth_as_mask=chosen).rtabmap()
            assert told['Vis/DepthAsMask'] == told['Mem/DepthAsMask'] == word


def test_arguments_of_the_user_come_last():
    line = as_arguments({'Grid/RangeMax': '20'}, '--Grid/RangeMax 5 --delete_db_on_start')
    assert line == '--Grid/RangeMax 20 --Grid/RangeMax 5 --delete_db_on_start'
    assert as_arguments({}, '') == ''
