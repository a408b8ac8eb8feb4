"""A reader that a node must not wait for: reliable, and slow; or stopped altogether by SIGSTOP."""

from __future__ import annotations

import time

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
_PAUSE_S = 0.3


class SlowReader(Node):
    """Subscribes `mask` and takes its time over each."""

    def __init__(self) -> None:
        super().__init__('slow_reader')
        self.create_subscription(Image, 'mask', lambda _: time.sleep(_PAUSE_S), _QOS)


def main(args: list[str] | None = None) -> int:
    """Entry of `python -m seg_node.ros.slow_reader`."""
    from seg_node.ros.process import run_node

    return run_node(SlowReader, args)


if __name__ == '__main__':
    raise SystemExit(main())
