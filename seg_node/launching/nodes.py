"""Nodes as the arguments ask for them: parameters, remappings, and what their end means."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, List  # noqa: UP035  launch_ros of Humble knows no list[str]

from launch.action import Action
from launch.actions import OpaqueFunction, Shutdown, TimerAction
from launch.events.process import ProcessExited
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.ros_adapters import get_ros_node

from launch import LaunchContext
from seg_node.launching.arguments import flag, path, text
from seg_node.launching.checks import require_package
from seg_node.launching.names import absolute, namespace, topic
from seg_node.rig_layouts import rviz_layout
from seg_node.share import share_dir

_POLL_S = 0.1
_RESPAWN_AFTER_S = 2.0


def life(context: LaunchContext, end: str) -> dict[str, Any]:
    """Options of a process without which there is nothing to look at.

    With `respawn` it comes back, otherwise its end is the launch's; `end` says what has ended.
    """
    if flag(context, 'respawn'):
        return {'respawn': True, 'respawn_delay': _RESPAWN_AFTER_S}
    return {'respawn': False, 'on_exit': ends_launch(end)}


def ends_launch(end: str) -> Callable[[ProcessExited, LaunchContext], list[Action] | None]:
    """An `on_exit` that ends the launch: with status 1 where the process failed."""

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[Action] | None:
        if context.is_shutdown:
            return None
        if event.returncode != 0:
            raise RuntimeError(f'{event.process_name}: ended with status {event.returncode}')
        return [Shutdown(reason=end)]

    return on_exit


def node(
    context: LaunchContext,
    executable: str,
    parameters: Mapping[str, Any],
    remappings: Mapping[str, str],
    **options: Any,
) -> Node:
    """One of our nodes: the parameter file first, then `parameters`, which therefore win.

    `options` go to `launch_ros.actions.Node`. Raises `RuntimeError`, one line, when there is no
    such parameter file.
    """
    own = {
        'use_sim_time': flag(context, 'use_sim_time'),
        # launch_ros reads a string as YAML; a model called 7.onnx or a town called 1 must not be.
        **{
            name: ParameterValue(value, value_type=_kind(value))
            for name, value in parameters.items()
        },
    }
    params_file = Path(path(context, 'params_file'))
    if not params_file.is_file():
        raise RuntimeError(f'params_file: expected a parameter file, there is no {params_file}')
    life_options = {'respawn': flag(context, 'respawn'), 'respawn_delay': _RESPAWN_AFTER_S}
    return Node(
        package='seg_node',
        executable=executable,
        name=executable,
        namespace=namespace(context),
        output='screen',
        parameters=[ParameterFile(str(params_file), allow_substs=True), own],
        remappings=list(remappings.items()),
        ros_arguments=['--log-level', text(context, 'log_level')],
        **{**life_options, **options},
    )


def _kind(value: Any) -> Any:
    return List[str] if isinstance(value, list) else type(value)  # noqa: UP006


def segmentation_node(
    context: LaunchContext,
    parameters: Mapping[str, Any] | None = None,
    rig: Mapping[str, Mapping[str, str]] | None = None,
) -> Node:
    """The node seg_node on the topics of the arguments. `parameters` win over the arguments.

    `rig`: by the name of a camera, its topics by our inputs' names; for several cameras in place
    of the arguments' one.
    """
    settings = {name: text(context, name) for name in ('backend', 'precision', 'image_transport')}
    settings['model'] = path(context, 'model')
    topics = {
        name: text(context, argument)
        for name, argument in (
            ('image', 'image_topic'),
            ('camera_info', 'camera_info_topic'),
            ('depth/image', 'depth_topic'),
            ('depth/camera_info', 'depth_camera_info_topic'),
            ('odom', 'odometry_topic'),
        )
        if text(context, argument)
    }
    switches: dict[str, Any] = {'autostart': flag(context, 'autostart')}
    if rig:
        switches['cameras'] = list(rig)
        topics |= {f'{name}/{i}': t for name, of_one in rig.items() for i, t in of_one.items()}
    if flag(context, 'nav2'):
        switches['nav2'] = True
    if (
        not rig
        and text(context, 'depth_topic')
        and (flag(context, 'nav2') or flag(context, 'lane_map'))
    ):
        switches['lane_points.source'] = 'depth'
    named = {name: value for name, value in settings.items() if value}
    return node(
        context,
        'seg_node',
        {**switches, **named, **(parameters or {})},
        topics,
        **life(context, 'the segmentation node has ended'),
    )


def users(
    context: LaunchContext,
    lane_map: Mapping[str, Any] | None = None,
    cameras: Sequence[str] = (),
) -> list[Action]:
    """The nodes that use the masks, as the arguments ask for them.

    `lane_map`: parameters of the lane map. `cameras`: names of several; the lane map is of the
    first.
    """
    actions: list[Action] = []
    if flag(context, 'lane_map'):
        below = f'{cameras[0]}/' if cameras else ''
        place = 'segmentation' if flag(context, 'nav2') else 'seg_node'
        topics = {
            'lane_points': f'seg_node/{below}lane_points',
            'mask': f'{place}/{below}mask',
            'camera_info': f'seg_node/{below}camera_info',
            'odom': text(context, 'odometry_topic'),
        }
        actions.append(node(context, 'lane_map', lane_map or {}, topics))
    if flag(context, 'rviz'):
        actions.append(_rviz(context, cameras))
    return actions


def _rviz(context: LaunchContext, cameras: Sequence[str]) -> Node:
    """RViz; its layout names topics in the root, so they are remapped into our namespace."""
    require_package('rviz2', 'rviz2', 'rviz:=true')
    layout = share_dir() / 'rviz' / 'seg_node.rviz'
    written = layout.read_text(encoding='utf-8')
    if cameras:
        written = rviz_layout(written, cameras)
        layout = Path(tempfile.mkdtemp(prefix='seg_node_')) / 'rig.rviz'
        layout.write_text(written, encoding='utf-8')
    topics = set(re.findall(r'Value: /(\S+)', written))
    return Node(
        package='rviz2',
        executable='rviz2',
        namespace=namespace(context),
        output='screen',
        arguments=['-d', str(layout)],
        parameters=[{'use_sim_time': flag(context, 'use_sim_time')}],
        remappings=[(f'/{name}', absolute(context, name)) for name in sorted(topics)],
    )


def rgbd_topics(context: LaunchContext) -> dict[str, str]:
    """What RTAB-Map reads, by RTAB-Map's names."""
    names = ('rgb/image', 'rgb/camera_info', 'depth/image', 'depth/camera_info')
    return {name: absolute(context, f'seg_node/rgbd/{name}') for name in names}


