"""A drive in CARLA through seg_node; without arguments in the embedded world, on any machine.

ros2 launch seg_node carla.launch.py                                  # starts the embedded server
ros2 launch seg_node carla.launch.py host:=192.168.1.20 town:=Town10HD   # a CARLA that runs
ros2 launch seg_node carla.launch.py rtabmap:=true                    # with RTAB-Map
ros2 launch seg_node carla.launch.py rig:=…/config/rig_three.json     # three cameras

Everything runs on /clock, which the source node publishes.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchContext, LaunchDescription
from seg_node import launching
from seg_node.children import child_environment
from seg_node.errors import ConfigError
from seg_node.rig_file import camera_mounts, rgb_cameras
from seg_node.share import share_dir

SERVERS = ('auto', 'embedded', 'external')
LOOPBACK = '127.0.0.1'
EMBEDDED_TOWN = 'Grid'
MAP_FRAME_OF_RTABMAP = 'rtabmap_map'
"""The source node's TF already has a frame `map`, the simulator's."""
MAX_SPEED = '25.0'
"""m/s: what a motorway of CARLA's towns allows."""


def generate_launch_description() -> LaunchDescription:
    """Arguments, then server, source and node."""
    role = LaunchConfiguration('role_name')
    arguments = [
        DeclareLaunchArgument(
            'server',
            default_value='auto',
            choices=SERVERS,
            description='auto: external where host is given, else embedded, started here.',
        ),
        DeclareLaunchArgument(
            'host',
            default_value='',
            description=f'Host of a running CARLA server; empty: {LOOPBACK}.',
        ),
        DeclareLaunchArgument(
            'port', default_value='2000', description='Control port of the CARLA server.'
        ),
        DeclareLaunchArgument(
            'town',
            default_value='',
            description=f'Town; empty: {EMBEDDED_TOWN}, or what an external server shows.',
        ),
        DeclareLaunchArgument(
            'weather',
            default_value='keep',
            description='Preset such as HardRainNoon, random, NAME=VALUE,..., or keep.',
        ),
        DeclareLaunchArgument(
            'rig',
            default_value='',
            description="Rig file in the form of ros-bridge's objects.json; empty: ours.",
        ),
        DeclareLaunchArgument(
            'cameras',
            default_value='auto',
            description='RGB cameras of the rig that are segmented, as in rgb_left,rgb_right; '
            'auto: all of them; one: that of image_topic.',
        ),
        DeclareLaunchArgument(
            'role_name',
            default_value='ego_vehicle',
            description='Role name of the ego vehicle; part of every topic.',
        ),
        DeclareLaunchArgument(
            'seed',
            default_value='0',
            description='Seed of spawn point, traffic and random weather.',
        ),
        DeclareLaunchArgument(
            'traffic', default_value='8', description='Number of other vehicles.'
        ),
        DeclareLaunchArgument(
            'fps', default_value='20', description='Camera frames a simulated second.'
        ),
        DeclareLaunchArgument(
            'rtabmap',
            default_value='false',
            choices=launching.BOOLEANS,
            description='Start RTAB-Map on the RGB-D output; see rtabmap.launch.py.',
        ),
        *launching.common_arguments(
            ['/carla/', role, '/rgb_front/image'],
            ['/carla/', role, '/rgb_front/camera_info'],
            use_sim_time='true',
        ),
        *launching.depth_arguments(
            ['/carla/', role, '/depth_front/image'],
            ['/carla/', role, '/depth_front/camera_info'],
        ),
        *launching.use_arguments(odometry_topic=['/carla/', role, '/odometry']),
    ]
    return launching.description(__file__, arguments, _start, includes=['rtabmap.launch.py'])


def _start(context: LaunchContext) -> list[Action]:
    if launching.flag(context, 'rtabmap'):  # before anything is started
        launching.require_package('rtabmap_launch', 'rtabmap-ros', 'rtabmap:=true')
    host = launching.text(context, 'host')
    server = launching.text(context, 'server')
    embedded = server == 'embedded' or (server == 'auto' and not host)
    source = {
        'host': host or LOOPBACK,
        'port': launching.integer(context, 'port'),
        'town': launching.text(context, 'town') or (EMBEDDED_TOWN if embedded else ''),
        'weather': launching.text(context, 'weather'),
        'rig': launching.path(context, 'rig'),
        'role_name': launching.text(context, 'role_name'),
        'seed': launching.integer(context, 'seed'),
        'traffic': launching.integer(context, 'traffic'),
        'fps': launching.number(context, 'fps'),
    }
    rig = _cameras(context)
    actions = [
        *launching.transport_environment(context),
        *([_server(context, source)] if embedded else []),
        _source(context, source),
        *_segmentation(context, rig),
        *launching.users(context, lane_map=_camera_mount(context), cameras=list(rig)),
    ]
    check = launching.Check('check_source', {'embedded': embedded, 'parameters': source})
    launching.refuse([check, *launching.model_check(context)])
    return actions


