"""Every argument that rtabmap.launch.py hands over, by the real `ros2 launch`.

RTAB-Map's packages are stood for by ones that write down what they are started with; the names of
upstream's launch file are those of rtabmap_launch 0.22.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from launched import ENVIRONMENT, Launched, free_port, launched, skip_without_ros2

skip_without_ros2()

UPSTREAM = (
    'approx_sync', 'args', 'camera_info_topic', 'database_path', 'depth_topic', 'frame_id',
    'log_level', 'map_frame_id', 'namespace', 'odom_frame_id', 'odom_topic', 'qos', 'rgb_topic',
    'rtabmap_args', 'rtabmap_viz', 'use_sim_time', 'visual_odometry',
)  # fmt: skip
RECORDING_LAUNCH = """
import json, pathlib
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction

def record(context):
    pathlib.Path({out!r}).write_text(json.dumps(dict(context.launch_configurations)))
    return [LogInfo(msg='upstream was told')]

def generate_launch_description():
    names = {names!r}
    declared = [DeclareLaunchArgument(name, default_value='upstream') for name in names]
    return LaunchDescription([*declared, OpaqueFunction(function=record)])
"""
RECORDING_PROGRAM = """#!{python}
import json, pathlib, signal, sys
pathlib.Path({out!r}).write_text(json.dumps(sys.argv[1:]))
print({name!r}, 'was told', flush=True)
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
signal.pause()
"""
PROGRAMS = {'rgbd_odometry': 'rtabmap_odom', 'republish': 'image_transport'}
BASE = {
    'frame_id': 'base_link',
    'map_frame_id': 'map',
    'odom_frame_id': '',
    'visual_odometry': 'false',
    'odom_topic': '/odom',
    'database_path': '~/.ros/rtabmap.db',
    'rtabmap_viz': 'true',
    'use_sim_time': 'false',
    'namespace': '/rtabmap',
    'log_level': 'info',
    'rtabmap_args': 'upstream',
}
FAR = '--Vis/MaxDepth 999 --Kp/MaxDepth 999 --Grid/RangeMax 20'
SETS = {
    'rgb_topic': '/seg_node/rgbd/rgb/image',
    'camera_info_topic': '/seg_node/rgbd/rgb/camera_info',
    'depth_topic': '/seg_node/rgbd/depth/image',
}
CAMERA = ('image_topic:=/cam/image', 'camera_info_topic:=/cam/info', 'depth_topic:=/cam/depth')
RAW = {'rgb_topic': '/cam/image', 'camera_info_topic': '/cam/info', 'depth_topic': '/cam/depth'}
ODOMETRY = {'rgb/image': '/cam/image', 'rgb/camera_info': '/cam/info', 'depth/image': '/cam/depth'}


class Records:
    """What stands for RTAB-Map was told."""

    def __init__(self, folder: Path) -> None:
        self.prefix = folder / 'rtabmap'
        self._out = folder / 'told'
        self._out.mkdir()
        index = self.prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
        index.mkdir(parents=True)
        for name in ('rtabmap_launch', *PROGRAMS.values()):
            (index / name).touch()
        launch = self.prefix / 'share' / 'rtabmap_launch' / 'launch'
        launch.mkdir(parents=True)
        out = str(self._out / 'upstream')
        text = RECORDING_LAUNCH.format(out=out, names=UPSTREAM)
        (launch / 'rtabmap.launch.py').write_text(text)
        for name, package in PROGRAMS.items():
            program = self.prefix / 'lib' / package / name
            program.parent.mkdir(parents=True)
            words = {'python': sys.executable, 'out': str(self._out / name), 'name': name}
            program.write_text(RECORDING_PROGRAM.format(**words))
            program.chmod(0o755)

    def upstream(self) -> dict[str, str]:
        """Arguments of upstream's launch file."""
        told = json.loads((self._out / 'upstream').read_text())
        return {name: value for name, value in told.items() if name in UPSTREAM}

    def unknown(self) -> set[str]:
        """What upstream's launch file was told and does not have."""
        told = json.loads((self._out / 'upstream').read_text())
        return {name for name in told if name not in UPSTREAM and not name.startswith('ros_')}

    def started(self, name: str) -> bool:
        return (self._out / name).exists()

    def program(self, name: str) -> tuple[list[str], dict[str, str], dict[str, object]]:
        """Own arguments, remappings and parameters of a program."""
        return _ros_words(json.loads((self._out / name).read_text()))


