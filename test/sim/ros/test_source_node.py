"""The node `carla_source` in a process of its own, on an embedded server in another."""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('carla')
rclpy = pytest.importorskip('rclpy')

from nav_msgs.msg import Odometry  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402

from seg_node.camera.depth import decode_depth_image  # noqa: E402
from seg_node.images.frames import decode  # noqa: E402
from seg_node_sim.client.ask import ask  # noqa: E402
from seg_node_sim.client.session import Address  # noqa: E402
from seg_node_sim.server import ServerOptions, start_server_process  # noqa: E402

DOMAIN = 62
REPOSITORY = Path(__file__).resolve().parents[3]
LIMIT_S = 90.0
ROLE = '/carla/ego_vehicle'


def free_port() -> int:
    for port in range(22600 + 2 * (os.getpid() % 100), 22998, 2):
        try:
            with socket.socket() as a, socket.socket() as b:
                a.bind(('', port))
                b.bind(('', port + 1))
        except OSError:
            continue
        return port
    raise RuntimeError('no free port')


class Listener:
    """Collects what the node publishes, by topic."""

    TOPICS = (
        (Image, f'{ROLE}/rgb_front/image'),
        (CameraInfo, f'{ROLE}/rgb_front/camera_info'),
        (Image, f'{ROLE}/depth_front/image'),
        (Image, f'{ROLE}/semantic_front/image'),
        (Odometry, f'{ROLE}/odometry'),
        (Clock, '/clock'),
    )

    def __init__(self) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=DOMAIN)
        self.node = rclpy.create_node('listener', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.received: dict[str, list] = {}
        for kind, topic in self.TOPICS:
            box = self.received.setdefault(topic.removeprefix(ROLE), [])
            self.node.create_subscription(kind, topic, box.append, 20)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < end, f'no {what} within {LIMIT_S:g} s'
            self.executor.spin_once(timeout_sec=0.1)

    def sets(self) -> list[SimpleNamespace]:
        """Frames of which everything has come, in order."""
        found = []
        by_stamp: dict[int, dict[str, object]] = {}
        for topic, box in self.received.items():
            for message in box:
                stamp = message.clock if topic == '/clock' else message.header.stamp
                time_ns = stamp.sec * 10**9 + stamp.nanosec
                by_stamp.setdefault(time_ns, {})[topic] = message
        for time_ns, parts in sorted(by_stamp.items()):
            if len(parts) == len(self.TOPICS):
                found.append(SimpleNamespace(
                    time_ns=time_ns, rgb=parts['/rgb_front/image'],
                    info=parts['/rgb_front/camera_info'], depth=parts['/depth_front/image'],
                    tags=parts['/semantic_front/image'], odometry=parts['/odometry'],
                ))  # fmt: skip
        return found

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    made = Listener()
    yield made
    made.close()


def start_node(port: int, **parameters: object) -> subprocess.Popen[str]:
    given = {'port': port, 'seed': 4, 'town': 'Grid', 'timeout': 30.0} | parameters
    words = [w for name, value in given.items() for w in ('-p', f'{name}:={value}')]
    environment = {
        **os.environ,
        'ROS_DOMAIN_ID': str(DOMAIN),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'PYTHONPATH': str(REPOSITORY),
    }
    return subprocess.Popen(
        [sys.executable, '-m', 'seg_node_sim.ros_source', '--ros-args', *words],
        stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def place(odometry: Odometry) -> np.ndarray:
    position = odometry.pose.pose.position
    return np.array([position.x, position.y])


def test_drive_goes_on_after_the_server_was_killed(listener: Listener) -> None:
    port = free_port()
    options = ServerOptions(port=port, town='Grid', exit_with_parent=True)
    with start_server_process(options) as server:
        node = start_node(port)
        try:
            listener.wait(lambda: len(listener.sets()) >= 8, 'frames')
            before = listener.sets()
            check_frame(before[0])
            check_motion(before)
            server.process.kill()
            server.process.wait()
            with start_server_process(options):
                listener.wait(lambda: len(listener.sets()) >= len(before) + 8, 'new frames')
                after = listener.sets()
                step = [np.diff([s.time_ns for s in after])]
                assert (np.concatenate(step) > 0).all()
                # The vehicle goes on where it was.
                assert np.linalg.norm(place(after[-1].odometry) - place(before[-1].odometry)) < 30
                assert ask(Address(port=port), 'get_episode_settings')[0] is True
                node.send_signal(signal.SIGINT)
                _, said = node.communicate(timeout=60)
                assert node.returncode == 0, said
                assert 'went away; connecting again' in said
                # Left as it was found: asynchronous.
                assert ask(Address(port=port), 'get_episode_settings')[0] is False
        finally:
            node.kill()
            node.communicate()


def check_frame(frame: SimpleNamespace) -> None:
    bgr, tags = decode(frame.rgb).bgr(), decode(frame.tags).pixels
    depth = decode_depth_image(frame.depth).pixels
    assert (frame.rgb.encoding, frame.depth.encoding, frame.tags.encoding) == (
        'bgr8', '32FC1', 'mono8'
    )  # fmt: skip
    assert bgr.shape == (360, 640, 3) and depth.shape == tags.shape == (360, 640)
    assert (tags == 1).mean() > 0.1 and bgr.std() > 10.0
    assert frame.rgb.header.frame_id == frame.info.header.frame_id == 'ego_vehicle/rgb_front'
    assert list(frame.info.k) == pytest.approx([320, 0, 319.5, 0, 320, 179.5, 0, 0, 1])
    # A road pixel straight ahead lies where the camera's height and pitch say.
    row = 300
    ray = (row - 179.5) / 320
    height, pitch = 1.7, math.radians(5.0)
    expected = height / (math.sin(pitch) + ray * math.cos(pitch))
    if tags[row, 320] in (1, 24):
        assert depth[row, 320] == pytest.approx(expected, rel=0.02)


def check_motion(frames: list[SimpleNamespace]) -> None:
    """Velocity in the body agrees with the way travelled between frames."""
    a, b = frames[0], frames[-1]
    assert (b.odometry.header.frame_id, b.odometry.child_frame_id) == ('map', 'ego_vehicle')
    seconds = (b.time_ns - a.time_ns) / 1e9
    q = b.odometry.pose.pose.orientation
    yaw = 2.0 * math.atan2(q.z, q.w)
    way = place(b.odometry) - place(a.odometry)
    forward = way @ np.array([math.cos(yaw), math.sin(yaw)])
    speeds = [f.odometry.twist.twist.linear.x for f in frames]
    assert min(speeds) * seconds - 0.3 <= forward <= max(speeds) * seconds + 0.3
    assert forward > 0.1


@pytest.mark.parametrize(
    ('parameters', 'word'),
    [
        ({'weather': 'Nice'}, "weather 'Nice'"),
        ({'rig': '/no/rig.json'}, 'No such file'),
        ({'fps': 5000.0}, 'fps'),
    ],
)
def test_wrong_parameters_end_the_node_with_one_line(
    parameters: dict[str, object], word: str
) -> None:
    node = start_node(free_port(), **parameters)
    _, said = node.communicate(timeout=60)
    errors = [line for line in said.splitlines() if line.startswith('error:')]
    assert node.returncode == 1 and len(errors) == 1 and re.search(re.escape(word), errors[0])
    assert 'Traceback' not in said


def test_wrong_town_ends_the_node_with_one_line() -> None:
    port = free_port()
    with start_server_process(ServerOptions(port=port, town='Grid', exit_with_parent=True)):
        # Simulated time, which this node has never published, must not keep it from ending.
        node = start_node(port, town='Atlantis', use_sim_time=True)
        _, said = node.communicate(timeout=60)
    assert node.returncode == 1 and "town 'Atlantis': expected one that" in said
    assert 'Traceback' not in said


def test_ctrl_c_while_waiting_for_a_server() -> None:
    node = start_node(free_port())
    assert node.stderr is not None
    for line in node.stderr:
        if 'waiting for a CARLA server' in line:
            break
    node.send_signal(signal.SIGINT)
    _, said = node.communicate(timeout=30)
    assert node.returncode == 0, said