def _server(context: LaunchContext, source: Mapping[str, Any]) -> Action:
    command = [sys.executable, '-m', 'seg_node.executables', 'carla_server']
    command += ['--exit-with-parent', str(os.getpid())]
    for name in ('host', 'port', 'town'):
        command += [f'--{name}', str(source[name])]
    return ExecuteProcess(
        cmd=command,
        name='carla_server',
        output='screen',
        additional_env={'PYTHONPATH': child_environment()['PYTHONPATH']},
        **launching.life(context, 'the embedded server has ended'),
    )


def _source(context: LaunchContext, parameters: Mapping[str, Any]) -> Action:
    """The source node. At the end it takes what it spawned out of the world, which can last as
    long as calls of CARLA's client may (`timeout`); launch's own patience is 5 s.
    """
    # The clock's source cannot wait for the clock.
    own = {**parameters, 'use_sim_time': False}
    ends = launching.life(context, 'the source of frames has ended')
    patience = {'sigterm_timeout': '45', 'sigkill_timeout': '10'}
    return launching.node(context, 'carla_source', own, {}, **ends, **patience)


def _cameras(context: LaunchContext) -> dict[str, dict[str, str]]:
    """Topics of the cameras by name, that of `image_topic` first; none where there is only one.

    RTAB-Map maps one camera. Raises `RuntimeError`, one line, for a name that the rig has not.
    """
    cameras = launching.text(context, 'cameras')
    if cameras == 'one' or launching.flag(context, 'rtabmap'):
        return {}
    role = launching.text(context, 'role_name')
    try:
        topics = {camera.name: camera.topics(role) for camera in rgb_cameras(_rig_file(context))}
    except ConfigError:
        return {}  # the source node says what is wrong with the file
    names = list(topics) if cameras == 'auto' else [name.strip() for name in cameras.split(',')]
    for name in names:
        if name not in topics:
            raise RuntimeError(f'cameras: {name!r}: expected some of {", ".join(topics)}')
    main = launching.text(context, 'image_topic')
    names.sort(key=lambda name: topics[name]['image'] != main)
    return {name: topics[name] for name in names} if cameras != 'auto' or len(names) > 1 else {}


def _rig_file(context: LaunchContext) -> Path:
    return Path(launching.path(context, 'rig') or share_dir() / 'config' / 'rig.json')


def _segmentation(context: LaunchContext, rig: Mapping[str, Mapping[str, str]]) -> list[Action]:
    if not launching.flag(context, 'rtabmap'):
        return [launching.segmentation_node(context, rig=rig)]
    # What is declared here has the names that rtabmap.launch.py declares, and so reaches it.
    settings = context.launch_configurations
    arguments = {
        'frame_id': launching.text(context, 'role_name'),
        'map_frame_id': MAP_FRAME_OF_RTABMAP,
        'visual_odometry': 'false',
        # The source stamps odometry as it stamps the pictures of the tick.
        'approx_sync': settings.get('approx_sync') or 'false',
        'max_speed': settings.get('max_speed') or MAX_SPEED,
        'users': 'false',
    }
    path = Path(__file__).with_name('rtabmap.launch.py')
    return [
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(path)), launch_arguments=arguments.items()
        )
    ]


def _camera_mount(context: LaunchContext) -> dict[str, Any]:
    """Parameters of the lane map: where the camera of image_topic stands on the vehicle.

    From the rig, so that it works where no TF is to be had. Empty for a camera not of the rig.
    """
    parts = launching.text(context, 'image_topic').split('/')
    try:
        at = camera_mounts(_rig_file(context))[parts[-2]]
    except (ConfigError, LookupError):
        return {}  # not of the rig, or the source node says what is wrong with the file
    mount = {
        f'camera_{axis}_{"m" if axis in "xyz" else "deg"}': value for axis, value in at.items()
    }
    return {'camera_mount': 'parameters', **mount}
