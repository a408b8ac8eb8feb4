"""An echo: every frame goes back as it came. What the transport costs, without any work."""

from __future__ import annotations

from rclpy.node import Node
from sensor_msgs.msg import Image

from seg_node.ros.camera import INPUT_QOS
from seg_node.ros.outputs.site import OUTPUT_QOS


class EchoNode(Node):
    """Publishes on `~/mask` the first third of each frame's bytes: as much as a mask has."""

    def __init__(self) -> None:
        super().__init__('echo')
        self._publisher = self.create_publisher(Image, '~/mask', OUTPUT_QOS)
        self.create_subscription(Image, 'image', self._on_image, INPUT_QOS)

    def _on_image(self, message: Image) -> None:
        size = message.width * message.height
        echo = Image(header=message.header, width=message.width, height=message.height)
        echo.encoding, echo.step, echo.data = 'mono8', message.width, message.data[:size]
        self._publisher.publish(echo)


def main(args: list[str] | None = None) -> int:
    """Entry of `python -m seg_node.ros.echo_node`."""
    from seg_node.ros.process import run_node

    return run_node(EchoNode, args)


if __name__ == '__main__':
    raise SystemExit(main())
