"""A lane map out of a bag, without ROS: the node's steps (`Mapper`), one frame after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.bags.bag import IMAGE_TYPE, Bag
from seg_node.bags.channel import BagMessage
from seg_node.bags.drive_topics import DriveTopics
from seg_node.bags.places import ODOMETRY_TYPE, STATIC_TOPIC, static_frames
from seg_node.camera.camera_info import calibration_of
from seg_node.camera.depth import Depth, decode_depth_image
from seg_node.camera.ground import GroundPlane
from seg_node.camera.points import PointOptions, lane_points
from seg_node.camera.rays import CameraRays, RayTable
from seg_node.camera.size import Size
from seg_node.errors import FrameError, InputError, SegNodeError
from seg_node.images.frames import decode
from seg_node.joining import StampSynchronizer
from seg_node.lane_map.lane_map import Evidence, LaneMap
from seg_node.lane_map.mapper import Mapper, Seen
from seg_node.stamps import stamp_ns
from seg_node.timing import Recorder, Stopwatch
from seg_node.transforms import Pose
from seg_node.transforms.poses import Float

Array = npt.NDArray[np.uint8]
MapMasker = Callable[[Any], tuple[Array, tuple[Array, ...]]]
"""From an Image message to its mask, uint8 (H, W), and the scores of the classes 1..K."""


def map_topics(bag: Bag, image: str = '', depth: str = 'auto', odometry: str = '') -> DriveTopics:
    """Topics of a map, see `DriveTopics.find`. Raises `InputError`, also without odometry."""
    topics = DriveTopics.find(bag, image, depth, odometry, types=(IMAGE_TYPE,))
    if not topics.odometry:
        raise InputError(f'{bag.path}: expected odometry ({ODOMETRY_TYPE}), found none')
    return topics


@dataclass(frozen=True)
class MapSteps:
    """What is done with a frame. ground: where there is no depth; None: from TF."""

    masker: MapMasker
    lane_ids: tuple[int, ...]
    road_ids: tuple[int, ...]
    max_range_m: float = 15.0
    ground: GroundPlane | None = None
    mount: Float | None = None
    """float64 (4, 4) optical frame -> frame that the odometry moves; None: from TF."""


@dataclass
class MapResult:
    """The map, where the camera was (optical frame -> map, a frame each), and the account."""

    lane_map: LaneMap
    frame_id: str = ''
    poses: list[Float] = field(default_factory=list)
    horizontal_fov: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    problems: dict[str, str] = field(default_factory=dict)
    recorder: Recorder = field(default_factory=lambda: Recorder(window=None))

    @property
    def track(self) -> Float:
        """float64 (N, 4, 4): the camera's poses."""
        return np.asarray(self.poses, np.float64).reshape(-1, 4, 4)


