"""A drive in CARLA through seg_node; without arguments in the embedded world, on any machine.

ros2 launch seg_node carla.launch.py                                  # starts the embedded server
ros2 launch seg_node carla.launch.py host:=192.168.1.20 town:=Town10HD   # a CARLA that runs
ros2 launch seg_node carla.launch.py rtabmap:=true                    # RTAB-Map on the masks

Everything runs on /clock, which the source node publishes.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchContext, LaunchDescription
from seg_node import launching
from seg_node.share import share_dir

SERVERS = ('auto', 'embedded', 'external')
LOOPBACK = '127.0.0.1'
EMBEDDED_TOWN = 'Grid'
MAP_FRAME_OF_RTABMAP = 'rtabmap_map'
"""The source node's TF already has a frame `map`, the simulator's."""


def generate_launch_description() -> LaunchDescription:
    """Arguments, then server, source and node."""
    role = LaunchConfiguration('role_name')
    return LaunchDescription(
        [
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
            OpaqueFunction(function=_start),
        ]
    )


def _start(context: LaunchContext) -> list[Action]:
    if launching.flag(context, 'rtabmap'):  # before anything is started
        launching.require_package('rtabmap_launch', 'rtabmap-ros', 'rtabmap:=true')
    given = launching.text(context, 'host')
    server = launching.text(context, 'server')
    embedded = server == 'embedded' or (server == 'auto' and not given)
    host = given or LOOPBACK
    town = launching.text(context, 'town') or (EMBEDDED_TOWN if embedded else '')
    source = {
        'host': host,
        'port': launching.integer(context, 'port'),
        'town': town,
        'weather': launching.text(context, 'weather'),
        'rig': launching.text(context, 'rig'),
        'role_name': launching.text(context, 'role_name'),
        'seed': launching.integer(context, 'seed'),
        'traffic': launching.integer(context, 'traffic'),
        'fps': launching.number(context, 'fps'),
    }
    return [
        *launching.transport_environment(context),
        *([_server(host, source['port'], town)] if embedded else []),
        _source(context, source),
        *_segmentation(context),
        *launching.users(context, lane_map=_camera_mount(context)),
    ]


def _server(host: str, port: int, town: str) -> Action:
    command = [sys.executable, '-m', 'seg_node.executables', 'carla_server']
    command += ['--exit-with-parent']
    command += ['--host', host, '--port', str(port), '--town', town]
    # Without it there is nothing to look at: the launch ends with it.
    stop = Shutdown(reason='the embedded server has ended')
    return ExecuteProcess(cmd=command, name='carla_server', output='screen', on_exit=stop)


def _source(context: LaunchContext, parameters: dict[str, Any]) -> Action:
    """The source node. At the end it takes what it spawned out of the world, which can last as
    long as calls of CARLA's client may (`timeout`); launch's own patience is 5 s.
    """
    # The clock's source cannot wait for the clock.
    parameters['use_sim_time'] = False
    ends = {'on_exit': _end(context), 'sigterm_timeout': '45', 'sigkill_timeout': '10'}
    return launching.node(context, 'carla_source', parameters, {}, **ends)


def _end(context: LaunchContext) -> list[Action]:
    respawn = launching.flag(context, 'respawn')
    return [] if respawn else [Shutdown(reason='the source of frames has ended')]


def _segmentation(context: LaunchContext) -> list[Action]:
    if not launching.flag(context, 'rtabmap'):
        return [launching.segmentation_node(context)]
    # What is declared here has the names that rtabmap.launch.py declares, and so reaches it.
    arguments = {
        'frame_id': launching.text(context, 'role_name'),
        'map_frame_id': MAP_FRAME_OF_RTABMAP,
        'visual_odometry': 'false',
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
    path = Path(launching.text(context, 'rig') or share_dir() / 'config' / 'rig.json').expanduser()
    try:
        objects = json.loads(path.read_text(encoding='utf-8'))['objects']
        cameras = {camera['id']: camera for thing in objects for camera in thing['sensors']}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # the source node says what is wrong with the file
    parts = launching.text(context, 'image_topic').split('/')
    camera = cameras.get(parts[-2]) if len(parts) > 1 else None
    if camera is None:
        return {}
    at = dict.fromkeys(('x', 'y', 'z', 'roll', 'pitch', 'yaw'), 0.0)
    at |= {axis: float(value) for axis, value in camera.get('spawn_point', {}).items()}
    if not all(math.isfinite(value) for value in at.values()):
        return {}
    mount = {
        f'camera_{axis}_{"m" if axis in "xyz" else "deg"}': value for axis, value in at.items()
    }
    return {'camera_mount': 'parameters', **mount}
