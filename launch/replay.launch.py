"""A recorded drive through seg_node: a bag by `ros2 bag play`, or a bag, video or folder by ours.

ros2 launch seg_node replay.launch.py input:=drive_bag
ros2 launch seg_node replay.launch.py player:=play input:=drive.mp4

`ros2 bag play` keeps the recorded stamps and gives /clock, so use_sim_time is true with it; our
`play` stamps with the time of sending. The launch ends when the recording does.
"""

from pathlib import Path

from launch.action import Action
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration, PythonExpression

from launch import LaunchContext, LaunchDescription
from seg_node import launching
from seg_node.errors import SegNodeError
from seg_node.prerequisites import missing
from seg_node.venv import use_venv

PLAYERS = ('rosbag2', 'play')
CLOCK_HZ = '200'
_END = launching.ends_launch('the recording has ended')


def generate_launch_description() -> LaunchDescription:
    """Arguments, then the node, then the player."""
    arguments = [
        DeclareLaunchArgument(
            'input',
            description='The recording: a bag; player:=play also a video or folder.',
        ),
        DeclareLaunchArgument(
            'player',
            default_value='rosbag2',
            choices=PLAYERS,
            description='rosbag2: ros2 bag play, stamps as recorded. play: ours, new stamps.',
        ),
        DeclareLaunchArgument(
            'rate',
            default_value='',
            description='Times real speed (rosbag2), or pictures a second (play).',
        ),
        DeclareLaunchArgument(
            'loop',
            default_value='false',
            choices=launching.BOOLEANS,
            description='Start again at the end.',
        ),
        DeclareLaunchArgument(
            'delay',
            default_value='1.0',
            description='rosbag2: seconds from the node being ready to the first message.',
        ),
        DeclareLaunchArgument(
            'bag_topic',
            default_value='',
            description='play: camera topic of a bag; empty: by what the pictures are.',
        ),
        *launching.common_arguments(
            image_topic='',
            camera_info_topic='',
            use_sim_time=PythonExpression(
                ["'true' if '", LaunchConfiguration('player'), "' == 'rosbag2' else 'false'"]
            ),
        ),
        *launching.depth_arguments(),
        *launching.use_arguments(),
    ]
    return launching.description(__file__, arguments, _start)


def _start(context: LaunchContext) -> list[Action]:
    recording = Path(launching.path(context, 'input'))
    if not recording.exists():
        raise RuntimeError(f'input: expected a recording, there is no {recording}')
    rosbag2 = launching.text(context, 'player') == 'rosbag2'
    if rosbag2:
        launching.require_package('ros2bag', 'ros2bag', 'player:=rosbag2')
    _choose_topics(context, recording if rosbag2 else None)
    player = _rosbag2(context, recording) if rosbag2 else _play(context, recording)
    actions = [
        *launching.transport_environment(context),
        launching.segmentation_node(context),
        *launching.users(context),
        launching.when_subscribed(launching.topic(context, 'image_topic'), [player]),
    ]
    launching.refuse(launching.model_check(context))
    return actions


def _choose_topics(context: LaunchContext, bag: Path | None) -> None:
    """Where topics are not given: the bag's camera, or those of our player."""
    image = launching.text(context, 'image_topic')
    if not image:
        image = 'image' if bag is None else _camera_of(bag)
        context.launch_configurations['image_topic'] = image
    if not launching.text(context, 'camera_info_topic'):
        place = ''.join(image.removesuffix('/compressed').rpartition('/')[:2])
        context.launch_configurations['camera_info_topic'] = f'{place}camera_info'
    launching.settle_transport(context)


def _camera_of(bag: Path) -> str:
    """The topic that `python -m seg_node replay` evaluates too."""
    use_venv(children=False)
    try:
        from seg_node.bags.bag import Bag
        from seg_node.bags.camera import choose_camera
    except ImportError as error:
        raise RuntimeError(
            f'image_topic: not given, and no bag can be read: {missing(error)}'
        ) from None
    try:
        with Bag(bag) as opened:
            return choose_camera(opened).topic.name
    except SegNodeError as error:
        raise RuntimeError(f'input: {error}') from None


def _rosbag2(context: LaunchContext, recording: Path) -> Action:
    command = ['ros2', 'bag', 'play', str(recording), '--disable-keyboard-controls']
    command += ['--delay', launching.text(context, 'delay')]
    if not _has_clock(recording):  # a simulator's own clock fits the stamps, --clock hides it
        command += ['--clock', CLOCK_HZ]
    rate = launching.text(context, 'rate')
    if rate:
        command += ['--rate', rate]
    if launching.flag(context, 'loop'):
        command.append('--loop')
    return ExecuteProcess(cmd=command, output='screen', on_exit=_END)


def _has_clock(recording: Path) -> bool:
    try:
        from seg_node.bags.bag import Bag

        with Bag(recording) as bag:
            return bag.topic('/clock') is not None
    except (ImportError, SegNodeError):
        return False  # ros2 bag play says what is wrong with the bag


def _play(context: LaunchContext, recording: Path) -> Action:
    parameters = {
        'input': str(recording.resolve()),
        'topic': launching.text(context, 'bag_topic'),
        'loop': launching.flag(context, 'loop'),
        'subscribers': 1,
    }
    if launching.text(context, 'rate'):
        parameters['rate'] = launching.number(context, 'rate')
    topics = {
        'image': launching.text(context, 'image_topic'),
        'camera_info': launching.text(context, 'camera_info_topic'),
    }
    return launching.node(context, 'play', parameters, topics, respawn=False, on_exit=_END)