class _Builder:
    """One pass over a bag."""

    def __init__(self, bag: Bag, topics: DriveTopics, steps: MapSteps, result: MapResult) -> None:
        self._parts = {topics.image: 'image', **{t: name for name, t in topics.sides.items()}}
        self._odometry = topics.odometry
        self._steps = steps
        self.result = result
        self._tree = static_frames(bag)
        self._child = ''
        self._sync = StampSynchronizer(tuple(self._parts.values()), keep=100)
        self._mapper: Mapper[dict[str, Any]] = Mapper(
            result.lane_map,
            mount=self._mount,
            see=self._see,
            placed=lambda whole, pose, camera: result.poses.append(camera),
            lost=result.problems.setdefault,
            counts=result.counts,
            recorder=result.recorder,
        )
        self._rays = CameraRays()
        self._options = PointOptions(steps.lane_ids, steps.max_range_m)

    def take(self, topic: str, message: Any) -> None:
        """Work one message in. Raises `SegNodeError` for a pose that is none."""
        stamp = stamp_ns(message)
        if topic == self._odometry:
            self.result.frame_id, self._child = message.header.frame_id, message.child_frame_id
            pose = message.pose.pose
            self._mapper.move(stamp, Pose.of_message(pose.position, pose.orientation))
            return
        part = self._parts[topic]
        self.result.counts['frames'] += part == 'image'
        whole = self._sync.offer(part, stamp, message)
        if whole is not None:
            self._mapper.put(stamp, whole)

    def finish(self) -> None:
        """Book what is left over."""
        self.result.counts['lost_no_odometry'] += self._mapper.waiting
        lost = self.result.counts['frames'] - self._sync.counts().sets
        self.result.counts['lost_unmatched'] += lost
        self.result.counts = +self.result.counts

    def _see(self, whole: dict[str, Any], watch: Stopwatch) -> Seen:
        mask, planes = self._steps.masker(whole['image'])
        watch.lap('mask')
        exact = calibration_of(whole['camera_info']).resized(Size.of(mask))
        rays = self._rays.of(exact)
        self.result.horizontal_fov = rays.horizontal_fov
        depth = self._depth(whole, rays)
        watch.lap('depth')
        points = lane_points(mask, planes, depth, rays, self._options)
        watch.lap('lane_points')
        real = depth if 'depth' in whole else None
        steps = self._steps
        return points, Evidence(
            mask, exact.intrinsics, steps.lane_ids, steps.road_ids, real, exact.distortion
        )

    def _depth(self, whole: dict[str, Any], rays: RayTable) -> Depth:
        if 'depth' in whole:
            return decode_depth_image(whole['depth'])
        plane = self._steps.ground
        if plane is None:
            matrix = self._mount(whole)
            plane = GroundPlane.from_rotation(float(matrix[2, 3]), matrix[:3, :3])
        return plane.depth(rays, self._steps.max_range_m)

    def _mount(self, whole: dict[str, Any]) -> Float:
        if self._steps.mount is not None:
            return self._steps.mount
        camera = whole['image'].header.frame_id
        mount = self._tree.lookup(self._child, camera)
        if mount is None:
            raise FrameError(
                'camera_mount', f'{STATIC_TOPIC} knows no way from {camera} to {self._child}'
            )
        return mount


def map_bag(
    bag: Bag,
    topics: DriveTopics,
    steps: MapSteps,
    lane_map: LaneMap,
    watch: Callable[[Iterable[BagMessage]], Iterable[BagMessage]] = iter,
) -> MapResult:
    """Add every frame of a bag to `lane_map`; `watch` may show progress.

    Raises `InputError` when not one frame could be added, with the reason.
    """
    builder = _Builder(bag, topics, steps, MapResult(lane_map))
    result = builder.result
    for message in watch(bag.messages(_read(topics))):
        try:
            builder.take(message.topic, bag.deserialize(message))
        except SegNodeError as error:
            result.counts['lost_message'] += 1
            result.problems.setdefault(f'message {message.topic}', str(error))
    builder.finish()
    if not result.counts['added']:
        reason = '; '.join(result.problems.values()) or 'image, camera_info, depth never met'
        raise InputError(f'{bag.path}: no frame could be mapped: {reason}')
    return result


def message_count(bag: Bag, topics: DriveTopics) -> int:
    """Messages that `map_bag` will read."""
    read = map(bag.topic, _read(topics))
    return sum(topic.count for topic in read if topic is not None)


def _read(topics: DriveTopics) -> list[str]:
    return [topics.image, *topics.sides.values(), topics.odometry]


def ids_masker(apply: Callable[[Array], Array]) -> MapMasker:
    """Masks from an image of another data set's ids, e.g. a semantic camera."""

    def masker(message: Any) -> tuple[Array, tuple[Array, ...]]:
        frame = decode(message)
        if frame.order != 'mono':
            raise FrameError('encoding', f'ids: expected mono8, got {message.encoding}')
        return apply(frame.pixels), ()

    return masker
