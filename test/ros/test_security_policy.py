"""The SROS 2 policy that is shipped names exactly what the node has in a ROS graph."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

pytest.importorskip('rclpy')

DOMAIN = 57
POLICY = Path(__file__).parents[2] / 'config' / 'sros2_policy.xml'
KINDS = ('topics[@subscribe="ALLOW"]/topic', 'topics[@publish="ALLOW"]/topic',
         'services[@reply="ALLOW"]/service')  # fmt: skip
# Made by other versions or settings of ROS, or without effect on this node.
OPTIONAL = {'/clock', '/parameter_events', '/seg_node/get_type_description'}
# Subscribed only while somebody reads lane lines.
OPTIONAL |= {'/odom', '/tf', '/tf_static'}


def full(name):
    return name.replace('~', '/seg_node', 1) if name.startswith('~') else f'/{name}'


def named():
    (profile,) = ET.parse(POLICY).findall('.//profile[@node="seg_node"]')
    return [{full(e.text) for e in profile.findall(kind)} for kind in KINDS]


def test_policy_names_what_the_node_has(tester, seg_node, contract_model):
    node = seg_node(model=str(contract_model))

    def in_graph():
        questions = (
            node.get_subscriber_names_and_types_by_node,
            node.get_publisher_names_and_types_by_node,
            node.get_service_names_and_types_by_node,
        )
        return [{name for name, _ in ask('seg_node', '/')} for ask in questions]

    tester.wait(lambda: '/image' in in_graph()[0] and '/seg_node/mask' in in_graph()[1], 'topics')
    missing_here = set()
    if importlib.util.find_spec('vision_msgs') is None:
        missing_here.add('/seg_node/label_info')
    for allowed, present in zip(named(), in_graph()):
        assert allowed - missing_here - OPTIONAL == present - OPTIONAL
