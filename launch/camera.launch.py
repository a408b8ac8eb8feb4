"""seg_node on the topics of a camera driver that runs already.

ros2 launch seg_node camera.launch.py image_topic:=/camera/image_raw \
    camera_info_topic:=/camera/camera_info
"""

from launch.action import Action
from launch.actions import OpaqueFunction

from launch import LaunchContext, LaunchDescription
from seg_node import launching


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the nodes."""
    return LaunchDescription(
        [
            *launching.common_arguments(),
            *launching.depth_arguments(),
            *launching.use_arguments(),
            OpaqueFunction(function=_start),
        ]
    )


def _start(context: LaunchContext) -> list[Action]:
    return [
        *launching.transport_environment(context),
        launching.segmentation_node(context),
        *launching.users(context),
    ]
