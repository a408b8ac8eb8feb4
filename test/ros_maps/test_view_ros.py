"""`view --ros` beside a real node, in a process of its own: what it wrote, read back."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('rerun', reason='the extra view is not installed')
pytest.importorskip('visualization_msgs.msg')

from drawn_road import LANE, Road, Stripe
from nav_msgs.msg import Odometry
from rrd_rows import rows
from std_msgs.msg import Header

from seg_node.camera.size import Size

DOMAIN = 79
SIZE = Size(320, 180)
OFFSETS = (-1.8, 1.7)


def picture(driven: float) -> np.ndarray:
    """uint8 (H, W, 3) BGR in which the contract model sees two solid lines (red)."""
    mask = Road(SIZE).draw([Stripe(y, width=0.2) for y in OFFSETS], driven)
    bgr = np.zeros((*mask.shape, 3), np.uint8)
    bgr[..., 1], bgr[..., 2] = 255 * (mask != LANE), 255 * (mask == LANE)
    return bgr


def test_a_running_node_is_shown(seg_node, tester, rig, make_contract_model, tmp_path):
    model, saved = tmp_path / 'red.onnx', tmp_path / 'live.rrd'
    make_contract_model(model, SIZE.width, SIZE.height)
    seg_node(model=str(model), camera_height_m=1.6)
    source = rig(tester, odometry=True)
    source.connect(source.image, source.info)
    command = [sys.executable, '-m', 'seg_node', 'view', '--ros', '--limit', '5']
    command += ['--save', str(saved), '--model', str(model)]
    viewing = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    try:
        driven = 0.0
        for topic in ('mask', 'lane_lines', 'ego_lane', 'lane_points', 'confidence'):
            tester.wait(
                lambda t=topic: (
                    tester.node.count_subscribers(f'/seg_node/{t}') or viewing.poll() is not None
                ),
                f'a reader of {topic}',
            )
        depth = np.zeros((SIZE.height, SIZE.width), np.float32)
        while viewing.poll() is None and driven < 200.0:
            driven += 1.0
            header = source.stamp()
            world = Header(stamp=header.stamp, frame_id='odom')
            odometry = Odometry(header=world, child_frame_id='base_link')
            odometry.pose.pose.position.x = driven
            odometry.pose.pose.orientation.w = 1.0
            source.odometry.publish(odometry)
            info = source.camera_info(header, SIZE.width, SIZE.height, SIZE.width / 2)
            source.info.publish(info)
            source.send(picture(driven), depth, '32FC1', header=header, infos=False)
            pause(tester, viewing)
        said = viewing.communicate(timeout=60)[0]
    finally:
        viewing.kill()
        viewing.wait()
    assert viewing.returncode == 0, said
    assert '/seg_node: /image and /seg_node/mask' in said
    found = rows(saved)
    masks = found['/world/vehicle/camera/mask']
    assert len(masks) >= 5
    shown = np.array(masks[-1]['SegmentationImage:buffer'], np.uint8).reshape(180, 320)
    assert set(np.unique(shown)) == {1, 2}
    lines = found['/world/vehicle/lane_lines'][-1]['LineStrips3D:strips']
    ends = sorted(np.array(strip)[0, 1] for strip in lines)
    assert ends == pytest.approx(OFFSETS, abs=0.1)
    assert found['/world/vehicle/camera/lane_points'][-1]['Points3D:positions']
    (way,) = found['/world/path/0000'][-1]['LineStrips3D:strips']
    assert np.allclose(np.diff(np.array(way)[:, 0]) % 1.0, 0.0)


def pause(tester, viewing) -> None:
    """A tenth of a second between frames, or until the viewer has ended."""
    viewing.poll()
    with tester.changed:
        tester.changed.wait_for(lambda: viewing.poll() is not None, 0.1)


def test_without_a_node_it_is_one_line(graph, tmp_path):
    command = [sys.executable, '-m', 'seg_node', 'view', '--ros', '--node', '/nobody']
    command += ['--save', str(tmp_path / 'a.rrd')]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 1
    assert done.stderr == 'error: --ros: /nobody: no such node (--node names another)\n'
    assert not list(tmp_path.glob('*.rrd'))
