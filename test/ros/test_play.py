"""The play node in a process of its own: a folder, a video and a bag as a camera."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')

from rclpy.parameter import Parameter
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from seg_node.errors import ConfigError
from seg_node.images.frames import decode, decode_compressed

DOMAIN = 53


@pytest.fixture
def folder(tmp_path):
    """Three flat pictures of 80x40."""
    for i, value in enumerate((10, 120, 230)):
        cv2.imwrite(str(tmp_path / f'{i}.png'), np.full((40, 80, 3), value, np.uint8))
    return tmp_path


def play(processes, *arguments: object):
    return processes('seg_node', ['play', *map(str, arguments)])


def test_a_folder_with_resize_and_namespace(tester, processes, folder):
    process = play(
        processes, folder, '--rate', 50, '--resize', '64x32', '--namespace', '/front',
        '--frame-id', 'front_optical', '--fov', 90, '--subscribers', 1,
    )  # fmt: skip
    infos = tester.listen(CameraInfo, '/front/camera_info')
    images = tester.listen(Image, '/front/image')
    tester.wait(lambda: len(images.messages) == 3, 'three pictures')
    assert process.status() == 0
    assert 'Traceback' not in process.output
    assert [decode(m).pixels[0, 0, 0] for m in images.messages] == [10, 120, 230]
    for message in images.messages:
        assert (message.width, message.height, message.encoding) == (64, 32, 'bgr8')
        assert message.header.frame_id == 'front_optical'
    assert len({(m.header.stamp.sec, m.header.stamp.nanosec) for m in images.messages}) == 3
    info = infos.messages[-1]
    assert info.header == images.messages[-1].header
    assert (info.width, info.height) == (64, 32)
    assert (info.k[0], info.k[2], info.k[5]) == pytest.approx((32.0, 31.5, 15.5))


def test_a_loop_of_compressed_pictures_until_ctrl_c(tester, processes, folder):
    process = play(processes, folder, '--rate', 100, '--loop', '--compressed')
    images = tester.listen(CompressedImage, '/image/compressed')
    tester.wait(lambda: len(images.messages) >= 7, 'more than two rounds')
    values = [round(float(decode_compressed(m).pixels.mean())) for m in images.messages[:4]]
    assert values[3] == pytest.approx(values[0], abs=2)
    assert process.interrupt(times=2) == 0
    assert 'Traceback' not in process.output


def test_a_bag_with_its_own_camera_info_scaled(tester, processes, tmp_path):
    store = get_typestore(Stores.ROS2_JAZZY)
    types = store.types
    header = types['std_msgs/msg/Header'](
        types['builtin_interfaces/msg/Time'](5, 6), 'recorded_frame'
    )
    picture = types['sensor_msgs/msg/Image'](
        header, 40, 80, 'rgb8', 0, 240, np.tile(np.uint8([1, 2, 3]), 3200)
    )
    roi = types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    k = np.array([60.0, 0, 39.5, 0, 62, 19.5, 0, 0, 1])
    p = np.array([60.0, 0, 39.5, 0, 0, 62, 19.5, 0, 0, 0, 1, 0])
    info = types['sensor_msgs/msg/CameraInfo'](
        header, 40, 80, 'plumb_bob', np.zeros(5), k, np.eye(3).ravel(), p, 0, 0, roi
    )
    with Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, message in (('/cam/image_raw', picture), ('/cam/camera_info', info)):
            kind = message.__msgtype__
            connection = writer.add_connection(topic, kind, typestore=store)
            writer.write(connection, 5_000_000_006, store.serialize_cdr(message, kind))
    play(processes, tmp_path / 'bag', '--resize', '160x80', '--subscribers', 1)
    infos = tester.listen(CameraInfo, '/camera_info')
    images = tester.listen(Image, '/image')
    got = tester.wait(lambda: images.messages and infos.messages, 'the camera')[-1]
    assert (got.width, got.height) == (160, 80)
    assert (got.k[0], got.k[2], got.k[4], got.k[5]) == pytest.approx((120, 79.5, 124, 39.5))
    assert decode(images.messages[-1]).pixels[0, 0].tolist() == [3, 2, 1]


WRONG = {
    'no such file': ['none.png'],
    'WIDTHxHEIGHT': ['{d}', '--resize', '0x5'],
    'two words': ['{d}', '--namespace', 'two words'],
}


def test_what_cannot_be_played_is_one_line_and_1(processes, folder):
    started = {
        words: play(processes, *(a.format(d=folder) for a in arguments))
        for words, arguments in WRONG.items()
    }
    for words, process in started.items():
        assert process.status() == 1, process.output
        errors = [line for line in process.lines if line.startswith('error: ')]
        assert len(errors) == 1
        assert words in errors[0]
        assert 'Traceback' not in process.output


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({}, 'input: expected a picture'),
        ({'rate': -5.0}, 'rate: expected 0.01 to 1000'),
        ({'fov_deg': 200.0}, 'fov_deg: expected 1 to 180'),
        ({'resize': '0x5'}, 'WIDTHxHEIGHT'),
    ],
)
def test_parameters_that_cannot_be_are_named(graph, folder, parameters, words):
    from seg_node.ros.play_node import PlayNode

    values = ({'input': str(folder)} if parameters else {}) | parameters
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    with pytest.raises(ConfigError, match=words):
        PlayNode(parameter_overrides=overrides)
