"""`~/camera_info`: the camera's calibration, scaled exactly to the mask."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo

from seg_node.ros.camera_info import scaled_camera_info
from seg_node.ros.outputs.output import Output
from seg_node.ros.outputs.site import CameraSite
from seg_node.ros.segmented import SegmentedFrame

RANK = 20


class CameraInfoOutput(Output):
    """Publishes under the frame's header; nothing before the camera's own has come."""

    def __init__(self, site: CameraSite) -> None:
        self._publisher = site.publisher(CameraInfo, 'camera_info')

    @property
    def read(self) -> bool:
        """Whether anybody subscribes."""
        return self._publisher.read

    def take(self, frame: SegmentedFrame) -> None:
        """Publishes the camera_info at the mask's size."""
        if frame.camera_info is not None:
            shape = frame.mask.shape
            self._publisher.publish(scaled_camera_info(frame.camera_info, frame.header, shape))


def create(site: CameraSite) -> CameraInfoOutput:
    """camera_info is always on offer."""
    return CameraInfoOutput(site)
