"""The node `lane_map` over DDS: it maps, saves and resets, and says what is wrong."""

from __future__ import annotations

import contextlib
import itertools
import json
import resource

import numpy as np
import pytest

pytest.importorskip('rclpy')

from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from seg_node.camera.size import Size
from seg_node.images.frames import fill_image
from seg_node.lane_map.cost import StripedRoad
from seg_node.ros.clouds import to_cloud
from seg_node.transforms import Pose

DOMAIN = 76
MOUNT = {'camera_x_m': 1.5, 'camera_z_m': 1.6, 'camera_pitch_deg': float(np.degrees(0.1))}


@pytest.fixture(scope='module')
def world():
    return StripedRoad(size=Size(320, 180))


class Driver:
    """Publishes what seg_node and a source would, for a drive along x."""

    def __init__(self, tester, world, reliable) -> None:
        self.tester, self.world, self.number = tester, world, 0
        create = tester.node.create_publisher
        self.points = create(PointCloud2, '/lane_points', reliable)
        self.mask = create(Image, '/mask', reliable)
        self.info = create(CameraInfo, '/camera_info', reliable)
        self.odom = create(Odometry, '/odom', reliable)

    def connect(self, *publishers) -> None:
        for p in publishers or (self.points, self.mask, self.info, self.odom):
            self.tester.wait(p.get_subscription_count, f'subscription of {p.topic_name}')

    def send(self, x: float, *, odometry: Pose | str | None = 'true', focal=None) -> None:
        """One frame at 20 Hz from the vehicle's place (x, 0)."""
        self.number += 1
        nanoseconds = self.number * 50_000_000
        header = Header(frame_id='camera_optical_frame')
        header.stamp.sec, header.stamp.nanosec = divmod(nanoseconds, 1_000_000_000)
        pose = Pose.of_euler(x, 0.0, 0.0) if odometry == 'true' else odometry
        if pose is not None:
            self.odom.publish(odometry_message(header.stamp, pose))
        mask = self.world.mask(self.world.pose(x))
        k = list(self.world.intrinsics.k)
        if focal is not None:
            k[0] = k[4] = focal
        info = CameraInfo(header=header, width=mask.shape[1], height=mask.shape[0], k=k)
        self.info.publish(info)
        self.mask.publish(fill_image(Image(header=header), mask, 'mono8'))
        self.points.publish(to_cloud(header, self.world.points(mask)))


def odometry_message(stamp, pose: Pose) -> Odometry:
    message = Odometry(child_frame_id='base_link')
    message.header.stamp, message.header.frame_id = stamp, 'odom'
    place, turn = message.pose.pose.position, message.pose.pose.orientation
    place.x, place.y, place.z = pose.translation
    turn.x, turn.y, turn.z, turn.w = pose.quaternion
    return message


@pytest.fixture
def setup(tester, world, reliable, spin, watch, tmp_path):
    """A lane_map node in this process, with a driver and the state it reports."""
    from rclpy.parameter import Parameter

    from seg_node.ros.lane_map_node import LaneMapNode

    with contextlib.ExitStack() as stack:

        def make(**parameters):
            given = {'camera_mount': 'parameters', **MOUNT, 'output_dir': str(tmp_path)}
            given |= {'publish_period_s': 0.1, **parameters}
            overrides = [Parameter(name, value=value) for name, value in given.items()]
            stack.enter_context(spin(LaneMapNode(parameter_overrides=overrides)))
            driver = Driver(tester, world, reliable)
            driver.connect()
            return driver, watch(tester)

        yield make


def added(count: int):
    return lambda level, _, values: int(values['frames_added']) >= count


def test_it_maps_publishes_saves_and_forgets(setup, tester, tmp_path, world):
    driver, status = setup()
    clouds = tester.listen(PointCloud2, '/lane_map/points')
    for i in range(20):
        driver.send(0.5 * i)
    level, message, values = status.wait('lane map', added(20))
    assert (level, message) == (b'\x00', 'mapping')
    assert int(values['memory_bytes']) > 0
    cloud = tester.wait(lambda: clouds.messages and clouds.messages[-1], 'a map')
    assert cloud.header.frame_id == 'odom'
    assert [f.name for f in cloud.fields] == ['x', 'y', 'z', 'class', 'hits', 'misses']
    answer = tester.call(Trigger, '/lane_map/save', Trigger.Request())
    assert answer.success and str(tmp_path) in answer.message
    shape = json.loads((tmp_path / 'lane_map.geojson').read_text())
    for feature in shape['features']:
        y = np.array(feature['geometry']['coordinates'])[:, 1]
        assert np.abs(y[:, None] - world.offsets).min(axis=1).max() < 0.06
    assert tester.call(Trigger, '/lane_map/reset', Trigger.Request()).success
    answer = tester.call(Trigger, '/lane_map/save', Trigger.Request())
    assert not answer.success and 'empty' in answer.message


