"""Lane lines and the ego lane of the real node, over DDS."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

pytest.importorskip('rclpy')

from drawn_road import LANE, Road, Stripe
from nav_msgs.msg import Odometry, Path
from std_msgs.msg import Header

from seg_node.camera.size import Size

visualization = pytest.importorskip('visualization_msgs.msg')

DOMAIN = 77
SIZE = Size(640, 360)
DASHED = (Stripe(5.2), Stripe(1.7, dash=3.0, gap=6.0), Stripe(-1.8))
SOLID = (Stripe(5.2), Stripe(1.7), Stripe(-1.8))
_UNUSED = np.zeros((SIZE.height, SIZE.width), np.float32)


def picture(road: Road, stripes: tuple[Stripe, ...], driven: float) -> np.ndarray:
    """uint8 (H, W, 3) BGR in which the contract model sees the drawn markings (red)."""
    mask = road.draw(stripes, driven)
    bgr = np.zeros((*mask.shape, 3), np.uint8)
    bgr[..., 1], bgr[..., 2] = 255 * (mask != LANE), 255 * (mask == LANE)
    return bgr


class Drive:
    """A camera on a straight road, with odometry; and who reads the lines."""

    def __init__(self, tester, rig, road: Road, stripes: tuple[Stripe, ...]) -> None:
        self.tester, self.rig = tester, rig(tester, odometry=True)
        self.road, self.stripes = road, stripes
        self.rig.connect(self.rig.image, self.rig.info)
        self.way = 0.0

    def read(self) -> None:
        """Read both topics; the node then takes odometry."""
        self.markers = self.tester.listen(visualization.MarkerArray, '/seg_node/lane_lines')
        self.path = self.tester.listen(Path, '/seg_node/ego_lane')
        self.rig.connect(self.rig.odometry)

    def frame(self, step_m: float = 1.0) -> tuple[Path, list]:
        """Drive on and send one frame; the ego lane and the markers of its stamp."""
        self.way += step_m
        header = self.rig.stamp()
        world = Header(stamp=header.stamp, frame_id='odom')
        odometry = Odometry(header=world, child_frame_id='base_link')
        odometry.pose.pose.position.x = self.way
        odometry.pose.pose.orientation.w = 1.0
        self.rig.odometry.publish(odometry)
        info = self.rig.camera_info(header, SIZE.width, SIZE.height, SIZE.width / 2)
        self.rig.info.publish(info)
        self.rig.send(
            picture(self.road, self.stripes, self.way),
            _UNUSED,
            '32FC1',
            header=header,
            infos=False,
        )
        path = self.path.stamped(header.stamp)

        def markers():
            arrays = (message.markers for message in self.markers.messages)
            return next((m for m in arrays if m and m[0].header.stamp == header.stamp), None)

        return path, self.tester.wait(markers, 'markers of the same stamp')


@pytest.fixture
def drive(seg_node, tester, rig, make_contract_model, tmp_path):
    """A node with a model of the picture's size, and a camera before it."""

    def make(road: Road | None = None, stripes=DASHED, **parameters) -> Drive:
        model = make_contract_model(tmp_path / 'red.onnx', SIZE.width, SIZE.height)
        seg_node(model=str(model), **parameters)
        return Drive(tester, rig, road or Road(SIZE), stripes)

    return make


def test_lines_and_the_ego_lane_are_where_the_road_has_them(drive):
    driven = drive(camera_height_m=1.6)
    driven.read()
    for _ in range(8):
        path, markers = driven.frame()
    assert path.header.frame_id == markers[0].header.frame_id == 'base_link'
    lines = {m.id: m for m in markers if m.ns == 'lane_lines'}
    offsets = sorted((m.points[0].y for m in lines.values()), reverse=True)
    assert offsets == pytest.approx([5.2, 1.7, -1.8], abs=0.06)
    kinds = {round(m.points[0].y): m.type for m in lines.values()}
    assert kinds[2] == visualization.Marker.LINE_LIST  # dashed
    assert kinds[5] == kinds[-2] == visualization.Marker.LINE_STRIP
    labels = {m.id: m.text for m in markers if m.ns == 'labels'}
    assert {text.split()[0] for text in labels.values()} == {'left_1', 'left_2', 'right_1'}
    assert set(labels) == set(lines) == {m.id for m in markers if m.ns == 'deviation'}
    middle = [(p.pose.position.x, p.pose.position.y) for p in path.poses]
    assert len(middle) > 10
    assert max(abs(y + 0.05) for x, y in middle if x < 20.0) < 0.08
    assert path.poses[0].pose.orientation.w == pytest.approx(1.0, abs=1e-3)
    _, later = driven.frame()
    assert {m.id for m in later if m.ns == 'lane_lines'} == set(lines)


def test_nothing_is_subscribed_or_found_while_nobody_reads(drive, tester, watch):
    driven = drive(camera_height_m=1.6)
    status = watch(tester)
    assert driven.rig.odometry.get_subscription_count() == 0
    driven.read()
    driven.frame()
    _, message, values = status.wait('lane lines', lambda *s: s[2].get('lines') == '3')
    assert message == 'lane lines'
    assert values['odometry'] == 'good'
    assert float(values['camera_height_m']) == pytest.approx(1.6)
    for inbox in (driven.markers, driven.path):
        tester.node.destroy_subscription(inbox.subscription)
    tester.wait(
        lambda: driven.rig.odometry.get_subscription_count() == 0, 'the end of the subscription'
    )


def test_angles_by_the_lines_are_used_reported_and_kept(drive, tester, watch, tmp_path):
    kept = tmp_path / 'angles.json'
    road = Road(SIZE, pitch=math.radians(3.0), yaw=math.radians(-1.0))
    driven = drive(
        road,
        SOLID,
        camera_height_m=1.6,
        lane_lines__camera='lines',
        lane_lines__calibration_file=str(kept),
    )
    status = watch(tester)
    driven.read()
    for _ in range(33):
        path, _ = driven.frame()
    # A report may fall between the answer and the first frame that is seen with it.
    _, _, values = status.wait(
        'lane lines', lambda *s: float(s[2].get('camera_pitch_deg', 0)) > 2.5
    )
    assert float(values['lines_pitch_deg']) == pytest.approx(3.0, abs=0.3)
    assert float(values['lines_yaw_deg']) == pytest.approx(-1.0, abs=0.3)
    assert float(values['camera_pitch_deg']) == pytest.approx(3.0, abs=0.3)
    found = json.loads(kept.read_text())
    assert found['pitch_deg'] == pytest.approx(3.0, abs=0.3)
    assert found['camera'] == 'ego_vehicle/rgb_front'
    ahead = [p.pose.position.y for p in path.poses if p.pose.position.x < 20.0]
    assert max(abs(y + 0.05) for y in ahead) < 0.15


def test_angles_by_the_lines_need_the_height(seg_node, tester, watch, contract_model):
    status = watch(tester)
    seg_node(model=str(contract_model), lane_lines__camera='lines')
    _, message, _ = status.wait('segmentation', lambda *s: 'camera_height_m' in s[1])
    assert message == 'lane_lines.camera lines: expected camera_height_m above 0'
