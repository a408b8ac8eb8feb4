"""The node `lane_map`: lane points and odometry in, a map of the markings out."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_srvs.srv import Trigger

from seg_node.camera.camera_info import calibration_of
from seg_node.errors import FrameError, cause_line
from seg_node.images.frames import decode, image_bytes
from seg_node.joining import StampSynchronizer
from seg_node.lane_map import Evidence, LaneMap
from seg_node.lane_map.lane_map import MAP_POINT
from seg_node.lane_map.mapper import Mapper, Seen
from seg_node.lane_map.save import save_map
from seg_node.ros import diagnostics, outputs
from seg_node.ros.camera_info import image_size
from seg_node.ros.clouds import from_cloud
from seg_node.ros.declared import declared
from seg_node.ros.guard import guarded, guarded_service
from seg_node.ros.lane_map_parameters import LaneMapSettings
from seg_node.ros.mapping_settings import MappingSettings
from seg_node.ros.node_settings import NodeSettings
from seg_node.ros.parameters import ParameterSet, warn_of_unknown
from seg_node.ros.qos import create_subscription
from seg_node.ros.vehicle_inputs import VehicleInputs
from seg_node.stamps import stamp_ns
from seg_node.timing import Stopwatch
from seg_node.transforms import Pose, optical_mount

INPUT_QOS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
MAP_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
_QUIET_S = 2.0
"""Without odometry for so long while points come, something is wrong."""
_TRACK_STEP_M = 0.5


@dataclass(frozen=True)
class _PointsFrame:
    """Lane points with the mask they are of."""

    cloud: PointCloud2
    mask: Image | None
    camera_info: CameraInfo | None


class LaneMapNode(Node):
    """Subscribes `lane_points`, `mask`, `camera_info` and `odom`; see docs/lane-map.md."""

    def __init__(self, **options: Any) -> None:
        super().__init__('lane_map', **options)
        parameters = ParameterSet(self, (LaneMapSettings,))
        neighbours = declared(NodeSettings, *outputs.settings_kinds(), MappingSettings)
        warn_of_unknown(
            self, parameters.items.values(), lambda: [item.name for item in neighbours]
        )
        self._settings = parameters.of(LaneMapSettings)
        self._map = LaneMap(self._settings.options)
        self._mapper: Mapper[_PointsFrame] = Mapper(
            self._map,
            mount=self._camera_mount,
            see=self._see,
            placed=self._placed,
            lost=self._complain,
            jumped=self._on_jump,
        )
        self._frame = self._child = ''
        self._way = array('d')  # x, y, z, ...: a fifth of what tuples take, over a long drive
        self._received = 0
        self._problem = ''
        self._heard_odometry = self._now()
        self._stamp: Any = None
        self._sent_frames = -1
        masks = ('mask', 'camera_info') if self._settings.use_mask else ()
        self._sync = StampSynchronizer(('points', *masks))
        mount = self._settings.mount
        self._mount = None if mount is None else optical_mount(mount)
        self._inputs = VehicleInputs(
            self,
            self._on_pose,
            self._settings.pose_source,
            moving=(self._settings.odom_frame, self._settings.base_frame),
            bolted=mount is None,
            report=self._complain,
        )
        self._inputs.open()
        if self._inputs.problem:
            self.get_logger().warning(f'camera_mount: {self._inputs.problem}')
        self._subscribe()
        self._cloud = self.create_publisher(PointCloud2, '~/points', MAP_QOS)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        for name, answer in (('save', self._on_save), ('reset', self._on_reset)):
            handler = guarded_service(self._complain, name, answer)
            self.create_service(Trigger, f'~/{name}', handler)
        for period, what, work in (
            (self._settings.publish_period_s, 'map', self._publish_map),
            (1.0, 'diagnostics', self._diagnose),
        ):
            self.create_timer(period, guarded(self._complain, what, work))

    def _subscribe(self) -> None:
        topics: list[tuple[Any, str, Any]] = [(PointCloud2, 'lane_points', self._on_points)]
        if self._settings.use_mask:
            topics.append((Image, 'mask', lambda message: self._offer('mask', message)))
            topics.append(
                (CameraInfo, 'camera_info', lambda message: self._offer('camera_info', message))
            )
        for kind, topic, callback in topics:
            create_subscription(self, kind, topic, callback, INPUT_QOS, self._complain)

    # -- inputs ------------------------------------------------------------------------------

    def _on_points(self, message: PointCloud2) -> None:
        self._received += 1
        self._offer('points', message)

    def _offer(self, part: str, message: Any) -> None:
        whole = self._sync.offer(part, stamp_ns(message), message)
        if whole is None:
            return
        cloud = whole['points']
        frame = _PointsFrame(cloud, whole.get('mask'), whole.get('camera_info'))
        self._mapper.put(stamp_ns(cloud), frame)

    def _on_pose(self, frame: str, child: str, stamp: int, pose: Pose) -> None:
        self._heard_odometry = self._now()
        if self._frame and frame != self._frame:
            self._say(f'odometry: expected frame {self._frame}, got {frame}')
            return
        self._frame, self._child = frame, child
        self._mapper.move(stamp, pose)

    def _on_jump(self, problem: str) -> None:
        self._say(f'{problem}; nothing is added until it fits again, or ~/reset')

    # -- the map -----------------------------------------------------------------------------

    def _see(self, frame: _PointsFrame, watch: Stopwatch) -> Seen:
        points, view = from_cloud(frame.cloud), self._view(frame)
        watch.lap('read')
        return points, view

    def _placed(self, frame: _PointsFrame, pose: Pose, camera: npt.NDArray[np.float64]) -> None:
        self._stamp = frame.cloud.header.stamp
        self._problem = ''
        if not self._way or math.dist(self._way[-3:], pose.translation) > _TRACK_STEP_M:
            self._way.extend(pose.translation)

    def _view(self, frame: _PointsFrame) -> Evidence | None:
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
        settings, calibration = self._settings, calibration_of(info)
        return Evidence(
            mask.pixels,
            calibration.intrinsics,
            settings.lane_ids,
            settings.road_ids,
            distortion=calibration.distortion,
        )

    def _camera_mount(self, frame: _PointsFrame) -> npt.NDArray[np.float64]:
        """float64 (4, 4) optical frame -> moving frame."""
        if self._mount is not None:
            return self._mount
        camera = frame.cloud.header.frame_id
        if camera.lstrip('/') == self._child.lstrip('/'):
            return np.eye(4)
        mount = self._inputs.lookup(self._child, camera)
        if mount is None:
            raise FrameError(
                'camera_mount',
                f'TF knows no way from {camera} to {self._child}: publish it, or set '
                'camera_mount to parameters',
            )
        return mount

    def _complain(self, cause: str, problem: str) -> None:
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
            self._cloud.publish(
                map_cloud(self._stamp, self._frame, self._map.points(stored=False))
            )

    def save(self) -> str:
        """Save the map; one line about it. Raises `SegNodeError`."""
        track = np.asarray(self._way, np.float64).reshape(-1, 3)
        folder, frame = self._settings.folder, self._frame or 'map'
        return f'saved {save_map(self._map, folder, frame_id=frame, track=track)}'

    def _on_save(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message, response.success = self.save(), True
        self.get_logger().info(response.message)
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        frames = self._map.frames
        self._mapper.reset()
        self._sync.clear()
        del self._way[:]
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
        except Exception as error:
            self.get_logger().error(cause_line(error))

    # -- diagnostics -------------------------------------------------------------------------

    def _diagnose(self) -> None:
        level, message = self._verdict()
        counts, mapped, odometry = self._sync.counts(), self._mapper.counts, self._mapper.track
        details: dict[str, Any] = {
            'frame': self._frame,
            'frames_received': self._received,
            'frames_added': mapped['added'],
            'frames_waiting': self._mapper.waiting + counts.pending.get('points', 0),
            'frames_lost_unmatched': counts.lost.get('points', 0),
        }
        details |= {f'frames_{k}': n for k, n in sorted(mapped.items()) if 'lost_' in k}
        details |= {'odometry': odometry.state, 'odometry_jumps': odometry.jumps}
        details |= {
            'voxels': len(self._map),
            'memory_bytes': self._map.nbytes + len(self._way) * self._way.itemsize,
        }
        details |= {'voxels_on_disk': self._map.stored, 'voxels_forgotten': self._map.forgotten}
        details |= diagnostics.stage_values(self._mapper.recorder)
        name = f'{self.get_fully_qualified_name().lstrip("/")}: lane map'
        status = diagnostics.status(name, level, message, details)
        self._diagnostics.publish(diagnostics.array(self.get_clock().now().to_msg(), status))

    def _verdict(self) -> tuple[bytes, str]:
        error = DiagnosticStatus.ERROR
        if not self._received:
            return DiagnosticStatus.WARN, 'no lane points have come yet: is the topic right?'
        if self._mapper.track.state == 'jumped':
            return error, self._mapper.track.problem
        if self._now() - self._heard_odometry > _QUIET_S * 1e9:
            return error, 'no odometry comes: is the topic right?'
        if self._problem:
            return error, self._problem
        counts = self._sync.counts()
        if not counts.sets and counts.lost.get('points'):
            missing = ', '.join(self._sync.missing()) or 'equal stamps'
            return error, f'lane points without {missing}: nothing is added (see use_mask)'
        if self._map.problem:
            return (
                DiagnosticStatus.WARN,
                f'far parts of the map are forgotten: {self._map.problem}',
            )
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
