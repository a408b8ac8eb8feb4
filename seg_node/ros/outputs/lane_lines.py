"""`~/lane_lines` and `~/ego_lane`: the road's lines as geometry, in metres of the vehicle."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any, Literal

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Path
from std_msgs.msg import Header

from seg_node.camera.rays import RayTable
from seg_node.errors import ConfigError, FrameError
from seg_node.lane_lines.estimator import (
    EstimatorOptions,
    LaneLineEstimator,
    estimator_options,
    mount_over_ground,
)
from seg_node.lane_lines.kept_angles import KeptAngles, disagreement
from seg_node.lane_lines.line import Double, LaneLines
from seg_node.lane_lines.motion import MotionMeter
from seg_node.lane_lines.samples import RoadView
from seg_node.lane_lines.stripes import find_stripes
from seg_node.model.runner import default_cache_dir
from seg_node.ros import diagnostics, lane_markers
from seg_node.ros.declared import parameter
from seg_node.ros.mapping_settings import MappingSettings
from seg_node.ros.outputs.output import SetOutput
from seg_node.ros.outputs.site import CameraSite, OutputPublisher
from seg_node.ros.segmented import JoinedFrame
from seg_node.ros.vehicle_inputs import PoseSource, VehicleInputs
from seg_node.stamps import stamp_ns

RANK = 65
CameraPlace = Literal['auto', 'parameters', 'tf', 'lines']
PLACES = ('auto', 'parameters', 'tf', 'lines')
POSE_SOURCES = ('odometry', 'tf', 'off')
_PAUSE_NS = 1_000_000_000
"""After so long without a frame the lines begin anew."""
_LOOK_AGAIN_S = 1.0
"""How long an answer of TF is used: cameras are bolted to the vehicle."""


@dataclass(frozen=True)
class LaneLineSettings:
    """How ~/lane_lines and ~/ego_lane are made."""

    camera: CameraPlace = parameter(
        'auto',
        'How the camera stands over the road, for ~/lane_lines and ~/ego_lane. parameters: by '
        'camera_height_m, camera_pitch_deg, camera_roll_deg; tf: over ground_frame; lines: pitch '
        'and yaw from where the lines of the road meet, with camera_height_m; auto: parameters '
        'where camera_height_m is set, else tf.',
        name='lane_lines.camera',
        choices=PLACES,
    )
    forward_m: float = parameter(
        0.0,
        'Optical centre ahead of the frame of the lines, where TF does not say. Metres.',
        name='lane_lines.camera_forward_m',
        bounds=(-100.0, 100.0),
    )
    frame: str = parameter(
        'base_link',
        'Frame of the lines; where TF does not know it, they are in ground_frame.',
        name='lane_lines.frame',
    )
    max_range_m: float = parameter(
        40.0, 'Paint further ahead is left out. Metres.', name='lane_lines.max_range_m',
        bounds=(5.0, 200.0),
    )  # fmt: skip
    pose_source: PoseSource = parameter(
        'odometry',
        'What moves the lines from frame to frame: the topic odom, the way from '
        'lane_lines.odom_frame to lane_lines.frame in TF, or nothing.',
        name='lane_lines.pose_source',
        choices=POSE_SOURCES,
    )
    odom_frame: str = parameter(
        'odom', 'Frame that does not move, with pose_source tf.', name='lane_lines.odom_frame'
    )
    calibration_file: str = parameter(
        '',
        'JSON that keeps the angles of the camera by its lines; empty: in the cache folder of the '
        'user, off: not kept.',
        name='lane_lines.calibration_file',
    )


SETTINGS = LaneLineSettings


@dataclass(frozen=True)
class _MountedCamera:
    """Where the camera is: optical frame -> road, (4, 4), and the way on to the frame `name`."""

    mount: Double
    name: str
    onward: Double


class LaneLinesOutput(SetOutput):
    """Finds, tracks and publishes the lines; takes odometry and TF only while it is read."""

    stage = 'lane_lines'

    def __init__(self, site: CameraSite, options: EstimatorOptions, markers: Any) -> None:
        self._settings = site.settings(LaneLineSettings)
        self._mapping = site.settings(MappingSettings)
        self._tables = site.tables
        self._path = site.publisher(Path, 'ego_lane')
        self._markers = None if markers is None else site.publisher(markers, 'lane_lines')
        self._motion = MotionMeter()
        self._inputs = VehicleInputs(
            site.node,
            lambda _parent, _child, stamp, pose: self._motion.add(stamp, pose),
            self._settings.pose_source,
            moving=(self._settings.odom_frame, self._settings.frame),
            bolted=self._by == 'tf',
        )
        self._classes = options.classes
        self._estimator = LaneLineEstimator(options)
        self._angles_file = _angles_file(self._settings.calibration_file, site)
        self._angles: KeptAngles | None = None
        self._view: RoadView | None = None
        self._place: tuple[str, float, _MountedCamera] | None = None
        self._last_ns: int | None = None
        self._shown: frozenset[int] = frozenset()
        self._lines: LaneLines | None = None

    @property
    def read(self) -> bool:
        """Whether anybody subscribes to lines or ego lane."""
        return any(publisher.read for publisher in self._publishers)

    @property
    def _publishers(self) -> tuple[OutputPublisher, ...]:
        return (self._path,) if self._markers is None else (self._path, self._markers)

    @property
    def _by(self) -> CameraPlace:
        if self._settings.camera == 'auto':
            return 'parameters' if self._mapping.camera_height_m > 0.0 else 'tf'
        return self._settings.camera

    def tend(self) -> None:
        """Odometry and TF are subscribed while somebody reads."""
        if self.read:
            with contextlib.suppress(ConfigError):  # said in the status
                self._inputs.open()
        else:
            self.rest()

    def rest(self) -> None:
        """Gives up odometry and TF, and forgets the lines."""
        self._inputs.close()
        self._motion.reset()
        self._place, self._last_ns, self._lines = None, None, None

    def take(self, whole: JoinedFrame) -> None:
        """Publishes the frame's lines. Raises `FrameError` where TF does not place the camera."""
        camera, stamp = whole.header.frame_id, stamp_ns(whole.frame.message)
        place = self._placed(camera)
        view = self._view_of(self._tables.rays(whole), place.mount)
        last, self._last_ns = self._last_ns, stamp
        if last is not None and not 0 < stamp - last <= _PAUSE_NS:
            self._estimator.reset()
            last = None
        motion = None if last is None else self._motion.between(last, stamp)
        depth = whole.depth
        fits = depth is not None and depth.shape == whole.frame.mask.shape
        metres = depth.image_metres() if depth is not None and fits else None
        lines = self._estimator.step(whole.frame.mask, view, metres, motion)
        kept = self._kept(camera)
        if kept.wants():
            turn = motion.turn / max(motion.forward, 0.1) if motion else 0.0
            stripes = find_stripes(whole.frame.mask, self._classes, view.rays)
            if kept.add(stripes, turn) and self._by == 'lines':
                self._place = None  # look with the new angles from the next frame on
        self._publish(Header(stamp=whole.header.stamp, frame_id=place.name), lines, place.onward)

    def _publish(self, header: Header, lines: LaneLines, onward: Double) -> None:
        self._lines = lines
        tracks = frozenset(line.track for line in lines.lines)
        if self._markers is not None and self._markers.read:
            gone = sorted(self._shown - tracks)
            self._markers.publish(lane_markers.marker_array(header, lines, gone, onward))
        self._shown = tracks
        if self._path.read:
            self._path.publish(lane_markers.path(header, lines, onward))

    # -- where the camera is -----------------------------------------------------------------

    def _view_of(self, rays: RayTable, mount: Double) -> RoadView:
        view = self._view
        if view is None or view.rays is not rays or not np.array_equal(view.mount, mount):
            view = self._view = RoadView(rays, mount, max_range_m=self._settings.max_range_m)
            self._estimator.reset()
        return view

    def _placed(self, camera: str) -> _MountedCamera:
        now = time.monotonic()
        known = self._place
        if known is None or known[0] != camera or now - known[1] > _LOOK_AGAIN_S:
            placed = self._by_tf(camera) if self._by == 'tf' else self._by_parameters(camera)
            self._place = known = camera, now, placed
        return known[2]

    def _by_parameters(self, camera: str) -> _MountedCamera:
        known, roll = self._mapping, math.radians(self._mapping.camera_roll_deg)
        pitch, yaw = math.radians(known.camera_pitch_deg), 0.0
        angles = self._kept(camera).angles if self._by == 'lines' else None
        if angles is not None:
            pitch, yaw = angles.pitch, angles.yaw
        mount = mount_over_ground(
            known.camera_height_m, pitch, roll, yaw, self._settings.forward_m
        )
        return _MountedCamera(mount, self._settings.frame, np.eye(4))

    def _by_tf(self, camera: str) -> _MountedCamera:
        ground, frame = self._mapping.ground_frame, self._settings.frame
        mount = self._inputs.lookup(ground, camera)
        if mount is None:
            reason = self._inputs.problem or f'TF knows no way from {camera} to {ground}'
            raise FrameError(
                'camera_height',
                f'lane lines: camera_height_m is 0 and {reason}: set camera_height_m or '
                'ground_frame',
            )
        onward = self._inputs.lookup(frame, ground)
        return (
            _MountedCamera(mount, ground, np.eye(4))
            if onward is None
            else _MountedCamera(mount, frame, onward)
        )

    # -- what the lines say of the camera ----------------------------------------------------

    def _kept(self, camera: str) -> KeptAngles:
        if self._angles is None:
            self._angles = KeptAngles(self._angles_file, camera)
        return self._angles

    def status(self, name: str) -> DiagnosticStatus | None:
        """Where the camera's place comes from, and the lines of the last frame."""
        if not self.read:
            return None
        lines, kept = self._lines, self._angles
        values: dict[str, Any] = {'camera': self._by, 'odometry': self._motion.state}
        if lines is not None:
            values['lines'] = len(lines.lines)
            values['both_boundaries'] = lines.left is not None and lines.right is not None
        if self._view is not None:
            down = self._view.mount[2, 2]
            values['camera_pitch_deg'] = f'{math.degrees(-math.asin(down)):.2f}'
            values['camera_height_m'] = f'{self._view.mount[2, 3]:.2f}'
        message = 'no frame yet' if lines is None else 'lane lines'
        level = DiagnosticStatus.OK
        if kept is not None:
            values['calibration_frames'] = kept.seen
            if kept.angles is not None:
                values |= {f'lines_{k}': f'{v:.3f}' for k, v in kept.angles.as_dict().items()}
                if self._view is not None and self._by != 'lines':
                    warning = disagreement(kept.angles, -math.asin(self._view.mount[2, 2]))
                    level = DiagnosticStatus.WARN if warning else level
                    message = warning or message
            elif self._by == 'lines':
                message = (
                    f'camera angles are not known yet: {kept.seen} frames with straight lines'
                )
        problem = self._inputs.problem or (kept.problem if kept is not None else '')
        if problem:
            level, message = DiagnosticStatus.WARN, problem
        return diagnostics.status(f'{name}: lane lines', level, message, values)


