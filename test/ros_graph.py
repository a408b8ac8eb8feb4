"""A tester beside the node under test: a camera, readers, a remote control; over real DDS.

Every module names a ROS_DOMAIN_ID of its own as `DOMAIN`. Nothing sleeps: everything waits for a
condition, and the time limits only end a test that fails.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from seg_node.images.frames import fill_image

LIMIT_S = 60.0


def reliable() -> QoSProfile:
    """What a camera driver and a recorder use."""
    return QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)


class Inbox:
    """Messages of one topic, in order."""

    def __init__(self, tester: Tester, kind: type, topic: str, qos: QoSProfile) -> None:
        self.tester = tester
        self.topic = topic
        self.messages: list = []
        self.subscription = tester.node.create_subscription(kind, topic, self._on, qos)

    def _on(self, message: object) -> None:
        with self.tester.changed:
            self.messages.append(message)
            self.tester.changed.notify_all()

    def stamped(self, stamp: object):
        """The message of this stamp; waits for it."""

        def found():
            return next((m for m in self.messages if m.header.stamp == stamp), None)

        return self.tester.wait(found, f'{self.topic} of {stamp}')


class Tester:
    """Everything that stands around the node in a ROS graph."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.node = rclpy.create_node('tester')
        self.counts: dict[str, int] = {}
        self.diagnostics: dict[str, str] = {}
        self.verdict = ''
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._second = 0
        self._images = None
        self._infos = None

    def wait(self, condition, what: str, limit: float = LIMIT_S):
        """The first true value of `condition()`."""
        end = time.monotonic() + limit
        with self.changed:
            while not (value := condition()):
                left = end - time.monotonic()
                assert left > 0, f'waited {limit} s for {what}'
                self.changed.wait(min(left, 0.02))
        return value

    def listen(self, kind: type, topic: str, qos: QoSProfile | None = None) -> Inbox:
        """Subscribe and wait until the publisher is found."""
        inbox = Inbox(self, kind, topic, qos or reliable())
        self.wait(lambda: self.node.count_publishers(topic), f'publisher of {topic}')
        return inbox

    def forget(self, inbox: Inbox) -> None:
        """Unsubscribe."""
        self.node.destroy_subscription(inbox.subscription)

    def camera(self, kind: type = Image, topic: str = '/image') -> None:
        """Become a camera; waits for the node's subscription."""
        self._images = self.node.create_publisher(kind, topic, reliable())
        self._infos = self.node.create_publisher(CameraInfo, '/camera_info', reliable())
        self.wait(self._images.get_subscription_count, f'subscription of {topic}')
        self.wait(self._infos.get_subscription_count, 'subscription of /camera_info')

    def header(self, message, age_s: float = 0.0):
        """Give `message` a stamp of its own, and a frame."""
        stamp = self.node.get_clock().now().nanoseconds - int(age_s * 1e9)
        message.header.stamp.sec = stamp // 1_000_000_000
        message.header.stamp.nanosec = stamp % 1_000_000_000
        message.header.frame_id = 'ego_vehicle/rgb_front'
        return message

    def image(self, pixels: np.ndarray, encoding: str = 'bgr8', age_s: float = 0.0) -> Image:
        """A stamped Image."""
        return self.header(fill_image(Image(), pixels, encoding), age_s)

    def send(self, message):
        """Publish on the camera's topic; returns the stamp."""
        self._images.publish(message)
        return message.header.stamp

    def send_info(self, info: CameraInfo) -> None:
        """Publish on camera_info."""
        self._infos.publish(info)

    def warm_up(self, masks: Inbox, make=None) -> None:
        """Send frames until one is answered: both directions are then connected."""
        make = make or (lambda: self.image(np.zeros((4, 4, 3), np.uint8)))
        sent = []

        def answered():
            if not sent or time.monotonic() - sent[-1] > 0.3:
                self.send(make())
                sent.append(time.monotonic())
            return masks.messages

        self.wait(answered, 'a first mask')
        self.settled()
        masks.messages.clear()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith('segmentation'):
                values = {item.key: item.value for item in status.values}
                with self.changed:
                    self.diagnostics = values
                    self.verdict = status.message
                    self.counts = {
                        key.removeprefix('frames_'): int(value)
                        for key, value in values.items()
                        if key.startswith(('frames_', 'rejected_'))
                    }
                    self.changed.notify_all()

    def settled(self, **at_least: int) -> dict[str, int]:
        """Counts of the node once they add up and have reached `at_least`."""
        self.counts = {}

        def ready():
            counts = self.counts
            if not counts or any(counts.get(k, 0) < n for k, n in at_least.items()):
                return None
            ends = ('published', 'superseded', 'stale', 'rejected', 'unread')
            return counts if counts['received'] == sum(counts[k] for k in ends) else None

        return self.wait(ready, f'counts {at_least} that add up, got {self.counts}')

    def call(self, kind: type, name: str, request):
        """Call a service and give its answer."""
        client = self.node.create_client(kind, name)
        try:
            assert client.wait_for_service(LIMIT_S)
            future = client.call_async(request)
            self.wait(future.done, f'answer of {name}')
            return future.result()
        finally:
            self.node.destroy_client(client)

    def set(self, name: str, value: object, node: str = '/seg_node'):
        """Set a parameter; the result with `successful` and `reason`."""
        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return self.call(SetParameters, f'{node}/set_parameters', request).results[0]

    def state(self) -> str:
        """Label of the node's lifecycle state."""
        answer = self.call(GetState, '/seg_node/get_state', GetState.Request())
        return answer.current_state.label

    def change(self, transition: str) -> bool:
        """Ask for a lifecycle transition such as `configure`; whether it went well."""
        number = getattr(Transition, f'TRANSITION_{transition.upper()}')
        request = ChangeState.Request(transition=Transition(id=number))
        return self.call(ChangeState, '/seg_node/change_state', request).success


