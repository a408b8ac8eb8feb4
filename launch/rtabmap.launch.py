"""RTAB-Map with seg_node: on the camera's own RGB-D, or on the masks.

ros2 launch seg_node rtabmap.launch.py image_topic:=/camera/color/image_raw \
    camera_info_topic:=/camera/color/camera_info \
    depth_topic:=/camera/aligned_depth_to_color/image_raw frame_id:=base_link

docs/rtabmap.md tells which mode is for what. Odometry always sees the camera's own pictures, not
the masked ones, in which too few features have depth. Names are upstream's where it has them.
"""

from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription
from seg_node import launching
from seg_node.rtabmap.parameters import MODES, Mapping, as_arguments

QOS = ('', '0', '1', '2')
OF_SETS, OF_CAMERA = '1', '0'
"""RTAB-Map's numbers: reliable, as seg_node publishes; system default, which any driver meets."""


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the node, odometry and RTAB-Map."""
    return launching.description(__file__, _arguments(), _start)


def _arguments() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            'mode',
            default_value='raw',
            choices=MODES,
            description='What RTAB-Map maps. raw: the pictures of the camera, painted afterwards '
            'by rtabmap-paint; the others: the masks (classes to drop are in params_file).',
        ),
        *_frame_arguments(),
        *_odometry_arguments(),
        DeclareLaunchArgument(
            'depth_as_mask',
            default_value='',
            choices=('', *launching.BOOLEANS),
            description='Take no features where the depth is removed; empty: with lanes_only.',
        ),
        DeclareLaunchArgument(
            'dilate_px',
            default_value='',
            description='Pixels by which classes are widened; empty: 3 with lanes_only, else as '
            'params_file says.',
        ),
        DeclareLaunchArgument(
            'range_max',
            default_value='20.0',
            description='Points further away are left out of the map. Metres; 0: none are.',
        ),
        DeclareLaunchArgument(
            'depth_far',
            default_value='1000.0',
            description='Depth from there on is unknown, as the sky of a simulator. Metres; 0: '
            'none is.',
        ),
        DeclareLaunchArgument(
            'max_speed',
            default_value='8.0',
            description='Of the vehicle, m/s: RTAB-Map makes a node every 8 m, or every second.',
        ),
        DeclareLaunchArgument(
            'database_path',
            default_value='~/.ros/rtabmap.db',
            description='File of the map.',
        ),
        DeclareLaunchArgument(
            'args',
            default_value='',
            description='Further arguments of RTAB-Map, which win over those of the mode; '
            '--delete_db_on_start: a new map.',
        ),
        DeclareLaunchArgument(
            'rtabmap_args', default_value='', description='Old name of args, as upstream.'
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
    ]


def _frame_arguments() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            'frame_id', default_value='base_link', description='Frame of the vehicle.'
        ),
        DeclareLaunchArgument(
            'map_frame_id', default_value='map', description='Frame of the map.'
        ),
        DeclareLaunchArgument(
            'odom_frame_id',
            default_value='',
            description='Take odometry from TF, of this frame; empty: from odometry_topic.',
        ),
    ]


def _odometry_arguments() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            'visual_odometry',
            default_value='true',
            choices=launching.BOOLEANS,
            description="Odometry from the camera's pictures; false: from odometry_topic. No "
            'matter with odom_frame_id.',
        ),
        DeclareLaunchArgument(
            'odom_topic', default_value='', description="Upstream's name of odometry_topic."
        ),
        DeclareLaunchArgument(
            'odom_args', default_value='', description='Further arguments of visual odometry.'
        ),
        DeclareLaunchArgument(
            'approx_sync',
            default_value='',
            choices=('', *launching.BOOLEANS),
            description='Take messages of near stamps together; empty: where odometry comes from '
            "a topic, whose stamps are not the camera's.",
        ),
        DeclareLaunchArgument(
            'qos',
            default_value='',
            choices=QOS,
            description='Of subscriptions: 0 system default, 1 reliable, 2 best effort; empty: 1 '
            "of the masks, 0 of the camera's topics.",
        ),
    ]


def _start(context: LaunchContext) -> list[Action]:
    launching.require_package('rtabmap_launch', 'rtabmap-ros', 'RTAB-Map')
    mapping = _mapping(context)
    visual = launching.flag(context, 'visual_odometry')
    visual = visual and not launching.text(context, 'odom_frame_id')
    picture = launching.topic(context, 'image_topic')
    before: list[Action] = []
    if (visual or mapping.mode == 'raw') and launching.compressed(context):
        before, picture = launching.plain_pictures(context, 'rtabmap/camera/image')
    actions = [
        *launching.transport_environment(context),
        launching.segmentation_node(context, mapping.node()),
        *before,
        *([_visual_odometry(context, mapping, picture)] if visual else []),
        _rtabmap(context, mapping, picture, visual),
        *([_how_to_paint(context)] if mapping.mode == 'raw' else []),
        *(launching.users(context) if launching.flag(context, 'users') else []),
    ]
    launching.refuse(launching.model_check(context))
    return actions


def _mapping(context: LaunchContext) -> Mapping:
    masked, dilated = (launching.text(context, n) for n in ('depth_as_mask', 'dilate_px'))
    return Mapping(
        mode=launching.text(context, 'mode'),
        depth_as_mask=launching.flag(context, 'depth_as_mask') if masked else None,
        range_max_m=launching.number(context, 'range_max'),
        max_speed=launching.number(context, 'max_speed'),
        depth_far_m=launching.number(context, 'depth_far'),
        dilate_px=launching.integer(context, 'dilate_px') if dilated else None,
    )


def _visual_odometry(context: LaunchContext, mapping: Mapping, picture: str) -> Action:
    """RTAB-Map's odometry on what the camera gives."""
    launching.require_package('rtabmap_odom', 'rtabmap-ros', 'visual_odometry:=true')
    further = f'{launching.text(context, "args")} {launching.text(context, "odom_args")}'
    return Node(
        package='rtabmap_odom',
        executable='rgbd_odometry',
        namespace=launching.namespace(context),
        output='screen',
        parameters=[
            {
                'frame_id': launching.text(context, 'frame_id'),
                'use_sim_time': launching.flag(context, 'use_sim_time'),
                'approx_sync': launching.flag(context, 'approx_sync'),
                'qos': int(launching.text(context, 'qos') or OF_CAMERA),
            }
        ],
        arguments=as_arguments(mapping.odometry(), further).split(),
        remappings=[
            ('rgb/image', picture),
            ('rgb/camera_info', launching.topic(context, 'camera_info_topic')),
            ('depth/image', launching.topic(context, 'depth_topic')),
            ('odom', launching.topic(context, 'odometry_topic')),
        ],
    )


