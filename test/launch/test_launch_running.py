"""`ros2 launch seg_node …` for real, where a ROS distribution and a build by colcon are there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from interrupts import interrupt_starts
from launched import ENVIRONMENT, LIMIT_S, free_port, launched, skip_without_ros2

packages = skip_without_ros2()
# Only a test that fails takes so long; a busy machine may take minutes for a start.
pytestmark = pytest.mark.timeout(3 * LIMIT_S)

REPOSITORY = Path(__file__).resolve().parents[2]
RIG = REPOSITORY / 'config' / 'rig.json'
THREE = REPOSITORY / 'config' / 'rig_three.json'
CAMERAS = ('rgb_front', 'rgb_left', 'rgb_right')


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index in range(12):
        picture = np.full((90, 160, 3), 10 * index, np.uint8)
        cv2.imwrite(str(folder / f'{index:03}.png'), picture)
    return folder


def test_replay_ends_by_itself(tmp_path: Path, pictures: Path, contract_model: Path) -> None:
    arguments = ('player:=play', f'input:={pictures}', f'model:={contract_model}', 'rate:=20')
    with launched(tmp_path, 'replay.launch.py', *arguments) as running:
        running.wait_for('12 pictures published')
        assert running.end() == 0
        assert 'model green_red' in running.said
        assert 'process has died' not in running.said
        assert not running.left_behind()


def test_ctrl_c_ends_a_camera_with_exit_status_0(tmp_path: Path, contract_model: Path) -> None:
    arguments = (f'model:={contract_model}', 'namespace:=front', 'image_topic:=eye/image')
    with launched(tmp_path, 'camera.launch.py', *arguments) as running:
        running.wait_for('waiting for frames on /front/eye/image')
        running.interrupt()
        assert running.end() == 0
        assert 'process has died' not in running.said
        assert not running.left_behind()


def test_carla_drives_in_the_embedded_town(tmp_path: Path, contract_model: Path) -> None:
    pytest.importorskip('carla')
    arguments = (
        f'port:={free_port()}', 'town:=Highway', 'traffic:=0', 'fps:=5', 'lane_map:=true',
        f'model:={contract_model}',
    )  # fmt: skip
    with launched(tmp_path, 'carla.launch.py', *arguments) as running:
        running.wait_for('driving in Highway', 'active: waiting for frames')
        running.interrupt()
        # What was spawned is taken away while the server still answers, so nobody waits.
        assert running.end() == 0
        assert 'went away' not in running.said and 'timed out' not in running.said
        assert 'process has died' not in running.said
        assert not running.left_behind()


@contextmanager
def masks_of(node: str) -> Iterator[Callable[[], None]]:
    """Reads masks; what it gives waits for three more of them."""
    rclpy = pytest.importorskip('rclpy')
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import Image

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=int(ENVIRONMENT['ROS_DOMAIN_ID']))
    reader = rclpy.create_node('mask_reader', context=context)
    stamps: list[Any] = []
    reader.create_subscription(Image, f'{node}/mask', lambda m: stamps.append(m.header.stamp), 1)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(reader)

    def more() -> None:
        wanted = len(stamps) + 4  # one may have waited here
        deadline = time.monotonic() + LIMIT_S
        while len(stamps) < wanted:
            assert time.monotonic() < deadline, f'{len(stamps)} masks, expected {wanted}'
            executor.spin_once(0.2)

    try:
        yield more
    finally:
        executor.shutdown()
        reader.destroy_node()
        rclpy.shutdown(context=context)


def test_every_camera_of_the_rig_has_masks(tmp_path: Path, contract_model: Path) -> None:
    pytest.importorskip('carla')
    arguments = (
        f'port:={free_port()}', 'town:=Highway', 'traffic:=0', 'fps:=5', f'rig:={THREE}',
        f'model:={contract_model}',
    )  # fmt: skip
    with launched(tmp_path, 'carla.launch.py', *arguments) as running, ExitStack() as stack:
        waits = [stack.enter_context(masks_of(f'/seg_node/{camera}')) for camera in CAMERAS]
        running.wait_for('driving in Highway', 'active: waiting for frames')
        for more in waits:
            more()
        running.interrupt()
        assert running.end() == 0
        assert not running.left_behind()


@pytest.mark.timeout(8 * LIMIT_S)  # a start of everything, and three that follow a death
def test_respawn_brings_server_source_and_node_back_and_masks_flow_again(
    tmp_path: Path, contract_model: Path
) -> None:
    pytest.importorskip('carla')
    arguments = (
        f'port:={free_port()}', 'traffic:=0', 'fps:=5', 'use_respawn:=True', 'rig:=' + str(RIG),
        f'model:={contract_model}',
    )  # fmt: skip
    with (
        launched(tmp_path, 'carla.launch.py', *arguments) as running,
        masks_of('/seg_node') as more,
    ):
        running.wait_for('driving in Grid', 'active: waiting for frames')
        more()
        for word in ('carla_server', '__node:=carla_source', '__node:=seg_node'):
            sign = 'waiting for frames' if word.endswith('seg_node') else 'driving in Grid'
            running.child(word).kill()
            running.wait_for(sign, again=True)
            more()
        running.interrupt()
        assert running.end() == 0
        assert not running.left_behind()


def test_a_pushed_namespace_is_everybodys(
    tmp_path: Path, pictures: Path, contract_model: Path
) -> None:
    """As nav2's bringup does it: pushed, and handed on as an argument of the same name."""
    outer = tmp_path / 'outer.launch.py'
    inner = REPOSITORY / 'launch' / 'replay.launch.py'
    outer.write_text(
        'from launch import LaunchDescription\n'
        'from launch.actions import DeclareLaunchArgument, GroupAction\n'
        'from launch.actions import IncludeLaunchDescription\n'
        'from launch.launch_description_sources import PythonLaunchDescriptionSource\n'
        'from launch.substitutions import LaunchConfiguration\n'
        'from launch_ros.actions import PushRosNamespace\n'
        'def generate_launch_description():\n'
        "    given = {'player': 'play', 'use_sim_time': 'False', 'nav2': 'True'}\n"
        f"    given |= {{'input': {str(pictures)!r}, 'model': {str(contract_model)!r}}}\n"
        f'    source = PythonLaunchDescriptionSource({str(inner)!r})\n'
        '    return LaunchDescription([\n'
        "        DeclareLaunchArgument('namespace'),\n"
        "        GroupAction([PushRosNamespace(LaunchConfiguration('namespace')),\n"
        '            IncludeLaunchDescription(source, launch_arguments=given.items())])])\n'
    )
    with launched(tmp_path, str(outer), 'namespace:=robot1') as running:
        running.wait_for('waiting for frames on /robot1/image', '12 pictures published')
        assert running.end() == 0
        assert not running.left_behind()


