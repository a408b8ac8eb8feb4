"""What the launch files share: arguments (nav2's vocabulary), environment, and nodes.

Only `launch/` imports this. The modules `launch` and `launch_ros` come with a ROS distribution.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    OpaqueFunction,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.ros_adapters import get_ros_node

from launch import LaunchContext
from seg_node.ros.dds import profile_path
from seg_node.share import share_dir

BOOLEANS = ('true', 'false')
LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
BACKENDS = ('', 'auto', 'openvino', 'onnxruntime', 'tensorrt')
PRECISIONS = ('', 'auto', 'int8', 'bf16', 'fp32')
TRANSPORTS = ('', 'raw', 'compressed')

_MEBIBYTE = 1024 * 1024
ALLOCATOR = {
    'MALLOC_MMAP_THRESHOLD_': str(32 * _MEBIBYTE),
    'MALLOC_TRIM_THRESHOLD_': str(512 * _MEBIBYTE),
    'MALLOC_TOP_PAD_': str(64 * _MEBIBYTE),
}
"""glibc's variables for what seg_node/ros/dds.py sets by mallopt; for processes not ours too."""

_POLL_S = 0.1
_RESPAWN_AFTER_S = 2.0
_T = TypeVar('_T')


# -- arguments -------------------------------------------------------------------------------


def common_arguments(
    image_topic: Any = 'image_raw',
    camera_info_topic: Any = 'camera_info',
    use_sim_time: Any = 'false',
) -> list[DeclareLaunchArgument]:
    """The arguments of every launch file. Defaults may be substitutions."""
    return [
        DeclareLaunchArgument(
            'namespace', default_value='', description='Namespace of the nodes, e.g. front.'
        ),
        DeclareLaunchArgument(
            'use_sim_time',
            default_value=use_sim_time,
            choices=BOOLEANS,
            description='Take the time from /clock.',
        ),
        DeclareLaunchArgument(
            'params_file',
            default_value=str(share_dir() / 'config' / 'seg_node.yaml'),
            description='Parameter file for all nodes that are launched.',
        ),
        DeclareLaunchArgument(
            'autostart',
            default_value='true',
            choices=BOOLEANS,
            description='Let the node configure and activate itself.',
        ),
        DeclareLaunchArgument(
            'respawn',
            default_value='false',
            choices=BOOLEANS,
            description='Start a node that died again after two seconds.',
        ),
        DeclareLaunchArgument(
            'log_level',
            default_value='info',
            choices=LOG_LEVELS,
            description='Lowest severity that the nodes log.',
        ),
        DeclareLaunchArgument(
            'model',
            default_value='',
            description='Model file (.onnx); empty: as params_file says, or the one that ships.',
        ),
        DeclareLaunchArgument(
            'backend',
            default_value='',
            choices=BACKENDS,
            description='Runtime of the model; empty: as params_file says.',
        ),
        DeclareLaunchArgument(
            'precision',
            default_value='',
            choices=PRECISIONS,
            description='Number format of the network; empty: as params_file says.',
        ),
        DeclareLaunchArgument(
            'image_topic',
            default_value=image_topic,
            description='Camera image, raw or compressed; empty in replay: the first of the bag.',
        ),
        DeclareLaunchArgument(
            'camera_info_topic',
            default_value=camera_info_topic,
            description='CameraInfo of that camera; empty in replay: beside the image.',
        ),
        DeclareLaunchArgument(
            'image_transport',
            default_value='',
            choices=TRANSPORTS,
            description='Kind of message on image_topic; empty: as params_file says.',
        ),
    ]


def depth_arguments(
    depth_topic: Any = '', depth_camera_info_topic: Any = ''
) -> list[DeclareLaunchArgument]:
    """Where depth comes from; empty topics: there is none."""
    return [
        DeclareLaunchArgument(
            'depth_topic',
            default_value=depth_topic,
            description='Depth registered to the image (16UC1 mm or 32FC1 m); empty: none.',
        ),
        DeclareLaunchArgument(
            'depth_camera_info_topic',
            default_value=depth_camera_info_topic,
            description='Intrinsics of the depth image; empty: none.',
        ),
    ]


