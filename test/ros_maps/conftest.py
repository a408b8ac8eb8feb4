"""Stands in for RTAB-Map, nav2 and a rig around the node, over real DDS.

The tester, the processes and the graph are those of `ros_graph`, which test/ros has too.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from ros_graph import (
    graph,
    module_tester,
    processes,
    ros_tools,
    seg_node,
    spinning,
    tester,
)
from ros_graph import reliable as reliable_qos
from sensor_msgs.msg import CameraInfo, Image

from seg_node.images.frames import fill_image
from seg_node.ros.rgbd_probe import ExactConsumer, refusal

__all__ = ['graph', 'module_tester', 'processes', 'ros_tools', 'seg_node', 'tester']


class ExactSync:
    """Sets of equal stamps, as RTAB-Map's TimeSynchronizer takes them, in order of arrival."""

    def __init__(self, tester, prefix: str = '/seg_node/rgbd') -> None:
        self.tester = tester
        self.sets: list[dict] = []
        self.consumer = ExactConsumer(tester.node, prefix, self._take)
        for part in ('rgb/image', 'rgb/camera_info', 'depth/image', 'depth/camera_info'):
            topic = f'{prefix}/{part}'
            tester.wait(lambda t=topic: tester.node.count_publishers(t), f'publisher of {topic}')

    def _take(self, stamp: int, whole: dict) -> None:
        with self.tester.changed:
            self.sets.append(whole)
            self.tester.changed.notify_all()

    @property
    def incomplete(self) -> dict:
        """Parts of sets that are not whole, by stamp in ns."""
        return self.consumer.incomplete

    def stamped(self, stamp) -> dict:
        """The set of this stamp, which RTAB-Map would take; waits for it."""

        def found():
            return next((s for s in self.sets if s['rgb/image'].header.stamp == stamp), None)

        whole = self.tester.wait(found, f'set of {stamp}')
        assert refusal(whole) == ''
        return whole


def depth_array(message: Image) -> np.ndarray:
    """The pixels of a depth message in its own type."""
    dtype = {'16UC1': np.uint16, '32FC1': np.float32}[message.encoding]
    return np.frombuffer(message.data, dtype).reshape(message.height, message.width)


class Rig:
    """A camera with depth: image, camera_info, depth/image, depth/camera_info, odometry."""

    def __init__(self, tester, odometry: bool = False) -> None:
        self.tester = tester
        node, reliable = tester.node, reliable_qos()
        self.image = node.create_publisher(Image, '/image', reliable)
        self.info = node.create_publisher(CameraInfo, '/camera_info', reliable)
        self.depth = node.create_publisher(Image, '/depth/image', reliable)
        self.depth_info = node.create_publisher(CameraInfo, '/depth/camera_info', reliable)
        self.odometry = node.create_publisher(Odometry, '/odom', reliable) if odometry else None

    def connect(self, *publishers) -> None:
        """Wait until the node subscribes to all of `publishers`; all but odometry by default."""
        for p in publishers or (self.image, self.info, self.depth, self.depth_info):
            self.tester.wait(p.get_subscription_count, f'subscription of {p.topic_name}')

    def stamp(self):
        """A new header."""
        return self.tester.header(Image()).header

    def camera_info(self, header, width: int, height: int, focal: float | None = None):
        """A pinhole camera's CameraInfo."""
        f = float(width if focal is None else focal)
        info = CameraInfo(header=header, width=width, height=height, distortion_model='plumb_bob')
        info.k = [f, 0.0, (width - 1) / 2, 0.0, f, (height - 1) / 2, 0.0, 0.0, 1.0]
        info.p = [*info.k[:3], 0.0, *info.k[3:6], 0.0, *info.k[6:], 0.0]
        return info

    def send(self, bgr, depth, encoding: str, *, header=None, depth_focal=None, infos=True):
        """Send one set; its stamp."""
        header = header or self.stamp()
        height, width = bgr.shape[:2]
        if infos:
            self.info.publish(self.camera_info(header, width, height))
            size = (depth.shape[1], depth.shape[0])
            self.depth_info.publish(self.camera_info(header, *size, depth_focal))
        self.depth.publish(fill_image(Image(header=header), depth, encoding))
        self.image.publish(fill_image(Image(header=header), bgr, 'bgr8'))
        return header.stamp

    def until(self, connected, bgr, depth) -> None:
        """Send sets until `connected()`: the other process has then found every reader.

        `connected` keeps the last stamp of these: before it, sets may be in parts.
        """
        sent = []

        def found():
            if not sent or time.monotonic() - sent[-1] > 0.3:
                stamp = self.send(bgr, depth, '32FC1')
                self.connected = stamp.sec * 10**9 + stamp.nanosec
                sent.append(time.monotonic())
            return connected()

        self.tester.wait(found, 'a first set at every consumer')


class Watch:
    """Statuses on /diagnostics by the last word of their name."""

    def __init__(self, tester) -> None:
        self.tester = tester
        self.found: dict[str, tuple] = {}
        tester.node.create_subscription(DiagnosticArray, '/diagnostics', self._on, 10)

    def _on(self, message) -> None:
        with self.tester.changed:
            for status in message.status:
                values = {item.key: item.value for item in status.values}
                name = status.name.rpartition(': ')[2]
                self.found[name] = (status.level, status.message, values)
            self.tester.changed.notify_all()

    def wait(self, name: str, condition):
        """The first (level, message, values) of a status for which `condition` holds."""

        def found():
            status = self.found.get(name)
            return status if status is not None and condition(*status) else None

        return self.tester.wait(found, f'status {name}, last {self.found.get(name)}')


@pytest.fixture
def exact_sync():
    return ExactSync


@pytest.fixture
def rig():
    return Rig


@pytest.fixture
def watch():
    return Watch


@pytest.fixture
def as_depth():
    return depth_array


@pytest.fixture
def spin():
    return spinning


@pytest.fixture
def reliable():
    return reliable_qos()