def _ros_words(words: list[str]) -> tuple[list[str], dict[str, str], dict[str, object]]:
    at = words.index('--ros-args')
    own, ros = words[:at], words[at:]
    pairs = list(itertools.pairwise(ros))
    remappings = dict(right.split(':=') for left, right in pairs if left == '-r')
    parameters: dict[str, object] = {}
    for left, right in pairs:
        if left == '--params-file':
            for block in yaml.safe_load(Path(right).read_text()).values():
                parameters |= block['ros__parameters']
    return own, remappings, parameters


def of_node(running: Launched) -> dict[str, object]:
    """Parameters of the running node seg_node."""
    words = running.child('__node:=seg_node').cmdline()
    return _ros_words(words)[2]


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    made = Records(tmp_path)
    paths = [str(made.prefix), os.environ['AMENT_PREFIX_PATH']]
    monkeypatch.setitem(ENVIRONMENT, 'AMENT_PREFIX_PATH', os.pathsep.join(paths))
    return made


def test_by_default_rtabmap_maps_what_the_camera_sees(
    tmp_path: Path, records: Records, contract_model: Path
) -> None:
    arguments = (f'model:={contract_model}', *CAMERA)
    with launched(tmp_path, 'rtabmap.launch.py', *arguments) as running:
        running.wait_for('upstream was told', 'rgbd_odometry was told', 'waiting for frames')
        assert of_node(running)['rtabmap.mode'] == 'off'
        assert of_node(running)['depth_far_m'] == 1000.0
        own, remapped, parameters = records.program('rgbd_odometry')
        running.interrupt()
        assert running.end() == 0
    assert records.upstream() == {
        **BASE, **RAW, 'approx_sync': 'false', 'qos': '0',
        'args': f'{FAR} --Rtabmap/DetectionRate 1',
    }  # fmt: skip
    assert records.unknown() == set()
    assert own == ['--Vis/MaxDepth', '999']
    assert {k: v for k, v in remapped.items() if k != '__ns'} == {**ODOMETRY, 'odom': '/odom'}
    assert parameters == {
        'frame_id': 'base_link', 'use_sim_time': False, 'approx_sync': False, 'qos': 0,
    }  # fmt: skip
    assert 'rtabmap-paint ~/.ros/rtabmap.db -o ~/.ros/rtabmap_painted.db' in running.said
    assert not records.started('republish')


def test_a_mode_on_masks_and_odometry_of_wheels(
    tmp_path: Path, records: Records, contract_model: Path
) -> None:
    """Each argument given; stamps of wheels are not the camera's."""
    arguments = (
        f'model:={contract_model}', *CAMERA, 'mode:=lanes_only', 'visual_odometry:=false',
        'odom_topic:=wheels', 'frame_id:=chassis', 'map_frame_id:=world', 'range_max:=30',
        'max_speed:=20', 'depth_far:=0', 'database_path:=/tmp/m.db', 'rtabmap_viz:=False',
        'rtabmap_args:=--delete_db_on_start', 'namespace:=bot', 'use_sim_time:=1',
        'log_level:=warn', 'depth_as_mask:=False', 'dilate_px:=5',
    )  # fmt: skip
    with launched(tmp_path, 'rtabmap.launch.py', *arguments) as running:
        running.wait_for('upstream was told', 'seg_node-1]: process started')
        told = of_node(running)
        running.interrupt()
        assert running.end() == 0
    assert (told['rtabmap.mode'], told['rtabmap.dilate_px']) == ('lanes_only', 5)
    assert told['depth_far_m'] == 0.0
    masks = '--Vis/DepthAsMask false --Mem/DepthAsMask false --Grid/RangeMax 30'
    grid = '--Grid/DepthDecimation 1 --Grid/NormalsSegmentation false --Grid/MaxGroundHeight 0.3'
    assert records.upstream() == {
        **BASE, **{name: f'/bot{topic}' for name, topic in SETS.items()},
        'approx_sync': 'true', 'qos': '1', 'frame_id': 'chassis', 'map_frame_id': 'world',
        'odom_topic': '/bot/wheels', 'database_path': '/tmp/m.db', 'rtabmap_viz': 'false',
        'namespace': '/bot/rtabmap', 'use_sim_time': 'true', 'log_level': 'warn',
        'args': f'{masks} --Rtabmap/DetectionRate 2.5 {grid} --delete_db_on_start',
    }  # fmt: skip
    assert not records.started('rgbd_odometry')


