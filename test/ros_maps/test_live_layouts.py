"""Every topic that RViz's configuration and Foxglove's live layout name, from the real nodes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy')
pytest.importorskip('visualization_msgs.msg')

DOMAIN = 78
REPOSITORY = Path(__file__).resolve().parents[2]
KINDS = {
    'rviz_default_plugins/Image': 'sensor_msgs/msg/Image',
    'rviz_default_plugins/PointCloud2': 'sensor_msgs/msg/PointCloud2',
    'rviz_default_plugins/MarkerArray': 'visualization_msgs/msg/MarkerArray',
    'rviz_default_plugins/Path': 'nav_msgs/msg/Path',
}


@pytest.fixture
def offered(seg_node, tester, contract_model, spin):
    """Types by topic of what the nodes publish with their defaults."""
    from seg_node.ros.lane_map_node import LaneMapNode

    seg_node(model=str(contract_model))
    with spin(LaneMapNode()):

        def topics() -> dict[str, list[str]]:
            found = tester.node.get_topic_names_and_types()
            return {topic: kinds for topic, kinds in found if tester.node.count_publishers(topic)}

        def both():
            return {'/seg_node/mask', '/lane_map/points'} <= set(topics())

        tester.wait(both, 'the topics of both nodes')
        yield topics()


def test_the_layouts_of_a_rig_name_topics_of_the_node(seg_node, tester, contract_model):
    cameras = ['rgb_left', 'rgb_front', 'rgb_right']
    seg_node(model=str(contract_model), cameras=cameras)
    for camera in cameras:
        tester.wait(
            lambda camera=camera: tester.node.count_publishers(f'/seg_node/{camera}/lane_points'),
            f'topics of {camera}',
        )
    topics = tester.node.get_topic_names_and_types()
    ours = {topic for topic, _ in topics if tester.node.count_publishers(topic)}
    for path in ('rviz/rig.rviz', 'foxglove/rig.json'):
        named = set(re.findall(r'(/seg_node/[a-z_/]+)', (REPOSITORY / path).read_text()))
        assert len(named) >= 6
        assert named <= ours, path


def test_the_layouts_name_topics_of_the_nodes(offered):
    config = yaml.safe_load((REPOSITORY / 'rviz' / 'seg_node.rviz').read_text())
    displays = config['Visualization Manager']['Displays']
    shown = {d['Topic']['Value']: d['Class'] for d in displays if 'Topic' in d}
    assert len(shown) >= 7
    for topic, kind in shown.items():
        assert offered.get(topic) == [KINDS[kind]], topic
    layout = (REPOSITORY / 'foxglove' / 'live.json').read_text()
    json.loads(layout)
    named = set(re.findall(r'"(/[a-z_/]+)"', layout))
    assert len(named) >= 7
    assert named <= set(offered)
