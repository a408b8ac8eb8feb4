"""The drive played over DDS into a real node: its masks are the offline ones."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')

DOMAIN = '72'


@pytest.fixture
def private_domain(monkeypatch):
    """A ROS graph of this test alone."""
    monkeypatch.setenv('ROS_DOMAIN_ID', DOMAIN)
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')


def test_masks_of_the_node_equal_the_offline_ones(
    drive, replay, contract_model, private_domain, tmp_path
):
    from seg_node.ros.session import node_process

    arguments = ['--ros-args', '-p', f'model:={contract_model}']
    with node_process('seg_node.ros.node', arguments, tmp_path / 'node.log'):
        status, report, errors = replay(drive(frames=20), '--realtime', '--wait', 90)
    assert (status, errors) == (0, '')
    (found,) = report['realtime']['drives']
    assert found['sent'] == 20
    assert found['masks'] + found['dropped'] == 20
    assert found['equal'] == found['compared'] == found['masks'] > 0
    assert found['frame_age_ms']['p50'] > 0


def test_another_model_in_the_node_is_found_out(
    drive, replay, make_contract_model, private_domain, tmp_path
):
    from seg_node.ros.session import node_process

    other = make_contract_model(tmp_path / 'blind.onnx', thresholds=(128, 255))
    arguments = ['--ros-args', '-p', f'model:={other}']
    with node_process('seg_node.ros.node', arguments, tmp_path / 'node.log'):
        status, report, errors = replay(drive(frames=8), '--realtime', '--wait', 90)
    assert status == 3
    assert 'masks of the node differ' in errors
    assert report['realtime']['drives'][0]['equal'] == 0


def test_no_node_is_said_in_one_line(drive, replay, private_domain):
    status, _, errors = replay(drive(), '--realtime', '--wait', 0.3)
    assert status == 1
    assert 'found none within 0.3 s' in errors.strip().splitlines()[-1]