def test_odometry_of_tf_and_a_compressed_picture(
    tmp_path: Path, records: Records, contract_model: Path
) -> None:
    arguments = (
        f'model:={contract_model}', 'image_topic:=/cam/image/compressed', *CAMERA[1:],
        'odom_frame_id:=odom_of_tf', 'qos:=2', 'approx_sync:=True', 'args:=--Vis/MinInliers 15',
    )  # fmt: skip
    with launched(tmp_path, 'rtabmap.launch.py', *arguments) as running:
        running.wait_for('upstream was told', 'republish was told', 'waiting for frames')
        assert of_node(running)['image_transport'] == 'compressed'
        own, remapped, parameters = records.program('republish')
        running.interrupt()
        assert running.end() == 0
    assert own == ['compressed', 'raw']
    names = {'in': '/cam/image', 'in/compressed': '/cam/image/compressed'}
    assert remapped.items() >= {**names, 'out': '/rtabmap/camera/image'}.items()
    assert parameters == {'in_transport': 'compressed', 'out_transport': 'raw'}
    assert records.upstream() == {
        **BASE, **RAW, 'rgb_topic': '/rtabmap/camera/image', 'odom_frame_id': 'odom_of_tf',
        'approx_sync': 'true', 'qos': '2',
        'args': f'{FAR} --Rtabmap/DetectionRate 1 --Vis/MinInliers 15',
    }  # fmt: skip
    assert not records.started('rgbd_odometry')


def test_odometry_looks_at_the_camera_where_the_map_is_of_masks(
    tmp_path: Path, records: Records, contract_model: Path
) -> None:
    arguments = (f'model:={contract_model}', *CAMERA, 'mode:=lane_rgb', 'odom_args:=--Odom/X 1')
    with launched(tmp_path, 'rtabmap.launch.py', *arguments) as running:
        running.wait_for('upstream was told', 'rgbd_odometry was told')
        running.interrupt()
        assert running.end() == 0
    own, remapped, _ = records.program('rgbd_odometry')
    assert own == ['--Vis/MaxDepth', '999', '--Odom/X', '1']
    assert remapped.items() >= ODOMETRY.items()
    told = records.upstream()
    assert {name: told[name] for name in SETS} == SETS
    assert '--Mem/ImageCompressionFormat .png' in told['args']
    assert (told['approx_sync'], told['qos']) == ('false', '1')


def test_in_carla_the_stamps_are_one(
    tmp_path: Path, records: Records, contract_model: Path
) -> None:
    pytest.importorskip('carla')
    arguments = (
        f'model:={contract_model}', f'port:={free_port()}', 'rtabmap:=true', 'mode:=road_only',
        'args:=-d',
    )  # fmt: skip
    with launched(tmp_path, 'carla.launch.py', *arguments) as running:
        running.wait_for('upstream was told', 'active: waiting for frames')
        assert of_node(running)['rtabmap.mode'] == 'road_only'
        running.interrupt()
        running.end()
    told = records.upstream()
    assert told == BASE | SETS | {
        'approx_sync': 'false', 'qos': '1', 'frame_id': 'ego_vehicle',
        'map_frame_id': 'rtabmap_map', 'odom_topic': '/carla/ego_vehicle/odometry',
        'use_sim_time': 'true', 'args': told['args'],
    }  # fmt: skip
    assert '--Rtabmap/DetectionRate 3.13' in told['args'] and told['args'].endswith(' -d')
    assert not records.started('rgbd_odometry')
