"""`~/mask`: the class id of every pixel."""

from __future__ import annotations

from sensor_msgs.msg import Image

from seg_node.images.frames import fill_image
from seg_node.ros.outputs.output import Output
from seg_node.ros.outputs.site import CameraSite
from seg_node.ros.segmented import SegmentedFrame

RANK = 10


class MaskOutput(Output):
    """Publishes mono8 of the mask's size; 255 is unlabeled."""

    def __init__(self, site: CameraSite) -> None:
        self._publisher = site.placed_publisher(Image, 'mask')

    @property
    def read(self) -> bool:
        """Whether anybody subscribes."""
        return self._publisher.read

    def take(self, frame: SegmentedFrame) -> None:
        """Publishes mono8, class ids."""
        self._publisher.publish(fill_image(Image(header=frame.header), frame.mask, 'mono8'))


def create(site: CameraSite) -> MaskOutput:
    """The mask is always on offer."""
    return MaskOutput(site)
