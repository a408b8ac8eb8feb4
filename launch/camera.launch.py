"""seg_node on the topics of a camera driver that runs already.

ros2 launch seg_node camera.launch.py image_topic:=/camera/image_raw \
    camera_info_topic:=/camera/camera_info
"""

from collections.abc import Sequence
from pathlib import Path

from launch.action import Action
from launch.actions import DeclareLaunchArgument

from launch import LaunchContext, LaunchDescription
from seg_node import launching
from seg_node.errors import ConfigError
from seg_node.rig_file import rgb_cameras


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the nodes."""
    arguments = [
        DeclareLaunchArgument(
            'cameras',
            default_value='',
            description='Several cameras of one node: names as in front,left (front/image …), a '
            'rig file (.json), or a pattern of topics (/rig/*/image); empty: image_topic.',
        ),
        *launching.common_arguments(),
        *launching.depth_arguments(),
        *launching.use_arguments(),
    ]
    return launching.description(__file__, arguments, _start)


def _start(context: LaunchContext) -> list[Action]:
    written = launching.text(context, 'cameras').split(',')
    entries = [str(Path(entry.strip()).expanduser()) for entry in written if entry.strip()]
    actions = [
        *launching.transport_environment(context),
        launching.segmentation_node(context, {'cameras': entries} if entries else {}),
        *launching.users(context, cameras=_names(entries)),
    ]
    launching.refuse(launching.model_check(context))
    return actions


def _names(entries: Sequence[str]) -> list[str]:
    """Names of the cameras, as far as they are known before the node has seen the topics."""
    names: list[str] = []
    for entry in entries:
        try:
            files = rgb_cameras(Path(entry)) if entry.endswith('.json') else ()
        except ConfigError as error:
            raise RuntimeError(f'cameras: {error}') from None
        names += [camera.name for camera in files] or [entry]
    return [name for name in names if '*' not in name]
