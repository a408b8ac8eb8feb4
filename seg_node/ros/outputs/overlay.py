"""`~/overlay` and `~/overlay/compressed`: the mask painted on the frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from seg_node.images.frames import fill_image, image_bytes
from seg_node.images.overlay import paint
from seg_node.ros.declared import parameter
from seg_node.ros.outputs.output import Output
from seg_node.ros.outputs.site import CameraSite
from seg_node.ros.segmented import SegmentedFrame


@dataclass(frozen=True)
class OverlaySettings:
    """How the overlay looks."""

    overlay_alpha: float = parameter(
        0.5, 'Opacity of the mask on ~/overlay.', bounds=(0.0, 1.0), live=True
    )
    jpeg_quality: int = parameter(
        80, 'Quality of ~/overlay/compressed.', bounds=(1, 100), live=True
    )


SETTINGS = OverlaySettings


class OverlayOutput(Output):
    """Paints once for both topics."""

    late = True

    def __init__(self, site: CameraSite) -> None:
        self._site = site
        self._raw = site.publisher(Image, 'overlay')
        self._jpeg = site.publisher(CompressedImage, 'overlay/compressed')

    @property
    def read(self) -> bool:
        """Whether anybody subscribes."""
        return self._raw.read or self._jpeg.read

    def take(self, frame: SegmentedFrame) -> None:
        """Publishes the picture with the classes painted over it."""
        settings = self._site.settings(OverlaySettings)
        painted = paint(frame.frame.bgr(), frame.mask, self._site.classes, settings.overlay_alpha)
        if self._raw.read:
            self._raw.publish(fill_image(Image(header=frame.header), painted, 'bgr8'))
        if self._jpeg.read:
            quality = (cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality)
            _, jpeg = cv2.imencode('.jpg', painted, quality)
            message = CompressedImage(header=frame.header, format='bgr8; jpeg compressed bgr8')
            message.data = image_bytes(np.asarray(jpeg))
            self._jpeg.publish(message)


def create(site: CameraSite) -> OverlayOutput:
    """The overlay is always on offer."""
    return OverlayOutput(site)