def use_arguments(
    rviz: str = 'false', lane_map: str = 'false', odometry_topic: Any = 'odom'
) -> list[DeclareLaunchArgument]:
    """What the masks are used for."""
    return [
        DeclareLaunchArgument(
            'rviz', default_value=rviz, choices=BOOLEANS, description='Start RViz on the result.'
        ),
        DeclareLaunchArgument(
            'lane_map',
            default_value=lane_map,
            choices=BOOLEANS,
            description='Start the node that accumulates a map of the lane markings.',
        ),
        DeclareLaunchArgument(
            'odometry_topic',
            default_value=odometry_topic,
            description='nav_msgs/Odometry for the lane map.',
        ),
        DeclareLaunchArgument(
            'nav2',
            default_value='false',
            choices=BOOLEANS,
            description='Publish under the names nav2 reads: segmentation/mask, confidence, ….',
        ),
    ]


def text(context: LaunchContext, name: str) -> str:
    """The value of an argument."""
    return str(LaunchConfiguration(name).perform(context))


def flag(context: LaunchContext, name: str) -> bool:
    """The value of an argument that is true or false."""
    return text(context, name) == 'true'


def number(context: LaunchContext, name: str) -> float:
    """The value of an argument as a number. Raises `RuntimeError`, one line."""
    return _parsed(context, name, float, 'a number')


def integer(context: LaunchContext, name: str) -> int:
    """The value of an argument as a whole number. Raises `RuntimeError`, one line."""
    return _parsed(context, name, int, 'a whole number')


def _parsed(context: LaunchContext, name: str, kind: Callable[[str], _T], what: str) -> _T:
    given = text(context, name)
    try:
        return kind(given)
    except ValueError:
        raise RuntimeError(f'{name}: expected {what}, got {given!r}') from None


def topic(context: LaunchContext, name: str) -> str:
    """The topic that an argument names, with the namespace where it is relative."""
    given = text(context, name)
    return (
        given
        if given.startswith('/')
        else f'/{text(context, "namespace")}/{given}'.replace('//', '/')
    )


# -- environment and packages ----------------------------------------------------------------


def transport_environment(context: LaunchContext) -> list[Action]:
    """The Fast DDS profile and the allocator setting, for everything started afterwards.

    What the user has set stays. Both ends of a topic need them; see docs/transport.md.
    """
    wanted = dict(ALLOCATOR)
    if 'FASTRTPS_DEFAULT_PROFILES_FILE' not in context.environment:  # the name until Iron
        wanted['FASTDDS_DEFAULT_PROFILES_FILE'] = str(profile_path())
    return [
        SetEnvironmentVariable(name, value)
        for name, value in wanted.items()
        if context.environment.get(name, value) == value
    ]


def require_package(name: str, apt_name: str, what: str) -> None:
    """Raise `RuntimeError`, one line, when the ROS package `name` is not installed."""
    try:
        get_package_prefix(name)
    except PackageNotFoundError:
        distro = os.environ.get('ROS_DISTRO', '$ROS_DISTRO')
        raise RuntimeError(
            f'{what}: the package {name} is not installed; '
            f'sudo apt install ros-{distro}-{apt_name}'
        ) from None


# -- nodes -----------------------------------------------------------------------------------


