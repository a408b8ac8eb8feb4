"""Lane lines of every frame of a recorded drive, without ROS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.bags.bag import Bag
from seg_node.bags.camera import decode_image
from seg_node.bags.channel import BagMessage
from seg_node.bags.drive_topics import DriveTopics
from seg_node.bags.joining import FrameJoiner
from seg_node.bags.places import STATIC_TOPIC, static_frames, whole_odometry
from seg_node.camera.camera_info import calibration_of
from seg_node.camera.depth import decode_depth_image
from seg_node.camera.rays import CameraRays
from seg_node.camera.size import Size
from seg_node.errors import InputError
from seg_node.images.frames import Frame
from seg_node.lane_lines.estimator import EstimatorOptions, LaneLineEstimator
from seg_node.lane_lines.line import Double, LaneLines
from seg_node.lane_lines.samples import RoadView, Samples
from seg_node.lane_lines.tracker import Motion
from seg_node.transforms import FrameTree

Array = npt.NDArray[np.uint8]
LineMasker = Callable[[Frame], Array]
"""A picture to its mask, uint8 (H, W) of class ids."""
_TOLERANCE_NS = 2_000_000


@dataclass(frozen=True)
class DrivenFrame:
    """One frame: its lines, and where the vehicle was (4, 4, `base_link` -> odometry frame).

    labels: what the label topic says, as it is; None where there is none. line_ms: processor time
    from the mask to the lines.
    """

    stamp_ns: int
    lines: LaneLines
    view: RoadView
    size: Size
    samples: Samples
    pose: Double | None = None
    labels: Frame | None = None
    line_ms: float = 0.0


@dataclass(frozen=True)
class LineSteps:
    """masker: pictures to masks. mount: float64 (4, 4), optical frame -> `base_link` on the road;
    None: from `/tf_static`, for the frame that the odometry moves.
    """

    masker: LineMasker
    estimator: EstimatorOptions
    mount: Double | None = None
    max_range_m: float = 40.0


def drive_lines(
    bag: Bag,
    topics: DriveTopics,
    steps: LineSteps,
    watch: Callable[[Iterable[BagMessage]], Iterable[BagMessage]] = iter,
) -> Iterator[DrivenFrame]:
    """The frames of a drive in their order; `watch` may show progress.

    Raises `InputError` where the bag does not say how the camera stands over the road.
    """
    reader = _DriveState(bag, topics, steps)
    read = [topics.image, *topics.sides.values()]
    for joined in FrameJoiner(topics.image, topics.sides, _TOLERANCE_NS)(
        watch(bag.messages(read))
    ):
        if 'camera_info' in joined.sides:
            yield reader.take(joined.camera, joined.sides)


class _DriveState:
    """What is kept from frame to frame."""

    def __init__(self, bag: Bag, topics: DriveTopics, steps: LineSteps) -> None:
        self._bag, self._steps = bag, steps
        self._estimator = LaneLineEstimator(steps.estimator)
        self._track, self._child = whole_odometry(bag, topics.odometry)
        self._tree = static_frames(bag) if steps.mount is None else FrameTree()
        self._rays = CameraRays()
        self._view: RoadView | None = None
        self._before: Double | None = None

    def take(self, camera: BagMessage, sides: dict[str, BagMessage]) -> DrivenFrame:
        picture = decode_image(self._bag, camera)
        info = self._bag.deserialize(sides['camera_info'])
        mask = self._steps.masker(picture)
        view = self._view_of(info, Size.of(mask))
        depth = None
        if 'depth' in sides:
            depth = _metres(self._bag.deserialize(sides['depth']), Size.of(mask))
        stamp = camera.stamp_ns
        placed = self._track.at(stamp)
        pose = None if placed is None else placed.matrix()
        motion = None
        if pose is not None and self._before is not None:
            motion = Motion.between(self._before, pose)
        self._before = pose
        began = time.thread_time()
        lines = self._estimator.step(mask, view, depth, motion)
        line_ms = (time.thread_time() - began) * 1e3
        samples = self._estimator.samples
        assert samples is not None
        labels = decode_image(self._bag, sides['labels']) if 'labels' in sides else None
        return DrivenFrame(stamp, lines, view, Size.of(mask), samples, pose, labels, line_ms)

    def _view_of(self, info: Any, size: Size) -> RoadView:
        rays = self._rays.of(calibration_of(info).resized(size))
        if self._view is None or self._view.rays is not rays:
            mount = self._mount(info.header.frame_id)
            self._view = RoadView(rays, mount, max_range_m=self._steps.max_range_m)
        return self._view

    def _mount(self, camera: str) -> Double:
        if self._steps.mount is not None:
            return self._steps.mount
        mount = self._tree.lookup(self._child, camera) if self._child else None
        if mount is None:
            raise InputError(
                f'{self._bag.path}: {STATIC_TOPIC} knows no way from {camera} to '
                f'{self._child or "a vehicle frame"}; give the height of the camera'
            )
        return mount


def _metres(message: Any, size: Size) -> npt.NDArray[np.float32] | None:
    """float32 (H, W) metres of the mask's size; None for depth of another size."""
    depth = decode_depth_image(message)
    return depth.image_metres() if depth.shape == (size.height, size.width) else None
