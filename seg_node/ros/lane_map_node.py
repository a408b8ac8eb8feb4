"""The node `lane_map`: lane points and odometry in, a map of the markings out."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_srvs.srv import Trigger

from seg_node.errors import ConfigError, FrameError, SegNodeError
from seg_node.frames import decode, image_bytes
from seg_node.lane_map import LaneMap, OdometryTrack, Pose, View, optical_mount
from seg_node.lane_map.lane_map import MAP_POINT
from seg_node.lane_map.pose_queue import PoseQueue
from seg_node.lane_map.save import save_map
from seg_node.rgbd import StampSynchronizer
from seg_node.ros import diagnostics, lane_map_parameters
from seg_node.ros.camera_info import image_size, intrinsics
from seg_node.ros.lane_points_output import from_cloud
from seg_node.ros.parameters import declare
from seg_node.ros.qos import create_subscription
from seg_node.ros.rgbd import stamp_ns
from seg_node.ros.rgbd_transforms import Transforms, pose_of
from seg_node.timing import Recorder, Stopwatch

INPUT_QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
MAP_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
_QUIET_S = 2.0
"""Without odometry for so long while points come, something is wrong."""
_TRACK_STEP_M = 0.5


@dataclass(frozen=True)
class _Frame:
    """Lane points with the mask they are of."""

    cloud: PointCloud2
    mask: Image | None
    camera_info: CameraInfo | None


class LaneMapNode(Node):
    """Subscribes `lane_points`, `mask`, `camera_info` and `odom`; see docs/lane-map.md."""

    def __init__(self, **options: Any) -> None:
        super().__init__('lane_map', **options)
        declare(self, lane_map_parameters.PARAMETERS)
        self._settings = lane_map_parameters.read(self)
        self._map = LaneMap(self._settings.options)
        self._track = OdometryTrack()
        self._queue: PoseQueue[_Frame] = PoseQueue(self._track)
        self._frame = self._child = ''
        self._way: list[tuple[float, float, float]] = []
        self._counts: Counter[str] = Counter()
        self._recorder = Recorder()
        self._problem = ''
        self._heard_odometry = self._now()
        self._stamp: Any = None
        self._sent_frames = -1
        masks = ('mask', 'camera_info') if self._settings.use_mask else ()
        self._sync = StampSynchronizer(('points', *masks))
        mount = self._settings.mount
        self._mount = None if mount is None else optical_mount(mount)
        self._transforms = self._listen_to_tf()
        self._subscribe()
        self._cloud = self.create_publisher(PointCloud2, '~/points', MAP_QOS)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.create_service(Trigger, '~/save', self._on_save)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_timer(self._settings.publish_period_s, self._publish_map)
        self.create_timer(1.0, self._diagnose)

    def _listen_to_tf(self) -> Transforms | None:
        if self._settings.pose_source == 'tf':
            return Transforms(self, self._on_transform)
        if self._mount is not None:
            return None
        try:
            return Transforms(self)
        except ConfigError as error:
            self.get_logger().warning(f'camera_mount: {error}')
            return None

    def _subscribe(self) -> None:
        topics: list[tuple[Any, str, Any]] = [(PointCloud2, 'lane_points', self._on_points)]
        if self._settings.use_mask:
            topics.append((Image, 'mask', lambda message: self._offer('mask', message)))
            topics.append(
                (CameraInfo, 'camera_info', lambda message: self._offer('camera_info', message))
            )
        if self._settings.pose_source == 'odometry':
            topics.append((Odometry, 'odom', self._on_odometry))
        for kind, topic, callback in topics:
            create_subscription(self, kind, topic, callback, INPUT_QOS)

    # -- inputs ------------------------------------------------------------------------------

    def _on_points(self, message: PointCloud2) -> None:
        self._counts['received'] += 1
        self._offer('points', message)

    def _offer(self, part: str, message: Any) -> None:
        whole = self._sync.offer(part, stamp_ns(message), message)
        if whole is None:
            return
        cloud = whole['points']
        self._queue.put(
            stamp_ns(cloud), _Frame(cloud, whole.get('mask'), whole.get('camera_info'))
        )
        self._work()

    def _on_odometry(self, message: Odometry) -> None:
        pose = message.pose.pose
        try:
            found = pose_of(pose.position, pose.orientation)
        except ConfigError as error:
            self._say(f'odometry: {error}')
            return
        self._on_pose(message.header.frame_id, message.child_frame_id, stamp_ns(message), found)

    def _on_transform(self, parent: str, child: str, stamp: Any, pose: Pose) -> None:
        wanted = (self._settings.odom_frame, self._settings.base_frame)
        if (parent.lstrip('/'), child.lstrip('/')) == wanted:
            nanoseconds = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
            self._on_pose(parent, child, nanoseconds, pose)

    def _on_pose(self, frame: str, child: str, stamp: int, pose: Pose) -> None:
        self._heard_odometry = self._now()
        if self._frame and frame != self._frame:
            self._say(f'odometry: expected frame {self._frame}, got {frame}')
            return
        self._frame, self._child = frame, child
        if not self._track.add(stamp, pose):
            self._say(f'{self._track.problem}; nothing is added until it fits again, or ~/reset')
        self._work()

    # -- the map -----------------------------------------------------------------------------

    def _work(self) -> None:
        """Add every frame whose pose is known by now."""
        for placed in self._queue.ready():
            if placed.pose is None:
                self._lose(placed.cause, placed.reason)
                continue
            try:
                self._add(placed.item, placed.pose)
            except SegNodeError as error:
                self._lose(getattr(error, 'cause', 'input'), str(error))

    def _add(self, frame: _Frame, pose: Pose) -> None:
        watch = Stopwatch()
        camera = pose.matrix() @ self._camera_mount(frame.cloud.header.frame_id)
        points = from_cloud(frame.cloud)
        view = self._view(frame)
        watch.lap('read')
        self._map.update(points, camera, view)
        watch.lap('update')
        self._recorder.add_stages(watch)
        self._counts['added'] += 1
        self._stamp = frame.cloud.header.stamp
        self._problem = ''
        if not self._way or math.dist(self._way[-1], pose.translation) > _TRACK_STEP_M:
            self._way.append(pose.translation)

    def _view(self, frame: _Frame) -> View | None:
        if frame.mask is None or frame.camera_info is None:
            return None
        info, mask = frame.camera_info, decode(frame.mask)
        if mask.order != 'mono':
            raise FrameError('encoding', f'mask: expected mono8, got {frame.mask.encoding}')
        size = image_size(info)
        if (size.width, size.height) != (mask.width, mask.height):
            raise FrameError(
                'camera_info',
                f'camera_info: expected {mask.width}x{mask.height} as the mask has, got {size}',
            )
        settings = self._settings
        return View(
            mask.pixels,
            intrinsics(info),
            settings.lane_ids,
            settings.road_ids,
            distortion=tuple(map(float, info.d)),
            model=info.distortion_model,
        )

    def _camera_mount(self, camera: str) -> npt.NDArray[np.float64]:
        """float64 (4, 4) optical frame -> moving frame."""
        if self._mount is not None:
            return self._mount
        if camera.lstrip('/') == self._child.lstrip('/'):
            return np.eye(4)
        found = self._transforms.lookup(self._child, camera) if self._transforms else None
        if found is None:
            raise FrameError(
                'camera_mount',
                f'TF knows no way from {camera} to {self._child}: publish it, or set '
                'camera_mount to parameters',
            )
        return found

    def _lose(self, cause: str, problem: str) -> None:
        self._counts[f'lost_{cause}'] += 1
        self._say(problem)

    def _say(self, problem: str) -> None:
        self._problem = problem
        self.get_logger().warning(problem, throttle_duration_sec=_QUIET_S)

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    # -- outputs -----------------------------------------------------------------------------

    def _publish_map(self) -> None:
        changed = self._stamp is not None and self._map.frames != self._sent_frames
        if changed and self._cloud.get_subscription_count():
            self._sent_frames = self._map.frames
            self._cloud.publish(map_cloud(self._stamp, self._frame, self._map.points()))

    def save(self) -> str:
        """Save the map; one line about it. Raises `SegNodeError`."""
        track = np.asarray(self._way, np.float64).reshape(-1, 3)
        folder, frame = self._settings.output_dir, self._frame or 'map'
        return f'saved {save_map(self._map, folder, frame_id=frame, track=track)}'

    def _on_save(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message, response.success = self.save(), True
        except SegNodeError as error:
            response.message, response.success = str(error), False
        self.get_logger().info(response.message)
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        frames = self._map.frames
        self._map.reset()
        self._track.reset()
        self._sync.clear()
        self._queue.clear()
        self._way.clear()
        self._frame, self._problem, self._stamp, self._sent_frames = '', '', None, -1
        response.success, response.message = True, f'forgot the map of {frames} frames'
        self.get_logger().info(response.message)
        return response

    def stop(self) -> None:
        """Save on the way out, where asked to."""
        if not self._settings.save_on_shutdown:
            return
        try:
            self.get_logger().info(self.save())
        except SegNodeError as error:
            self.get_logger().error(str(error))

    # -- diagnostics -------------------------------------------------------------------------

    def _diagnose(self) -> None:
        level, message = self._verdict()
        counts = self._sync.counts()
        details: dict[str, Any] = {
            'frame': self._frame,
            'frames_received': self._counts['received'],
            'frames_added': self._counts['added'],
            'frames_waiting': len(self._queue) + counts.pending.get('points', 0),
            'frames_lost_unmatched': counts.lost.get('points', 0),
        }
        details |= {f'frames_{k}': n for k, n in sorted(self._counts.items()) if 'lost_' in k}
        details |= {'odometry': self._track.state, 'odometry_jumps': self._track.jumps}
        details |= {'voxels': len(self._map), 'memory_bytes': self._map.nbytes}
        for stage, summary in self._recorder.summary().items():
            details |= {f'{stage}_ms_{p}': f'{v:.3f}' for p, v in summary.items()}
        status = DiagnosticStatus(
            level=level,
            name=f'{self.get_fully_qualified_name().lstrip("/")}: lane map',
            message=message,
            values=[KeyValue(key=key, value=str(value)) for key, value in details.items()],
        )
        self._diagnostics.publish(diagnostics.array(self.get_clock().now().to_msg(), status))

    def _verdict(self) -> tuple[bytes, str]:
        error = DiagnosticStatus.ERROR
        if not self._counts['received']:
            return DiagnosticStatus.WARN, 'no lane points have come yet: is the topic right?'
        if self._track.state == 'jumped':
            return error, self._track.problem
        if self._now() - self._heard_odometry > _QUIET_S * 1e9:
            return error, 'no odometry comes: is the topic right?'
        if self._problem:
            return error, self._problem
        counts = self._sync.counts()
        if not counts.sets and counts.lost.get('points'):
            missing = ', '.join(self._sync.missing()) or 'equal stamps'
            return error, f'lane points without {missing}: nothing is added (see use_mask)'
        return DiagnosticStatus.OK, 'mapping'


def map_cloud(stamp: Any, frame: str, points: npt.NDArray[np.void]) -> PointCloud2:
    """A PointCloud2 of map points (N,) of dtype `MAP_POINT`: x, y, z, class, hits, misses."""
    kinds = {'f': PointField.FLOAT32, 'u': PointField.UINT8}
    fields = [
        PointField(name=name, offset=entry[1], datatype=kinds[entry[0].kind], count=1)
        for name, entry in (MAP_POINT.fields or {}).items()
    ]
    message = PointCloud2(height=1, width=len(points), fields=fields, is_dense=True)
    message.header.stamp, message.header.frame_id = stamp, frame
    message.point_step, message.row_step = MAP_POINT.itemsize, MAP_POINT.itemsize * len(points)
    message.data = image_bytes(points.view(np.uint8))
    return message


def main(args: list[str] | None = None) -> int:
    """Entry of `ros2 run seg_node lane_map`."""
    from seg_node.ros.process import run_node

    return run_node(LaneMapNode, args)


if __name__ == '__main__':
    raise SystemExit(main())
