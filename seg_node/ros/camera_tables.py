"""What is worked out once for a camera and used for each of its frames."""

from __future__ import annotations

from seg_node.camera.camera_info import calibration_of
from seg_node.camera.depth import Depth
from seg_node.camera.ground import GroundPlane
from seg_node.camera.rays import CameraRays, RayTable
from seg_node.camera.size import Size
from seg_node.errors import FrameError
from seg_node.ros.segmented import JoinedFrame


class CameraTables:
    """Rays, and the ground plane's depth, of the camera last seen.

    `max_range_m`: the plane's depth ends there.
    """

    def __init__(self, max_range_m: float) -> None:
        self._max_range_m = max_range_m
        self._rays = CameraRays()
        self._ground: tuple[GroundPlane, RayTable, Depth] | None = None

    def of(self, whole: JoinedFrame) -> tuple[RayTable, Depth]:
        """Rays of the mask's pixels, and its source of range as an image. Raises `FrameError`."""
        rays, source = self.rays(whole), whole.range_source
        assert source is not None
        if not isinstance(source, GroundPlane):
            return rays, source
        if self._ground is None or self._ground[0] != source or self._ground[1] is not rays:
            self._ground = source, rays, source.depth(rays, self._max_range_m)
        return rays, self._ground[2]

    def rays(self, whole: JoinedFrame) -> RayTable:
        """Rays of the mask's pixels; the same object while the camera is the same.

        Raises `FrameError`.
        """
        calibration = calibration_of(whole.camera_info)
        picture = Size(whole.frame.frame.width, whole.frame.frame.height)
        known = calibration.intrinsics.image_size()
        if known != picture:
            raise FrameError(
                'camera_info', f'camera_info: expected {picture} as the image has, got {known}'
            )
        return self._rays.of(calibration.resized(Size.of(whole.frame.mask)))
