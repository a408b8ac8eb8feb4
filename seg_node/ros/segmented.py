"""What goes from the loop to the outputs: one value for a frame, one for a set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.camera.depth import Depth
from seg_node.camera.ground import GroundPlane
from seg_node.images.frames import Frame
from seg_node.pipeline import Segmentation

Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class SegmentedFrame:
    """One frame on its way: the camera's message, its picture, and the answer.

    `camera_info`: the camera's, where one of the picture's size has come. Everything is valid
    until the frame's way ends; `kept` is for what must stay.
    """

    message: Any
    frame: Frame
    segmentation: Segmentation
    camera_info: Any = None

    @property
    def header(self) -> Any:
        """The camera's header, for every message that is made of the frame."""
        return self.message.header

    @property
    def mask(self) -> Array:
        """uint8 (H, W), class ids."""
        return self.segmentation.mask

    def kept(self, *, scores: bool) -> KeptFrame:
        """A copy that lasts, with the classes' scores where asked for."""
        planes = tuple(plane.copy() for plane in self.segmentation.planes) if scores else ()
        return KeptFrame(self.message, self.frame, self.mask.copy(), planes)


@dataclass(frozen=True)
class KeptFrame:
    """A frame with its mask, kept until its set is whole.

    mask: uint8 (H, W), planes: scores of the classes 1..K, uint8 (H, W), both owned.
    """

    message: Any
    frame: Frame
    mask: Array
    planes: tuple[Array, ...]

    @property
    def header(self) -> Any:
        """The camera's header."""
        return self.message.header


@dataclass(frozen=True)
class JoinedFrame:
    """A segmented frame with what came under its stamp.

    `range_source`: where a pixel's distance comes from, the depth image or the road's plane; None
    until an output asks for it.
    """

    frame: KeptFrame
    camera_info: Any
    depth: Depth | None = None
    depth_info: Any = None
    range_source: Depth | GroundPlane | None = None

    @property
    def header(self) -> Any:
        """The camera's header."""
        return self.frame.header

    def ranged(self, source: Depth | GroundPlane) -> JoinedFrame:
        """The same set with a source of range."""
        return replace(self, range_source=source)
