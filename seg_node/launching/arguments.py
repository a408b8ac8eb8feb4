"""Arguments of the launch files, in nav2's vocabulary: declaring, settling and reading them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchContext, LaunchDescription
from seg_node.errors import near_name
from seg_node.share import share_dir

BOOLEANS = ('true', 'false', 'True', 'False', 'TRUE', 'FALSE', '1', '0')
"""Spellings that nav2's files and YAML hand on."""
LOG_LEVELS = ('debug', 'info', 'warn', 'error', 'fatal')
SAME = {
    'use_respawn': 'respawn',
    'use_rviz': 'rviz',
    'odom_topic': 'odometry_topic',
    'rtabmap_args': 'args',
}
"""Arguments by which nav2's and RTAB-Map's files mean ours."""

_T = TypeVar('_T')


def _choices(parameter: str) -> tuple[str, ...]:
    """The choices of a parameter as the node declares it; empty: as params_file says."""
    from seg_node.ros.declared import declared
    from seg_node.ros.node_settings import NodeSettings

    return ('', *next(i.choices for i in declared(NodeSettings) if i.name == parameter))


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
            'use_respawn',
            default_value='',
            choices=('', *BOOLEANS),
            description="nav2's name of respawn.",
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
            choices=_choices('backend'),
            description='Runtime of the model; empty: as params_file says.',
        ),
        DeclareLaunchArgument(
            'precision',
            default_value='',
            choices=_choices('precision'),
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
            choices=_choices('image_transport'),
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
            'use_rviz',
            default_value='',
            choices=('', *BOOLEANS),
            description="nav2's name of rviz.",
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
            description='nav_msgs/Odometry for lane lines and the lane map.',
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
    return text(context, name).lower() in ('true', '1')


def path(context: LaunchContext, name: str) -> str:
    """The value of an argument that is a file or folder, `~` resolved; empty where it is empty."""
    written = text(context, name)
    return str(Path(written).expanduser()) if written else ''


def number(context: LaunchContext, name: str) -> float:
    """The value of an argument as a number. Raises `RuntimeError`, one line."""
    return _parsed(context, name, float, 'a number')


def integer(context: LaunchContext, name: str) -> int:
    """The value of an argument as a whole number. Raises `RuntimeError`, one line."""
    return _parsed(context, name, int, 'a whole number')


def _parsed(context: LaunchContext, name: str, kind: Callable[[str], _T], what: str) -> _T:
    written = text(context, name)
    try:
        return kind(written)
    except ValueError:
        raise RuntimeError(f'{name}: expected {what}, got {written!r}') from None


# -- settling --------------------------------------------------------------------------------


def description(
    launch_file: str,
    arguments: Sequence[DeclareLaunchArgument],
    start: Callable[[LaunchContext], list[Action]],
    includes: Iterable[str] = (),
) -> LaunchDescription:
    """A launch file: `arguments`, settled, then what `start` makes of them.

    Settled: booleans are `true` or `false` from here on, others' names have set ours, and a topic
    ending in `/compressed` has set `image_transport`; for included files too. An argument of the
    command line that neither `launch_file` nor one of `includes` (file names beside it) has ends
    the launch with one line.
    """

    def settle(context: LaunchContext) -> None:
        _refuse_unknown(context, Path(launch_file), arguments, includes)
        values = context.launch_configurations
        for argument in arguments:
            closed = set(argument.choices or ())
            if set(BOOLEANS) <= closed and text(context, argument.name):
                values[argument.name] = 'true' if flag(context, argument.name) else 'false'
        for theirs, ours in SAME.items():
            if values.get(theirs):
                values[ours] = values[theirs]
        settle_transport(context)

    return LaunchDescription(
        [*arguments, OpaqueFunction(function=settle), OpaqueFunction(function=start)]
    )


def settle_transport(context: LaunchContext) -> None:
    """`image_transport` is `compressed` where the topic says so and nobody says otherwise."""
    compressed = text(context, 'image_topic').endswith('/compressed')
    if compressed and not text(context, 'image_transport'):
        context.launch_configurations['image_transport'] = 'compressed'


def compressed(context: LaunchContext) -> bool:
    """Whether `image_topic` carries `CompressedImage`, by argument or by `params_file`."""
    named = text(context, 'image_transport') or in_params_file(context, 'image_transport')
    return named == 'compressed'


def in_params_file(context: LaunchContext, name: str) -> str:
    """The value of a parameter of the node in `params_file`; empty where there is none."""
    try:
        blocks = yaml.safe_load(Path(path(context, 'params_file')).read_text(encoding='utf-8'))
        for key in reversed(blocks):
            if key.split('/')[-1] in ('seg_node', '**'):
                value = blocks[key].get('ros__parameters', {}).get(name)
                if isinstance(value, str) and '$(' not in value:
                    return value
    except (OSError, yaml.YAMLError, AttributeError, TypeError):
        return ''  # the node says what is wrong with the file
    return ''


def _refuse_unknown(
    context: LaunchContext,
    file: Path,
    arguments: Iterable[DeclareLaunchArgument],
    includes: Iterable[str],
) -> None:
    """`ros2 launch` itself takes any NAME:=VALUE and says nothing.

    Only where `file` is what the command line names: an including file has names of its own.
    """
    if file.name not in (Path(word).name for word in sys.argv):
        return
    words = [word.partition(':=')[0] for word in context.argv if ':=' in word]
    known = {argument.name for argument in arguments}
    if not set(words) <= known:
        for name in includes:
            source = PythonLaunchDescriptionSource(str(file.with_name(name)))
            inner = source.get_launch_description(context).get_launch_arguments()
            known |= {argument.name for argument in inner}
    for word in words:
        if word not in known:
            hint = near_name(word, known, '--show-args lists all')
            raise RuntimeError(f'{word}: {file.name} has no such argument; {hint}')