def test_topics_of_nav2_are_in_the_namespace(tmp_path: Path, contract_model: Path) -> None:
    rclpy = pytest.importorskip('rclpy')
    arguments = (f'model:={contract_model}', 'namespace:=/robot1', 'nav2:=1')
    with launched(tmp_path, 'camera.launch.py', *arguments) as running:
        running.wait_for('waiting for frames on /robot1/image_raw')
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=int(ENVIRONMENT['ROS_DOMAIN_ID']))
        looking = rclpy.create_node('looking', context=context)
        deadline = time.monotonic() + LIMIT_S
        while not looking.count_publishers('/robot1/segmentation/mask'):
            assert time.monotonic() < deadline, looking.get_topic_names_and_types()
            time.sleep(0.1)
        topics = [name for name, _ in looking.get_topic_names_and_types()]
        looking.destroy_node()
        rclpy.shutdown(context=context)
        assert '/robot1/segmentation/confidence' in topics
        assert not [name for name in topics if name.startswith('/segmentation')]
        running.interrupt()
        assert running.end() == 0


def test_ctrl_c_while_starting_leaves_nothing(tmp_path: Path, contract_model: Path) -> None:
    """A few of the fifty that `python test/launch/interrupts.py 50` does."""
    pytest.importorskip('carla')
    assert interrupt_starts(tmp_path, contract_model, times=4, seed=1) == []