@pytest.fixture(scope='module')
def graph(request, tmp_path_factory):
    """rclpy on a domain of this module's own, with our transport profile."""
    environment = {
        'ROS_DOMAIN_ID': str(request.module.DOMAIN),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'AMENT_PREFIX_PATH': sys.prefix,
        'XDG_CACHE_HOME': str(tmp_path_factory.mktemp('cache')),
        'ROS_LOG_DIR': str(tmp_path_factory.mktemp('log')),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        rclpy.init(args=[])
        yield
        rclpy.try_shutdown()


@contextlib.contextmanager
def spinning(node):
    """Spin in a thread; destroy at the end."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join(10)
        if hasattr(node, 'stop'):
            node.stop()
        node.destroy_node()


@pytest.fixture
def tester(graph):
    """A tester for one test."""
    made = Tester()
    with spinning(made.node):
        yield made


@pytest.fixture(scope='module')
def module_tester(graph):
    """A tester for all tests of a module."""
    made = Tester()
    with spinning(made.node):
        yield made


@pytest.fixture
def seg_node(graph):
    """Runs a SegNode of this process with given parameters; `start()` as in its own process."""
    from seg_node.ros.node import SegNode

    with contextlib.ExitStack() as stack:

        def run(start: bool = True, **parameters: object):
            overrides = [
                Parameter(name.replace('__', '.'), value=value)
                for name, value in {'diagnostics_period_s': 0.1, **parameters}.items()
            ]
            node = SegNode(parameter_overrides=overrides)
            if start:
                node.start()
            return stack.enter_context(spinning(node))

        yield run


class NodeProcess:
    """A node in a process of its own, with what it says."""

    def __init__(self, module: str, arguments: list[str], environment: dict[str, str]) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, '-m', module, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | environment,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip())
                self._changed.notify_all()

    @property
    def output(self) -> str:
        """Everything so far."""
        return '\n'.join(self.lines)

    def wait_line(self, pattern: str, limit: float = LIMIT_S) -> str:
        """The first line that matches."""

        def found():
            return next((line for line in list(self.lines) if re.search(pattern, line)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self.process.poll() is not None, limit)
        self._join_when_over()
        assert found(), f'waited for {pattern!r}, got:\n{self.output}'
        return found()

    def _join_when_over(self) -> None:
        if self.process.poll() is not None:
            self._reader.join(5)

    def interrupt(self, times: int = 1) -> int:
        """Ctrl-C; the exit status."""
        for _ in range(times):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
        return self.status()

    def status(self, limit: float = LIMIT_S) -> int:
        """Wait for the end; the exit status."""
        status = self.process.wait(limit)
        self._reader.join(5)
        return status

    def end(self) -> None:
        """End it by force if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        self.process.stdout.close()


def node_arguments(**parameters: object) -> list[str]:
    """`--ros-args -p name:=value …`; `__` stands for a dot."""
    arguments = ['--ros-args']
    for name, value in parameters.items():
        arguments += ['-p', f'{name}:={value}']
    return arguments


@pytest.fixture(scope='module')
def processes(graph):
    """Starts node processes; all of them are ended with the module."""
    started: list[NodeProcess] = []

    def start(module: str, arguments: list[str], **environment: str) -> NodeProcess:
        started.append(NodeProcess(module, arguments, environment))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture(scope='session')
def ros_tools():
    """What test modules need by name."""
    return SimpleNamespace(arguments=node_arguments)