def _rtabmap(context: LaunchContext, mapping: Mapping, picture: str, visual: bool) -> Action:
    raw = mapping.mode == 'raw'
    sets = launching.rgbd_topics(context)
    tf = launching.text(context, 'odom_frame_id')
    # Odometry on a topic is in RTAB-Map's synchronizer; that of wheels has stamps of its own.
    approximate = launching.text(context, 'approx_sync') or str(not visual and not tf).lower()
    arguments = {
        'rgb_topic': picture if raw else sets['rgb/image'],
        'camera_info_topic': (
            launching.topic(context, 'camera_info_topic') if raw else sets['rgb/camera_info']
        ),
        'depth_topic': launching.topic(context, 'depth_topic') if raw else sets['depth/image'],
        'approx_sync': approximate,
        'qos': launching.text(context, 'qos') or (OF_CAMERA if raw else OF_SETS),
        'frame_id': launching.text(context, 'frame_id'),
        'map_frame_id': launching.text(context, 'map_frame_id'),
        'odom_frame_id': tf,
        'visual_odometry': 'false',  # ours runs beside: upstream's would look at the masked sets
        'odom_topic': launching.topic(context, 'odometry_topic'),
        'args': as_arguments(mapping.rtabmap(), launching.text(context, 'args')),
        'database_path': launching.text(context, 'database_path'),
        'rtabmap_viz': launching.text(context, 'rtabmap_viz'),
        'use_sim_time': launching.text(context, 'use_sim_time'),
        'namespace': launching.absolute(context, 'rtabmap'),
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


def _how_to_paint(context: LaunchContext) -> Action:
    database = launching.text(context, 'database_path')
    painted = f'{database.removesuffix(".db")}_painted.db'
    return LogInfo(
        msg=f'the finished map is painted by: ros2 run seg_node seg_node rtabmap-paint {database} '
        f'-o {painted}'
    )
