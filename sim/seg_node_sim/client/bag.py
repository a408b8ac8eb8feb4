"""A drive as an MCAP bag: what the source node would have published, with the exact truth.

Written with rosbags, no ROS needed. `ros2 bag play`, rosbags and mcap's own reader take it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from seg_node.bags.typestore import standard_types
from seg_node.bags.writer import McapWriter
from seg_node.transforms import Pose
from seg_node_sim.client.axes import (
    into_body,
    to_ros,
    to_ros_optical,
    turn_rate_to_ros,
    vector_to_ros,
)
from seg_node_sim.client.camera_model import camera_model
from seg_node_sim.client.drive import Tick, VehicleState
from seg_node_sim.client.frames_ros import (
    ENCODINGS,
    MAP_FRAME,
    SimClock,
    SkyDepth,
    camera_frame,
    pixels,
    topic,
)
from seg_node_sim.client.rig import CameraSpec, Rig


class DriveBag:
    """Writes ticks into FILE.mcap; the file appears when the block ends well."""

    def __init__(self, path: Path, fps: float, sky: SkyDepth = 'unknown') -> None:
        self._bag = McapWriter(path)
        self._sky = sky
        self._delta_s = 1.0 / fps
        self._clock = SimClock()
        self._rig: Rig | None = None
        self._mounts_pending = False

    def __enter__(self) -> DriveBag:
        self._bag.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._bag.__exit__(*exception)

    def begin_drive(self, rig: Rig) -> None:
        """The next ticks come from this rig."""
        self._rig = rig
        self._mounts_pending = True

    def write(self, tick: Tick) -> None:
        """All messages of one frame, with one stamp."""
        assert self._rig is not None
        time_ns = self._clock.stamp_ns(tick.elapsed_s, self._delta_s)
        stamp = _type('builtin_interfaces/msg/Time')(*divmod(time_ns, 1_000_000_000))
        role = self._rig.role_name
        self._put('/clock', 'rosgraph_msgs/msg/Clock', time_ns, clock=stamp)
        if self._mounts_pending:
            self._write_mounts(stamp, time_ns)
        pose = _transform(stamp, MAP_FRAME, role, to_ros(tick.ego.pose))
        self._put('/tf', 'tf2_msgs/msg/TFMessage', time_ns, transforms=[pose])
        self._write_odometry(stamp, time_ns, role, tick.ego)
        for spec in self._rig.cameras:
            self._write_camera(spec, _header(stamp, camera_frame(role, spec.id)), time_ns, tick)

    def _write_mounts(self, stamp: Any, time_ns: int) -> None:
        assert self._rig is not None
        role = self._rig.role_name
        mounts = [
            _transform(stamp, role, camera_frame(role, spec.id),
                       to_ros_optical(spec.spawn_point.pose()))
            for spec in self._rig.cameras
        ]  # fmt: skip
        self._put('/tf_static', 'tf2_msgs/msg/TFMessage', time_ns, transforms=mounts)
        self._mounts_pending = False

    def _write_odometry(self, stamp: Any, time_ns: int, role: str, motion: VehicleState) -> None:
        point = _type('geometry_msgs/msg/Vector3')
        linear = into_body(vector_to_ros(motion.velocity), motion.pose)
        angular = into_body(turn_rate_to_ros(motion.angular_velocity), motion.pose)
        place, turn = _pose(to_ros(motion.pose), 'geometry_msgs/msg/Point')
        pose = _type('geometry_msgs/msg/Pose')(place, turn)
        twist = _type('geometry_msgs/msg/Twist')(point(*linear), point(*angular))
        unknown = np.zeros(36)
        self._put(
            topic(role, 'odometry'), 'nav_msgs/msg/Odometry', time_ns,
            header=_header(stamp, MAP_FRAME),
            child_frame_id=role,
            pose=_type('geometry_msgs/msg/PoseWithCovariance')(pose, unknown),
            twist=_type('geometry_msgs/msg/TwistWithCovariance')(twist, unknown),
        )  # fmt: skip

    def _write_camera(self, spec: CameraSpec, header: Any, time_ns: int, tick: Tick) -> None:
        assert self._rig is not None
        name = topic(self._rig.role_name, spec.id)
        model = camera_model(spec)
        self._put(
            f'{name}/camera_info', 'sensor_msgs/msg/CameraInfo', time_ns,
            header=header, height=model.height, width=model.width,
            distortion_model=model.distortion_model,
            d=np.array(model.d), k=np.array(model.k), r=np.array(model.r), p=np.array(model.p),
            binning_x=0, binning_y=0,
            roi=_type('sensor_msgs/msg/RegionOfInterest')(0, 0, 0, 0, False),
        )  # fmt: skip
        image = np.ascontiguousarray(pixels(spec, tick.images[spec.id], self._sky))
        self._put(
            f'{name}/image', 'sensor_msgs/msg/Image', time_ns,
            header=header, height=image.shape[0], width=image.shape[1],
            encoding=ENCODINGS[spec.kind], is_bigendian=0, step=image.strides[0],
            data=image.reshape(-1).view(np.uint8),
        )  # fmt: skip

    def _put(self, name: str, kind: str, time_ns: int, **fields: Any) -> None:
        self._bag.put(name, time_ns, _type(kind)(**fields), latched=name == '/tf_static')


def _type(name: str) -> Any:
    return standard_types().types[name]


def _header(stamp: Any, frame: str) -> Any:
    return _type('std_msgs/msg/Header')(stamp, frame)


def _pose(pose: Pose, place: str) -> tuple[Any, Any]:
    turn = _type('geometry_msgs/msg/Quaternion')(*pose.quaternion)
    return _type(place)(*pose.translation), turn


def _transform(stamp: Any, parent: str, child: str, pose: Pose) -> Any:
    place, turn = _pose(pose, 'geometry_msgs/msg/Vector3')
    transform = _type('geometry_msgs/msg/Transform')(place, turn)
    return _type('geometry_msgs/msg/TransformStamped')(_header(stamp, parent), child, transform)
