"""RTAB-Map on the RGB-D output of seg_node.

ros2 launch seg_node rtabmap.launch.py image_topic:=/camera/color/image_raw \
    camera_info_topic:=/camera/color/camera_info \
    depth_topic:=/camera/aligned_depth_to_color/image_raw frame_id:=base_link

docs/rtabmap.md tells which mode is for what. RTAB-Map's odometry sees the camera's own pictures,
not the masked ones, in which too few features have depth.
"""

from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription
from seg_node import launching

MODES = ('lane_rgb', 'lanes_only', 'road_only', 'drop_classes')
RELIABLE = '1'
"""RTAB-Map's number for a reliable subscription, which is what seg_node publishes."""


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the node, odometry and RTAB-Map."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'mode',
                default_value='lane_rgb',
                choices=MODES,
                description='What RTAB-Map is given; classes to drop are in params_file.',
            ),
            DeclareLaunchArgument(
                'frame_id', default_value='base_link', description='Frame of the vehicle.'
            ),
            DeclareLaunchArgument(
                'map_frame_id', default_value='map', description='Frame of the map.'
            ),
            DeclareLaunchArgument(
                'visual_odometry',
                default_value='true',
                choices=launching.BOOLEANS,
                description='Odometry from the pictures; false: from odometry_topic.',
            ),
            DeclareLaunchArgument(
                'depth_as_mask',
                default_value='false',
                choices=launching.BOOLEANS,
                description='Take no features either where the depth is removed.',
            ),
            DeclareLaunchArgument(
                'range_max',
                default_value='20.0',
                description='Points further away are left out of the map. Metres; 0: none are.',
            ),
            DeclareLaunchArgument(
                'database_path',
                default_value='~/.ros/rtabmap.db',
                description='File of the map.',
            ),
            DeclareLaunchArgument(
                'rtabmap_args',
                default_value='',
                description='Further arguments of RTAB-Map; --delete_db_on_start: a new map.',
            ),
            DeclareLaunchArgument(
                'rtabmap_viz',
                default_value='true',
                choices=launching.BOOLEANS,
                description="Start RTAB-Map's own window.",
            ),
            DeclareLaunchArgument(
                'users',
                default_value='true',
                choices=launching.BOOLEANS,
                description='Start RViz and lane map here; false: the including file does.',
            ),
            *launching.common_arguments(),
            *launching.depth_arguments('depth/image', 'depth/camera_info'),
            *launching.use_arguments(),
            OpaqueFunction(function=_start),
        ]
    )


def _start(context: LaunchContext) -> list[Action]:
    launching.require_package('rtabmap_launch', 'rtabmap-ros', 'RTAB-Map')
    visual = launching.flag(context, 'visual_odometry')
    return [
        *launching.transport_environment(context),
        launching.segmentation_node(context, {'rtabmap.mode': launching.text(context, 'mode')}),
        *([_visual_odometry(context)] if visual else []),
        _rtabmap(context),
        *(launching.users(context) if launching.flag(context, 'users') else []),
    ]


def _odometry_topic(context: LaunchContext) -> str:
    return launching.topic(context, 'odometry_topic')


def _visual_odometry(context: LaunchContext) -> Action:
    """RTAB-Map's odometry on what the camera gives."""
    launching.require_package('rtabmap_odom', 'rtabmap-ros', 'visual_odometry:=true')
    return Node(
        package='rtabmap_odom',
        executable='rgbd_odometry',
        namespace=launching.text(context, 'namespace'),
        output='screen',
        parameters=[
            {
                'frame_id': launching.text(context, 'frame_id'),
                'use_sim_time': launching.flag(context, 'use_sim_time'),
                'approx_sync': False,
            }
        ],
        remappings=[
            ('rgb/image', launching.topic(context, 'image_topic')),
            ('rgb/camera_info', launching.topic(context, 'camera_info_topic')),
            ('depth/image', launching.topic(context, 'depth_topic')),
            ('odom', _odometry_topic(context)),
        ],
    )


def _rtabmap(context: LaunchContext) -> Action:
    as_mask = launching.text(context, 'depth_as_mask')
    further = launching.text(context, 'rtabmap_args')
    parameters = {
        'Vis/DepthAsMask': as_mask,
        'Mem/DepthAsMask': as_mask,
        'Grid/RangeMax': str(launching.number(context, 'range_max')),
    }
    flags = ' '.join(f'--{name} {value}' for name, value in parameters.items())
    sets = launching.rgbd_topics(context)
    arguments = {
        'rgb_topic': sets['rgb/image'],
        'camera_info_topic': sets['rgb/camera_info'],
        'depth_topic': sets['depth/image'],
        'approx_sync': 'false',
        'qos': RELIABLE,
        'frame_id': launching.text(context, 'frame_id'),
        'map_frame_id': launching.text(context, 'map_frame_id'),
        'visual_odometry': 'false',
        'odom_topic': _odometry_topic(context),
        'rtabmap_args': f'{flags} {further}'.strip(),
        'database_path': launching.text(context, 'database_path'),
        'rtabmap_viz': launching.text(context, 'rtabmap_viz'),
        'use_sim_time': launching.text(context, 'use_sim_time'),
        'log_level': launching.text(context, 'log_level'),
    }
    path = [FindPackageShare('rtabmap_launch'), '/launch/rtabmap.launch.py']
    # Not forwarded: rtabmap.launch.py has arguments of our names (namespace, rviz) with other
    # meanings. That forgets the environment too, so it is set again.
    return GroupAction(
        forwarding=False,
        actions=[
            *launching.transport_environment(context),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(path), launch_arguments=arguments.items()
            ),
        ],
    )