def test_a_full_disk_keeps_the_map_for_another_save(setup, tester, tmp_path):
    driver, status = setup()
    for i in range(20):
        driver.send(0.5 * i)
    status.wait('lane map', added(20))
    client = tester.node.create_client(Trigger, '/lane_map/save')
    assert client.wait_for_service(60)

    def save():
        future = client.call_async(Trigger.Request())
        tester.wait(future.done, 'answer of save')
        return future.result()

    old = tmp_path / 'lane_map.geojson'
    old.write_text('{}')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        answer = save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not answer.success
    assert str(tmp_path / 'lane_map.ply') in answer.message
    assert 'cannot be written' in answer.message and '\n' not in answer.message
    assert [path.name for path in tmp_path.iterdir()] == [old.name]
    answer = save()
    assert answer.success, answer.message
    assert (tmp_path / 'lane_map.ply').stat().st_size > 5000
    assert json.loads(old.read_text())['features']
    driver.send(10.0)
    status.wait('lane map', added(21))
    tester.node.destroy_client(client)


def test_a_jump_stops_the_map_until_reset(setup, tester):
    driver, status = setup()
    for i in range(5):
        driver.send(0.5 * i)
    status.wait('lane map', added(5))
    for i in range(5):
        driver.send(60.0 + 0.5 * i)
    level, message, values = status.wait(
        'lane map', lambda *s: s[2].get('frames_lost_jumped') == '5'
    )
    assert level == b'\x02'
    assert 'odometry jumped' in message
    assert values['frames_added'] == '5'
    assert tester.call(Trigger, '/lane_map/reset', Trigger.Request()).success
    driver.send(63.0)
    status.wait('lane map', added(6))


def test_without_odometry_nothing_is_added(setup):
    driver, status = setup()
    for i in range(70):
        driver.send(0.1 * i, odometry=None)
    level, message, values = status.wait('lane map', lambda *s: 'frames_lost_no_odometry' in s[2])
    assert level == b'\x02'
    assert 'odometry' in message
    assert values['frames_added'] == '0'


def test_intrinsics_of_zeros_add_nothing(setup):
    driver, status = setup()
    driver.send(0.0, focal=0.0)
    _, message, values = status.wait('lane map', lambda level, *_: level == b'\x02')
    assert 'not calibrated' in message
    assert (values['frames_added'], values['voxels']) == ('0', '0')


def test_points_whose_masks_never_come_are_named(setup):
    driver, status = setup()
    for _ in range(12):
        driver.mask.publish = lambda message: None
        driver.send(0.0)
    level, message, _ = status.wait('lane map', lambda *s: 'without mask' in s[1])
    assert level == b'\x02' and 'use_mask' in message


def test_camera_place_that_nobody_knows(setup):
    driver, status = setup(camera_mount='tf')
    driver.send(0.0)
    _, message, _ = status.wait('lane map', lambda level, *_: level == b'\x02')
    assert 'camera_optical_frame to base_link' in message


def test_ctrl_c_saves(processes, ros_tools, reliable, module_tester, world, watch, tmp_path):
    given = {'camera_mount': 'parameters', **MOUNT, 'output_dir': tmp_path}
    arguments = ros_tools.arguments(save_on_shutdown=True, use_mask=False, **given)
    process = processes('seg_node.ros.lane_map_node', arguments)
    driver = Driver(module_tester, world, reliable)
    driver.connect(driver.points, driver.odom)
    status = watch(module_tester)
    way = itertools.count(0.0, 0.5)
    for _ in range(10):
        driver.send(next(way))

    def enough(*found):
        # The node's readers may have found this writer only after the first messages.
        driver.send(next(way))
        return added(9)(*found)

    status.wait('lane map', enough)
    assert process.interrupt(times=2) == 0
    assert any('saved' in line for line in process.lines)
    assert (tmp_path / 'lane_map.ply').stat().st_size > 1000


def test_impossible_parameters_end_in_one_line(processes, ros_tools):
    process = processes(
        'seg_node.ros.lane_map_node', ros_tools.arguments(voxel_size_m=7.0, pose_source='gps')
    )
    assert process.status() == 1
    assert 'voxel_size_m' in process.output
    assert 'Traceback' not in process.output
