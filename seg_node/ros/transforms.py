"""The frames of /tf_static and /tf, where tf2_msgs is installed.

tf2_ros is not used: its buffer is compiled and comes with a distribution only; what is asked here
is where bolted things are. Poses in time come from `OdometryTrack`, which refuses jumps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from seg_node.camera.ground import GroundPlane
from seg_node.errors import ConfigError
from seg_node.transforms import FrameTree, Pose

STATIC_QOS = QoSProfile(
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
TF_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)


class Transforms:
    """Listens to TF. `on_moving(parent, child, stamp, pose)` gets each transform of /tf."""

    def __init__(
        self, node: Any, on_moving: Callable[[str, str, Any, Pose], None] | None = None
    ) -> None:
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            raise ConfigError(
                'TF: tf2_msgs is not installed; give the camera by parameters instead'
            ) from None
        self._tree = FrameTree()
        self._on_moving = on_moving
        self.subscriptions = [
            node.create_subscription(TFMessage, '/tf_static', self._on_static, STATIC_QOS),
            node.create_subscription(TFMessage, '/tf', self._on_tf, TF_QOS),
        ]

    def lookup(self, target: str, source: str) -> npt.NDArray[np.float64] | None:
        """float64 (4, 4): `source` -> `target`, or None while it is not known."""
        return self._tree.lookup(target, source)

    def ground_plane(self, ground_frame: str, camera_frame: str) -> GroundPlane | None:
        """The road under a camera, as z = 0 of `ground_frame`; None while TF does not say.

        Raises `ConfigError` when the camera is not above it.
        """
        matrix = self.lookup(ground_frame, camera_frame)
        if matrix is None:
            return None
        return GroundPlane.from_rotation(float(matrix[2, 3]), matrix[:3, :3])

    def _on_static(self, message: Any) -> None:
        self._take(message, moving=False)

    def _on_tf(self, message: Any) -> None:
        self._take(message, moving=True)

    def _take(self, message: Any, *, moving: bool) -> None:
        for item in message.transforms:
            try:
                pose = Pose.of_message(item.transform.translation, item.transform.rotation)
            except ConfigError:
                continue  # not a transform at all; tf2 drops it as well
            self._tree.add(item.header.frame_id, item.child_frame_id, pose)
            if moving and self._on_moving is not None:
                self._on_moving(item.header.frame_id, item.child_frame_id, item.header.stamp, pose)
