"""The mask put to use in the node: RGB-D sets for RTAB-Map, and lane points.

The mask goes out first; what is here joins it with camera_info and depth of the same stamp. The
last part to come publishes the set, be it the mask (on the worker's thread) or a late depth image.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from seg_node.classes import ClassSet
from seg_node.depth import Depth, decode_depth_image
from seg_node.errors import ConfigError, FrameError
from seg_node.frames import Frame
from seg_node.pipeline import Segmentation
from seg_node.points import GroundPlane, PointOptions
from seg_node.rgbd import RgbdMode, SetCounts, StampSynchronizer, lane_ids
from seg_node.ros.lane_points_aligned import AlignedPointsOutput
from seg_node.ros.lane_points_output import CameraTables, LanePointsOutput
from seg_node.ros.qos import create_publisher, create_subscription
from seg_node.ros.rgbd_outputs import RgbdOutputs, SegmentedFrame
from seg_node.ros.rgbd_parameters import MappingSettings
from seg_node.ros.rgbd_transforms import Transforms
from seg_node.timing import Recorder, Stopwatch

Report = Callable[[str, str], None]


def stamp_ns(message: Any) -> int:
    """The header's stamp in nanoseconds."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


@dataclass(frozen=True)
class MappingState:
    """How the sets fared: `outcomes` of the whole ones by name, parts lost, the last problem."""

    counts: SetCounts
    outcomes: dict[str, int]
    missing: tuple[str, ...]
    problem: str


