"""`~/confidence`: how sure the network is of the class in the mask."""

from __future__ import annotations

from sensor_msgs.msg import Image

from seg_node.images.frames import fill_image
from seg_node.ros.outputs.output import Output
from seg_node.ros.outputs.site import CameraSite
from seg_node.ros.segmented import SegmentedFrame

RANK = 30


class ConfidenceOutput(Output):
    """Publishes mono8, 255 x probability; nothing for a model without scores."""

    def __init__(self, site: CameraSite) -> None:
        self._publisher = site.placed_publisher(Image, 'confidence')

    @property
    def read(self) -> bool:
        """Whether anybody subscribes."""
        return self._publisher.read

    def take(self, frame: SegmentedFrame) -> None:
        """Publishes mono8, 255 x the probability of the class in the mask."""
        confidence = frame.segmentation.confidence()
        if confidence is not None:
            message = fill_image(Image(header=frame.header), confidence, 'mono8')
            self._publisher.publish(message)


def create(site: CameraSite) -> ConfidenceOutput:
    """Confidence is always on offer."""
    return ConfidenceOutput(site)