def create(site: CameraSite) -> LaneLinesOutput | None:
    """None for a model without lane markings; without visualization_msgs only `~/ego_lane`.

    Raises `ConfigError` for lane classes that the model does not have, and for a camera whose
    height is not given.
    """
    settings, mapping = site.settings(LaneLineSettings), site.settings(MappingSettings)
    if settings.camera in ('parameters', 'lines') and mapping.camera_height_m <= 0.0:
        raise ConfigError(f'lane_lines.camera {settings.camera}: expected camera_height_m above 0')
    try:
        options = estimator_options(site.classes, mapping.lane_classes)
    except ConfigError:
        if mapping.lane_classes:
            raise
        return None  # lane_points says so
    return LaneLinesOutput(site, options, _marker_array(site.info))


def _marker_array(info: Callable[[str], None]) -> Any:
    try:
        from visualization_msgs.msg import MarkerArray
    except ImportError:
        info('visualization_msgs is not installed: ~/lane_lines is not published')
        return None
    return MarkerArray


def _angles_file(chosen: str, site: CameraSite) -> File | None:
    if chosen == 'off':
        return None
    if chosen:
        return File(chosen).expanduser()
    node = str(site.node.get_fully_qualified_name()).strip('/')
    name = f'{node}{site.prefix.removeprefix("~")}'.replace('/', '_')
    return default_cache_dir() / 'camera_angles' / f'{name}.json'