class Mapping:
    """Joins masks with camera_info and depth; publishes `~/rgbd/*`, lane points, aligned points.

    `report(cause, line)` is called for each set that is refused. Every mask offered ends in a set,
    as a lost part, or is pending; every set as `published`, or under its cause; masks that nobody
    wants further are `unread`.
    """

    def __init__(
        self, node: Any, settings: MappingSettings, classes: ClassSet, report: Report
    ) -> None:
        self._node = node
        self._settings = settings
        self._classes = classes
        self._report_line = report
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        self._problem = ''
        self._recorder = Recorder()
        self._transforms: Transforms | None = None
        self._subscriptions: list[Any] = []
        self._publishers: list[Any] = []
        parts = ('image', 'camera_info', *(('depth',) if settings.takes_depth else ()))
        self._sync = StampSynchronizer(parts, settings.sync_tolerance_ns, settings.sync_queue)
        self._rgbd: RgbdOutputs | None = None
        self._points: LanePointsOutput | None = None
        self._aligned: AlignedPointsOutput | None = None

    @property
    def active(self) -> bool:
        """Whether the user has asked for any of it."""
        return self._settings.active

    @property
    def wants_every_frame(self) -> bool:
        """Whether sets go to a map, where a missing one is a gap."""
        return self._settings.rgbd

    def open(self) -> None:
        """Create the publishers.

        Raises `ConfigError` when the model's classes do not have what the settings ask for.
        """
        settings = self._settings
        if settings.rgbd:
            mode = RgbdMode.of(
                settings.mode, self._classes, settings.drop_classes, settings.dilate_px
            )
            self._rgbd = RgbdOutputs(self._publisher, mode)
        if settings.points_source == 'off':
            return
        tables = CameraTables(settings.max_range_m)
        self._aligned = AlignedPointsOutput(
            self._publisher, tables, settings.place, settings.max_range_m
        )
        try:
            lanes = lane_ids(self._classes, settings.lane_classes)
        except ConfigError as error:
            if settings.lane_classes:
                raise
            self._node.get_logger().info(f'~/lane_points is not published: {error}')
            return
        options = PointOptions(lanes, settings.max_range_m, min_confidence=settings.min_confidence)
        self._points = LanePointsOutput(self._publisher, tables, options)

    def _publisher(self, kind: Any, topic: str, qos: QoSProfile) -> Any:
        made = create_publisher(self._node, kind, topic, qos)
        self._publishers.append(made)
        return made

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()
        self._rgbd = self._points = self._aligned = None

    # -- inputs ------------------------------------------------------------------------------

    def subscribe(self, qos: QoSProfile) -> None:
        """Subscribe depth, and TF where the ground plane comes from it."""
        topics: list[tuple[Any, str, Any]] = []
        if self._settings.takes_depth:
            topics = [
                (Image, 'depth/image', self._on_depth),
                (CameraInfo, 'depth/camera_info', self._on_depth_info),
            ]
        for kind, topic, callback in topics:
            self._subscriptions.append(create_subscription(self._node, kind, topic, callback, qos))
        if self._wants_tf:
            try:
                self._transforms = Transforms(self._node)
                self._subscriptions += self._transforms.subscriptions
            except ConfigError as error:
                # Said in the mapping's status only: most users have no use for lane points.
                self._problem = f'camera_height_m: {error}'

    @property
    def _wants_tf(self) -> bool:
        settings = self._settings
        return settings.points_source == 'ground' and settings.ground is None

    def unsubscribe(self) -> None:
        """Take nothing more; what is pending is given up."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        self._sync.clear()

    def on_camera_info(self, message: CameraInfo) -> None:
        """Take a camera_info."""
        self._offer('camera_info', stamp_ns(message), message)

    def on_result(self, message: Any, frame: Frame, result: Segmentation) -> None:
        """Take a segmented frame; its mask is copied, for the segmenter goes on using it."""
        scores = self._points is not None and self._points.read
        if not (scores or any(o is not None and o.read for o in (self._rgbd, self._aligned))):
            with self._lock:
                self._outcomes['unread'] += 1
            return
        planes = tuple(p.copy() for p in result.planes) if scores else ()
        kept = SegmentedFrame(message, frame, result.mask.copy(), planes)
        self._offer('image', stamp_ns(message), kept)

    def _on_depth(self, message: Image) -> None:
        self._offer('depth', stamp_ns(message), message)

    def _on_depth_info(self, message: CameraInfo) -> None:
        self._sync.require('depth_info')
        self._offer('depth_info', stamp_ns(message), message)

    # -- sets --------------------------------------------------------------------------------

    def _offer(self, part: str, stamp: int, item: Any) -> None:
        whole = self._sync.offer(part, stamp, item)
        if whole is None:
            return
        with self._lock:  # sets go out one after the other
            try:
                watch = Stopwatch()
                self._publish(whole, watch)
                self._recorder.add_stages(watch)
                self._outcomes['published'] += 1
                self._problem = ''
            except (FrameError, ConfigError) as error:
                cause = getattr(error, 'cause', 'config')
                self._outcomes[cause] += 1
                self._problem = str(error)
                self._report_line(cause, str(error))

    def _publish(self, whole: dict[str, Any], watch: Stopwatch) -> None:
        segmented: SegmentedFrame = whole['image']
        info: CameraInfo = whole['camera_info']
        depth: Depth | None = None
        if 'depth' in whole:
            depth = decode_depth_image(whole['depth'], self._settings.depth_coding)
        if self._rgbd is not None and depth is not None and self._rgbd.read:
            self._rgbd.publish(segmented, info, depth, whole.get('depth_info'))
            watch.lap('rgbd')
        if not any(o is not None and o.read for o in (self._points, self._aligned)):
            return
        from_depth = depth is not None and self._settings.points_source == 'depth'
        source = depth if depth is not None and from_depth else self._ground(segmented)
        if self._points is not None and self._points.read:
            self._points.publish(segmented, info, source)
            watch.lap('lane_points')
        if self._aligned is not None and self._aligned.read:
            self._aligned.publish(segmented, info, source)
            watch.lap('aligned_points')

    def _ground(self, segmented: SegmentedFrame) -> GroundPlane:
        if self._settings.ground is not None:
            return self._settings.ground
        camera, ground = segmented.message.header.frame_id, self._settings.ground_frame
        found = self._transforms.ground_plane(ground, camera) if self._transforms else None
        if found is None:
            raise FrameError(
                'camera_height',
                f'lane points: camera_height_m is 0 and TF knows no way from {camera} to '
                f'{ground}: set camera_height_m, or lane_points.source to depth or off',
            )
        return found

    # -- what it says of itself --------------------------------------------------------------

    def _set_problem(self, problem: str) -> None:
        self._problem = problem
        self._report_line('mapping', problem)

    def state(self) -> MappingState:
        """The account at one instant."""
        with self._lock:
            outcomes, problem = dict(self._outcomes), self._problem
        return MappingState(self._sync.counts(), outcomes, self._sync.missing(), problem)

    def status(self, name: str) -> DiagnosticStatus:
        """The account for /diagnostics."""
        state = self.state()
        values: dict[str, Any] = {'mode': self._settings.mode, 'sets_whole': state.counts.sets}
        values['points_source'] = self._settings.points_source
        values |= {f'sets_{name}': n for name, n in sorted(state.outcomes.items())}
        for part in self._sync.parts:
            values[f'{part}_offered'] = state.counts.offered.get(part, 0)
            values[f'{part}_without_set'] = state.counts.lost.get(part, 0)
            values[f'{part}_pending'] = state.counts.pending.get(part, 0)
        for stage, summary in self._recorder.summary().items():
            values |= {f'{stage}_ms_{p}': f'{v:.3f}' for p, v in summary.items()}
        level, message = self._verdict(state)
        return DiagnosticStatus(
            level=level,
            name=name,
            message=message,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )

    def _verdict(self, state: MappingState) -> tuple[bytes, str]:
        offered, lost = state.counts.offered, state.counts.lost
        if state.problem:
            return DiagnosticStatus.ERROR, state.problem
        if not offered.get('image'):
            return DiagnosticStatus.OK, 'no subscriber' if 'unread' in state.outcomes else 'idle'
        if not state.counts.sets and state.missing:
            return DiagnosticStatus.ERROR, f'nothing has come on {", ".join(state.missing)}'
        if not state.counts.sets and lost.get('image'):
            return DiagnosticStatus.ERROR, self._never_met()
        return DiagnosticStatus.OK, 'whole sets'

    def _never_met(self) -> str:
        tolerance = self._settings.sync_tolerance_ns / 1e6
        wanted = f'within {tolerance:g} ms' if tolerance else 'equal'
        return (
            f'stamps of {", ".join(self._sync.parts)} never met (expected {wanted}): '
            'see sync_tolerance_ms'
        )
