"""Publishers of the source node and the messages they send."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from seg_node.images.frames import fill_image
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
    SkyDepth,
    camera_frame,
    pixels,
    topic,
)
from seg_node_sim.client.rig import CameraSpec, Rig

IMAGE_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
CLOCK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
STATIC_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_MAX_NS = 1_000_000_000


class Outputs:
    """One publisher for each topic of a rig."""

    def __init__(self, node: Node, rig: Rig, sky: SkyDepth = 'unknown') -> None:
        self._rig = rig
        self._sky = sky
        self._clock = node.create_publisher(Clock, '/clock', CLOCK_QOS)
        self._odometry = node.create_publisher(Odometry, topic(rig.role_name, 'odometry'), 10)
        self._transforms, self._static = _transform_publishers(node)
        self._images = {}
        self._infos = {}
        self._models = {}
        for spec in rig.cameras:
            name = topic(rig.role_name, spec.id)
            self._images[spec.id] = node.create_publisher(Image, f'{name}/image', IMAGE_QOS)
            self._infos[spec.id] = node.create_publisher(
                CameraInfo, f'{name}/camera_info', IMAGE_QOS
            )
            self._models[spec.id] = camera_info(spec, rig.role_name)

    def publish_mounts(self) -> None:
        """The cameras' optical frames on /tf_static, once; latched."""
        if self._static is not None:
            stamp = Header().stamp
            self._publish(self._static, [
                transform(stamp, self._rig.role_name,
                          camera_frame(self._rig.role_name, spec.id),
                          to_ros_optical(spec.spawn_point.pose()))
                for spec in self._rig.cameras
            ])  # fmt: skip

    def publish(self, tick: Tick, stamp_ns: int) -> None:
        """One frame: clock first, so that nobody sees a stamp of the future."""
        clock = Clock()
        clock.clock.sec, clock.clock.nanosec = divmod(stamp_ns, _MAX_NS)
        stamp = clock.clock
        self._clock.publish(clock)
        role = self._rig.role_name
        if self._transforms is not None:
            pose = to_ros(tick.ego.pose)
            self._publish(self._transforms, [transform(stamp, MAP_FRAME, role, pose)])
        self._odometry.publish(odometry(stamp, role, tick.ego))
        for spec in self._rig.cameras:
            header = Header(stamp=stamp, frame_id=camera_frame(role, spec.id))
            info = self._models[spec.id]
            info.header = header
            self._infos[spec.id].publish(info)
            if self._images[spec.id].get_subscription_count():
                message = Image(header=header)
                decoded = pixels(spec, tick.images[spec.id], self._sky)
                fill_image(message, decoded, ENCODINGS[spec.kind])
                self._images[spec.id].publish(message)

    @staticmethod
    def _publish(publisher: Any, transforms: list[TransformStamped]) -> None:
        publisher.publish(publisher.msg_type(transforms=transforms))


def camera_info(spec: CameraSpec, role_name: str) -> CameraInfo:
    """CameraInfo of a camera, without a stamp."""
    model = camera_model(spec)
    return CameraInfo(
        header=Header(frame_id=camera_frame(role_name, spec.id)),
        width=model.width,
        height=model.height,
        distortion_model=model.distortion_model,
        d=list(model.d),
        k=list(model.k),
        r=list(model.r),
        p=list(model.p),
    )


def odometry(stamp: Any, role_name: str, motion: VehicleState) -> Odometry:
    """Pose in the map, velocities in the vehicle's own axes, both exact."""
    message = Odometry(header=Header(stamp=stamp, frame_id=MAP_FRAME), child_frame_id=role_name)
    _fill_pose(message.pose.pose.position, message.pose.pose.orientation, to_ros(motion.pose))
    twist = message.twist.twist
    linear = into_body(vector_to_ros(motion.velocity), motion.pose)
    # The simulator gives the turn rate in world axes, as the velocity.
    angular = into_body(turn_rate_to_ros(motion.angular_velocity), motion.pose)
    twist.linear.x, twist.linear.y, twist.linear.z = linear
    twist.angular.x, twist.angular.y, twist.angular.z = angular
    return message


def transform(stamp: Any, parent: str, child: str, pose: Pose) -> TransformStamped:
    """TF: `pose` of the frame `child` in `parent`."""
    message = TransformStamped(header=Header(stamp=stamp, frame_id=parent), child_frame_id=child)
    _fill_pose(message.transform.translation, message.transform.rotation, pose)
    return message


def _fill_pose(place: Any, turn: Any, pose: Pose) -> None:
    place.x, place.y, place.z = pose.translation
    turn.x, turn.y, turn.z, turn.w = pose.quaternion


def _transform_publishers(node: Node) -> tuple[Any, Any]:
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        node.get_logger().warning(
            'tf2_msgs is not installed: no /tf and /tf_static, only odometry '
            '(it comes with a ROS distribution: ros-<distro>-tf2-msgs)'
        )
        return None, None
    return (
        node.create_publisher(TFMessage, '/tf', 100),
        node.create_publisher(TFMessage, '/tf_static', STATIC_QOS),
    )
