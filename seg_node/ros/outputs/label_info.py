"""`~/label_info`: the names of the classes, latched, where vision_msgs is installed."""

from __future__ import annotations

from typing import Any

from seg_node.ros.outputs.output import Output
from seg_node.ros.outputs.site import LATCHED_QOS, CameraSite
from seg_node.ros.segmented import SegmentedFrame


class LabelInfoOutput(Output):
    """Publishes once after activation, under the first frame's header; frames are none of its."""

    def __init__(self, site: CameraSite, kind: Any) -> None:
        self._classes = site.classes
        self._kind = kind
        self._publisher = site.placed_publisher(kind, 'label_info', LATCHED_QOS)

    @property
    def read(self) -> bool:
        """Never: names alone are no reason to infer."""
        return False  # names alone are no reason to infer

    def begin(self, header: Any) -> None:
        """Publishes the class names, latched."""
        from vision_msgs.msg import VisionClass

        message = self._kind(header=header, threshold=0.5)
        message.class_map = [
            VisionClass(class_id=i, class_name=name) for i, name in enumerate(self._classes.names)
        ]
        self._publisher.publish(message)

    def take(self, frame: SegmentedFrame) -> None:
        """Nothing: see `begin`."""


def create(site: CameraSite) -> LabelInfoOutput | None:
    """None where vision_msgs is not installed."""
    try:
        from vision_msgs.msg import LabelInfo
    except ImportError:
        site.info('vision_msgs is not installed: ~/label_info is not published')
        return None
    return LabelInfoOutput(site, LabelInfo)
