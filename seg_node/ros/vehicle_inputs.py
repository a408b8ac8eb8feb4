"""Odometry and TF of the vehicle: its poses as they come, and where things are bolted to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile, ReliabilityPolicy

from seg_node.errors import ConfigError
from seg_node.lane_lines.line import Double
from seg_node.ros.guard import Report
from seg_node.ros.qos import create_subscription
from seg_node.ros.transforms import Transforms
from seg_node.stamps import nanoseconds, stamp_ns
from seg_node.transforms import Pose

PoseSource = Literal['odometry', 'tf', 'off']
_QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)


class VehicleInputs:
    """Subscribes what says where the vehicle is, from `open` to `close`, both of the executor.

    on_pose(parent, child, stamp_ns, pose): gets each pose from the topic `odom` or, with source
    `tf`, each transform of `moving`, (parent, child). bolted: whether TF is asked for what does
    not move as well. report(cause, line): gets what is wrong with a message; without it the log.
    `problem`: why something could not be subscribed, or ''.
    """

    def __init__(
        self,
        node: Any,
        on_pose: Callable[[str, str, int, Pose], None],
        source: PoseSource,
        *,
        moving: tuple[str, str],
        bolted: bool,
        report: Report | None = None,
    ) -> None:
        self._node, self._on_pose, self._report = node, on_pose, report
        self._source, self._moving, self._bolted = source, moving, bolted
        self._subscriptions: list[Any] | None = None
        self._transforms: Transforms | None = None
        self.problem = ''

    def open(self) -> None:
        """Subscribe, once. Raises `ConfigError` where no poses can come."""
        if self._subscriptions is not None:
            return
        self._subscriptions = []
        try:
            if self._source == 'odometry':
                topic = Odometry, 'odom', self._on_odometry
                self._subscriptions.append(
                    create_subscription(self._node, *topic, _QOS, self._report)
                )
            if self._source == 'tf' or self._bolted:
                listen = self._on_transform if self._source == 'tf' else None
                self._transforms = Transforms(self._node, listen)
                self._subscriptions += self._transforms.subscriptions
        except ConfigError as error:
            self.problem = str(error)
            if self._source != 'odometry' or not self._subscriptions:
                raise

    def close(self) -> None:
        """Subscribe no more; what TF said is forgotten."""
        for subscription in self._subscriptions or ():
            self._node.destroy_subscription(subscription)
        self._subscriptions, self._transforms, self.problem = None, None, ''

    def lookup(self, target: str, source: str) -> Double | None:
        """float64 (4, 4): `source` -> `target`; None while it is not known."""
        return self._transforms.lookup(target, source) if self._transforms is not None else None

    def _on_odometry(self, message: Odometry) -> None:
        pose = Pose.of_message(message.pose.pose.position, message.pose.pose.orientation)
        header = message.header
        self._on_pose(header.frame_id, message.child_frame_id, stamp_ns(message), pose)

    def _on_transform(self, parent: str, child: str, stamp: Any, pose: Pose) -> None:
        if (parent.lstrip('/'), child.lstrip('/')) == self._moving:
            self._on_pose(parent, child, nanoseconds(stamp), pose)