def test_a_node_that_fails_ends_the_launch(tmp_path: Path, contract_model: Path) -> None:
    with launched(tmp_path, 'camera.launch.py', f'model:={contract_model}') as running:
        running.wait_for('waiting for frames')
        running.child('__node:=seg_node').kill()
        assert running.end() == 1
        assert 'ended with status -9' in running.said


def test_home_is_known(tmp_path: Path, contract_model: Path, monkeypatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, 'HOME', str(contract_model.parent))
    with launched(tmp_path, 'camera.launch.py', f'model:=~/{contract_model.name}') as running:
        running.wait_for('model green_red')
        running.interrupt()
        assert running.end() == 0


@pytest.mark.parametrize(
    ('arguments', 'complaint'),
    [
        (('camera.launch.py', 'backend:=cuda'), 'Argument "backend" provided value "cuda"'),
        (('camera.launch.py', 'params_file:=none.yaml'), 'params_file: expected a parameter file'),
        (('replay.launch.py', 'input:=none'), 'input: expected a recording'),
        (('camera.launch.py', 'model:=no.onnx'), 'model: expected a model file, there is no'),
        (('carla.launch.py', 'model:=no.onnx'), 'model: expected a model file, there is no'),
        (('carla.launch.py', 'port:=abc'), 'port: expected a whole number'),
        (('carla.launch.py', 'weather:=Rainy'), "weather 'Rainy': expected NAME=VALUE"),
        (('carla.launch.py', 'fps:=0'), 'fps'),
        (('carla.launch.py', 'town:=Nowhere'), 'town: expected one of Highway'),
        (('carla.launch.py', 'port:=TAKEN'), 'TAKEN on 127.0.0.1: Address already in use'),
        (('carla.launch.py', 'model:=CORRUPT'), 'CORRUPT: not a readable ONNX file'),
        (('camera.launch.py', 'model:=CORRUPT'), 'CORRUPT: not a readable ONNX file'),
        (('camera.launch.py', 'params_file:=OF_CORRUPT'), 'CORRUPT: not a readable ONNX file'),
        (('camera.launch.py', 'use_sim_time:=perhaps'), 'Argument "use_sim_time" provided'),
        (('camera.launch.py', 'rvizz:=true'), 'no such argument; did you mean rviz?'),
        (('carla.launch.py', 'mod:=lane_rgb'), 'no such argument; did you mean mode'),
    ],
)
def test_a_wrong_argument_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    """Before anything is started."""
    corrupt = tmp_path / 'corrupt.onnx'
    corrupt.write_bytes(bytes(range(256)))
    file = tmp_path / 'mine.yaml'
    file.write_text(f'/**/seg_node:\n  ros__parameters:\n    model: {corrupt}\n')
    taken = socket.create_server(('127.0.0.1', 0))
    for word, meant in (
        ('OF_CORRUPT', file), ('CORRUPT', corrupt), ('TAKEN', taken.getsockname()[1])
    ):  # fmt: skip
        arguments = tuple(argument.replace(word, str(meant)) for argument in arguments)
        complaint = complaint.replace(word, str(meant))
    with taken, launched(tmp_path, *arguments) as running:
        assert running.end() == 1
        assert complaint in running.said
        assert 'Traceback' not in running.said
        assert 'process started' not in running.said


def test_missing_rtabmap_says_how_to_get_it(tmp_path: Path) -> None:
    try:
        packages.get_package_prefix('rtabmap_launch')
    except packages.PackageNotFoundError:
        pass
    else:
        pytest.skip('RTAB-Map is installed')
    for arguments in (('rtabmap.launch.py',), ('carla.launch.py', 'rtabmap:=true')):
        with launched(tmp_path, *arguments) as running:
            assert running.end() == 1
            assert 'sudo apt install ros-' in running.said