def node(
    context: LaunchContext,
    executable: str,
    parameters: Mapping[str, Any],
    remappings: Mapping[str, str],
    **options: Any,
) -> Node:
    """One of our nodes: the parameter file first, then `parameters`, which therefore win."""
    own = {
        'use_sim_time': flag(context, 'use_sim_time'),
        # launch_ros reads a string as YAML; a model called 7.onnx or a town called 1 must not be.
        **{
            name: ParameterValue(value, value_type=type(value))
            for name, value in parameters.items()
        },
    }
    respawn = flag(context, 'respawn')
    params_file = Path(text(context, 'params_file')).expanduser()
    if not params_file.is_file():
        raise RuntimeError(f'params_file: expected a parameter file, there is no {params_file}')
    return Node(
        package='seg_node',
        executable=executable,
        name=executable,
        namespace=text(context, 'namespace'),
        output='screen',
        parameters=[ParameterFile(str(params_file), allow_substs=True), own],
        remappings=list(remappings.items()),
        ros_arguments=['--log-level', text(context, 'log_level')],
        **{'respawn': respawn, 'respawn_delay': _RESPAWN_AFTER_S, **options},
    )


def segmentation_node(
    context: LaunchContext, parameters: Mapping[str, Any] | None = None, **options: Any
) -> Node:
    """The node seg_node on the topics of the arguments. `parameters` win over the arguments."""
    given = {
        name: text(context, name)
        for name in ('model', 'backend', 'precision', 'image_transport')
        if text(context, name)
    }
    _check_model(given.get('model', ''))
    topics = {'image': text(context, 'image_topic')}
    topics['camera_info'] = text(context, 'camera_info_topic')
    for name, argument in (
        ('depth/image', 'depth_topic'),
        ('depth/camera_info', 'depth_camera_info_topic'),
    ):
        if text(context, argument):
            topics[name] = text(context, argument)
    switches: dict[str, Any] = {'autostart': flag(context, 'autostart')}
    if flag(context, 'nav2'):
        switches['nav2'] = True
    if text(context, 'depth_topic') and (flag(context, 'nav2') or flag(context, 'lane_map')):
        switches['lane_points.source'] = 'depth'
    return node(
        context, 'seg_node', {**switches, **given, **(parameters or {})}, topics, **options
    )


def _check_model(path: str) -> None:
    """Raise `RuntimeError`, one line, when there is no such file.

    A node that is told such a path waits to be told another; a launch has nobody to tell it.
    """
    if path and not Path(path).is_file():
        raise RuntimeError(f'model: expected a model file, there is no {path}')


def users(context: LaunchContext, lane_map: Mapping[str, Any] | None = None) -> list[Action]:
    """The nodes that use the masks, as the arguments ask for them.

    `lane_map`: parameters of the lane map.
    """
    actions: list[Action] = []
    if flag(context, 'lane_map'):
        topics = {
            'lane_points': 'seg_node/lane_points',
            'mask': '/segmentation/mask' if flag(context, 'nav2') else 'seg_node/mask',
            'camera_info': 'seg_node/camera_info',
            'odom': text(context, 'odometry_topic'),
        }
        actions.append(node(context, 'lane_map', lane_map or {}, topics))
    if flag(context, 'rviz'):
        require_package('rviz2', 'rviz2', 'rviz:=true')
        actions.append(
            Node(
                package='rviz2',
                executable='rviz2',
                output='screen',
                arguments=['-d', str(share_dir() / 'rviz' / 'seg_node.rviz')],
                parameters=[{'use_sim_time': flag(context, 'use_sim_time')}],
            )
        )
    return actions


def rgbd_topics(context: LaunchContext) -> dict[str, str]:
    """What RTAB-Map reads, by RTAB-Map's names."""
    base = f'/{text(context, "namespace")}/seg_node/rgbd'.replace('//', '/')
    names = ('rgb/image', 'rgb/camera_info', 'depth/image', 'depth/camera_info')
    return {name: f'{base}/{name}' for name in names}


def when_subscribed(topic: str, actions: Iterable[Action]) -> Action:
    """Start `actions` once somebody subscribes `topic`, so that the first message is not lost."""
    waiting = list(actions)

    def look(context: LaunchContext) -> list[Action]:
        if get_ros_node(context).count_subscribers(topic) > 0:
            return waiting
        return [TimerAction(period=_POLL_S, actions=[OpaqueFunction(function=look)])]

    return OpaqueFunction(function=look)