def plain_pictures(context: LaunchContext, name: str) -> tuple[list[Action], str]:
    """A node that makes `Image` of the compressed `image_topic`, and the topic that it goes to:
    `name`, in the namespace. For programs that read no `CompressedImage`.
    """
    require_package('image_transport', 'image-transport-plugins', 'image_topic: compressed')
    camera = topic(context, 'image_topic').removesuffix('/compressed')
    pictures = absolute(context, name)
    return [
        Node(
            package='image_transport',
            executable='republish',
            name='republish',
            namespace=namespace(context),
            output='screen',
            # Humble takes arguments and the remapping of in/compressed, newer ones the others.
            arguments=['compressed', 'raw'],
            parameters=[{'in_transport': 'compressed', 'out_transport': 'raw'}],
            remappings=[
                ('in', camera),
                ('in/compressed', f'{camera}/compressed'),
                ('out', pictures),
            ],
        )
    ], pictures


def when_subscribed(topic: str, actions: Iterable[Action]) -> Action:
    """Start `actions` once somebody subscribes `topic`, so that the first message is not lost."""
    waiting = list(actions)

    def look(context: LaunchContext) -> list[Action]:
        if get_ros_node(context).count_subscribers(topic) > 0:
            return waiting
        return [TimerAction(period=_POLL_S, actions=[OpaqueFunction(function=look)])]

    return OpaqueFunction(function=look)
