"""A lane map out of a bag, without ROS: the node's steps, one frame after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seg_node.depth import Depth, decode_depth_image
from seg_node.errors import FrameError, InputError
from seg_node.frames import decode
from seg_node.geometry import Intrinsics, Size
from seg_node.lane_map.frame_tree import FrameTree
from seg_node.lane_map.lane_map import LaneMap, View
from seg_node.lane_map.pose_queue import PoseQueue
from seg_node.lane_map.poses import Float, OdometryTrack, Pose
from seg_node.points import GroundPlane, PointOptions, RayTable, lane_points
from seg_node.replay.bag import CAMERA_INFO_TYPE, Bag, BagMessage
from seg_node.rgbd import StampSynchronizer
from seg_node.timing import Recorder, Stopwatch

Array = npt.NDArray[np.uint8]
Masker = Callable[[Any], tuple[Array, tuple[Array, ...]]]
"""From an Image message to its mask, uint8 (H, W), and the scores of the classes 1..K."""

_IMAGE = 'sensor_msgs/msg/Image'
_ODOMETRY = 'nav_msgs/msg/Odometry'
_STATIC = '/tf_static'


@dataclass(frozen=True)
class MapTopics:
    """Topics of one camera and its odometry; `depth` '' = ground plane."""

    image: str
    camera_info: str
    odometry: str
    depth: str = ''

    @classmethod
    def find(cls, bag: Bag, image: str = '', depth: str = '', odometry: str = '') -> MapTopics:
        """Fill in what is not given. Raises `InputError` that names what the bag lacks."""
        infos = {t.name for t in bag.of_type(CAMERA_INFO_TYPE)}
        pictures = [t.name for t in bag.of_type(_IMAGE) if _info_of(t.name) in infos]
        plain = [name for name in pictures if 'depth' not in name]
        colour = [n for n in plain if not any(w in n for w in ('semantic', 'mask', 'instance'))]
        image = image or next(iter(colour or plain), '')
        if not image or _info_of(image) not in infos:
            wanted = image or 'an image topic'
            raise InputError(f'{bag.path}: expected {wanted} with a camera_info beside it')
        odometry = odometry or next((t.name for t in bag.of_type(_ODOMETRY)), '')
        if not odometry or bag.topic(odometry) is None:
            raise InputError(f'{bag.path}: expected odometry ({_ODOMETRY}), found none')
        if not depth:
            depth = next((name for name in pictures if 'depth' in name), '')
        elif depth == 'none':
            depth = ''
        elif bag.topic(depth) is None:
            raise InputError(f'{bag.path}: expected depth on {depth}, found none')
        return cls(image, _info_of(image), odometry, depth)


@dataclass(frozen=True)
class MapSteps:
    """What is done with a frame. ground: where there is no depth; None: from TF."""

    masker: Masker
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

    def __init__(self, topics: MapTopics, steps: MapSteps, result: MapResult) -> None:
        self._topics = topics
        self._steps = steps
        self.result = result
        self.tree = FrameTree()
        self._child = ''
        parts = ('image', 'camera_info', *(('depth',) if topics.depth else ()))
        self._sync = StampSynchronizer(parts, keep=100)
        self._queue: PoseQueue[dict[str, Any]] = PoseQueue(OdometryTrack())
        self._rays: tuple[Intrinsics, RayTable] | None = None
        self._options = PointOptions(steps.lane_ids, steps.max_range_m)

    def take(self, topic: str, message: Any) -> None:
        """Work one message in."""
        stamp = _stamp(message)
        if topic == self._topics.odometry:
            self._take_odometry(stamp, message)
        else:
            names = {self._topics.image: 'image', self._topics.camera_info: 'camera_info'}
            self.result.counts['frames'] += topic == self._topics.image
            whole = self._sync.offer(names.get(topic, 'depth'), stamp, message)
            if whole is not None:
                self._queue.put(stamp, whole)
        for placed in self._queue.ready():
            if placed.pose is None:
                self._lose(placed.cause, placed.reason)
                continue
            try:
                self._add(placed.item, placed.pose)
            except FrameError as error:
                self._lose(error.cause, str(error))

    def finish(self) -> None:
        """Book what is left over."""
        self.result.counts['lost_no_odometry'] += len(self._queue)
        lost = self.result.counts['frames'] - self._sync.counts().sets
        self.result.counts['lost_unmatched'] += lost
        self.result.counts = +self.result.counts

    def _take_odometry(self, stamp: int, message: Any) -> None:
        self.result.frame_id, self._child = message.header.frame_id, message.child_frame_id
        pose = message.pose.pose
        place, turn = pose.position, pose.orientation
        self._queue.track.add(
            stamp, Pose((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))
        )

    def _add(self, whole: dict[str, Any], pose: Pose) -> None:
        image, info = whole['image'], whole['camera_info']
        watch = Stopwatch()
        mount = self._mount(image.header.frame_id)
        mask, planes = self._steps.masker(image)
        watch.lap('mask')
        rays, exact = self._table(info, mask)
        depth = self._depth(whole, rays, image.header.frame_id)
        watch.lap('depth')
        points = lane_points(mask, planes, depth, rays, self._options)
        watch.lap('lane_points')
        camera = pose.matrix() @ mount
        real = depth if 'depth' in whole else None
        d = tuple(float(v) for v in info.d)
        steps = self._steps
        view = View(mask, exact, steps.lane_ids, steps.road_ids, real, d, info.distortion_model)
        self.result.lane_map.update(points, camera, view)
        watch.lap('update')
        self.result.recorder.add_stages(watch)
        self.result.poses.append(camera)
        self.result.counts['added'] += 1

    def _table(self, info: Any, mask: Array) -> tuple[RayTable, Intrinsics]:
        known = intrinsics_of(info)
        exact = known.resized(Size.of(mask))
        if self._rays is None or self._rays[0] != exact:
            rays = RayTable.of(exact, [float(v) for v in info.d], info.distortion_model)
            self._rays = exact, rays
            self.result.horizontal_fov = float(np.arctan(rays.x.max()) - np.arctan(rays.x.min()))
        return self._rays[1], exact

    def _depth(self, whole: dict[str, Any], rays: RayTable, camera: str) -> Depth:
        if 'depth' in whole:
            return decode_depth_image(whole['depth'])
        plane = self._steps.ground
        if plane is None:
            matrix = self._mount(camera)
            plane = GroundPlane.from_rotation(float(matrix[2, 3]), matrix[:3, :3])
        return plane.depth(rays, self._steps.max_range_m)

    def _mount(self, camera: str) -> Float:
        if self._steps.mount is not None:
            return self._steps.mount
        found = self.tree.lookup(self._child, camera)
        if found is None:
            raise FrameError(
                'camera_mount', f'{_STATIC} knows no way from {camera} to {self._child}'
            )
        return found

    def _lose(self, cause: str, problem: str) -> None:
        self.result.counts[f'lost_{cause}'] += 1
        self.result.problems.setdefault(cause, problem)


def map_bag(
    bag: Bag,
    topics: MapTopics,
    steps: MapSteps,
    lane_map: LaneMap,
    watch: Callable[[Iterable[BagMessage]], Iterable[BagMessage]] = iter,
) -> MapResult:
    """Add every frame of a bag to `lane_map`; `watch` may show progress.

    Raises `InputError` when not one frame could be added, with the reason.
    """
    builder = _Builder(topics, steps, MapResult(lane_map))
    for message in bag.messages([_STATIC]):
        for item in bag.deserialize(message).transforms:
            place, turn = item.transform.translation, item.transform.rotation
            pose = Pose((place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w))
            builder.tree.add(item.header.frame_id, item.child_frame_id, pose)
    wanted = [t for t in (topics.image, topics.camera_info, topics.depth, topics.odometry) if t]
    for message in watch(bag.messages(wanted)):
        builder.take(message.topic, bag.deserialize(message))
    builder.finish()
    result = builder.result
    if not result.counts['added']:
        reason = '; '.join(result.problems.values()) or 'image, camera_info, depth never met'
        raise InputError(f'{bag.path}: no frame could be mapped: {reason}')
    return result


def message_count(bag: Bag, topics: MapTopics) -> int:
    """Messages that `map_bag` will read."""
    names = (topics.image, topics.camera_info, topics.depth, topics.odometry)
    found = (bag.topic(name) for name in names)
    return sum(topic.count for topic in found if topic is not None)


def intrinsics_of(info: Any) -> Intrinsics:
    """Intrinsics of a CameraInfo as rosbags reads it."""
    roi = info.roi
    return Intrinsics(
        Size(max(1, info.width), max(1, info.height)),
        tuple(float(v) for v in info.k),
        tuple(float(v) for v in info.p),
        (info.binning_x, info.binning_y),
        (roi.x_offset, roi.y_offset, roi.width, roi.height),
    )


def ids_masker(apply: Callable[[Array], Array]) -> Masker:
    """Masks from an image of another data set's ids, e.g. a semantic camera."""

    def masker(message: Any) -> tuple[Array, tuple[Array, ...]]:
        frame = decode(message)
        if frame.order != 'mono':
            raise FrameError('encoding', f'ids: expected mono8, got {message.encoding}')
        return apply(frame.pixels), ()

    return masker


def _info_of(image: str) -> str:
    return image.rpartition('/')[0] + '/camera_info'


def _stamp(message: Any) -> int:
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
