"""The node `view`: what a running seg_node publishes, as entities of a viewer.

While it runs it is a reader of the node's outputs: the node makes what it would make for RViz.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry, Path
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, PointCloud2

from seg_node.errors import InputError, SegNodeError
from seg_node.images.frames import Frame, decode, decode_compressed
from seg_node.joining import StampSynchronizer
from seg_node.ros.clouds import from_cloud, xyz_of
from seg_node.ros.guard import guarded
from seg_node.ros.lane_markers import LABELS, LINES
from seg_node.ros.session import named_graph, spinning
from seg_node.ros.transforms import Transforms
from seg_node.stamps import stamp_ns
from seg_node.transforms import Pose
from seg_node.view.entities import DriveEntities, LineStrip
from seg_node.view.frames import ViewFrame

_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
_MAP_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
_IMAGES = {'sensor_msgs/msg/Image': Image, 'sensor_msgs/msg/CompressedImage': CompressedImage}
_MASK = 'mask'


class LiveTopics:
    """What the node `name` subscribes and publishes, as the graph says."""

    def __init__(self, node: Node, name: str) -> None:
        namespace, _, word = ('/' + name.strip('/')).rpartition('/')
        taken = node.get_subscriber_names_and_types_by_node(word, namespace or '/')
        self.image: str
        self.image_type: Any
        self.image, self.image_type = next(
            (
                (topic, _IMAGES[kind])
                for topic, kinds in sorted(taken)
                for kind in kinds
                if kind in _IMAGES and 'depth' not in topic and node.count_publishers(topic)
            ),
            ('', Image),
        )
        offered = node.get_publisher_names_and_types_by_node(word, namespace or '/')
        self.mask = next((t for t, _ in sorted(offered) if t.endswith(f'/{_MASK}')), '')

    @property
    def outputs(self) -> str:
        """What stands before the names of the node's own outputs."""
        return self.mask.removesuffix(f'/{_MASK}')


class LiveView(Node):
    """Writes what it hears into `entities`; `frames` counts the masks shown."""

    def __init__(self, node_name: str, odometry: str, wait_s: float) -> None:
        super().__init__('seg_node_view')
        self._name, self._odometry_topic = node_name, odometry
        self._entities: DriveEntities | None = None
        self._lock = threading.Lock()
        self._sync = StampSynchronizer(('image', 'mask'))
        self._confidence: tuple[int, Any] = (0, None)
        self._transforms: Transforms | None = None
        self._vehicle = self._lens = ''
        self._placed = False
        self.frames = 0
        self.topics = self._find(wait_s)

    def _find(self, wait_s: float) -> LiveTopics:
        """Its topics, once they are there. Raises `InputError` after `wait_s`."""
        end = time.monotonic() + wait_s
        while True:
            try:
                topics = LiveTopics(self, self._name)
            except Exception:  # rclpy's NodeNameNonExistentError; not by name: Humble's is another
                topics = None
            if topics is not None and topics.image and topics.mask:
                return topics
            if time.monotonic() > end:
                what = 'no such node' if topics is None else 'it has no camera or is not active'
                raise InputError(f'--ros: {self._name}: {what} (--node names another)')
            rclpy.spin_once(self, timeout_sec=0.05)

    def show(self, entities: DriveEntities) -> None:
        """Begin to read; everything goes to `entities`."""
        self._entities = entities
        at, topics = self.topics.outputs, self.topics
        own = f'/{self._name.strip("/")}'
        self._take(topics.image_type, topics.image, self._on_image)
        self._take(Image, topics.mask, self._on_mask)
        self._take(Image, f'{at}/confidence', self._on_confidence)
        self._take(PointCloud2, f'{own}/lane_points', self._on_points)
        self._take(Path, f'{own}/ego_lane', self._on_ego_lane)
        self._take(Odometry, self._odometry_topic, self._on_odometry)
        self._take(DiagnosticArray, '/diagnostics', self._on_diagnostics)
        self._take(PointCloud2, '/lane_map/points', self._on_map, _MAP_QOS)
        try:
            from visualization_msgs.msg import MarkerArray

            self._take(MarkerArray, f'{own}/lane_lines', self._on_lines)
        except ImportError:
            self.get_logger().warning('visualization_msgs is not installed: no lane lines')
        try:
            self._transforms = Transforms(self)
        except SegNodeError as error:
            self.get_logger().warning(f'{error}: points stay in the camera')

    def _take(
        self, kind: Any, topic: str, write: Callable[[Any], None], qos: QoSProfile = _QOS
    ) -> None:
        def heard(message: Any) -> None:
            with self._lock:
                write(message)

        report = lambda _, line: self.get_logger().warning(line)  # noqa: E731
        self.create_subscription(kind, topic, guarded(report, topic, heard), qos)

    def _on_image(self, message: Any) -> None:
        self._offer('image', message)

    def _on_mask(self, message: Image) -> None:
        self._offer('mask', message)

    def _on_confidence(self, message: Image) -> None:
        self._confidence = stamp_ns(message), decode(message).pixels

    def _offer(self, part: str, message: Any) -> None:
        stamp = stamp_ns(message)
        whole = self._sync.offer(part, stamp, message)
        if whole is None or self._entities is None:
            return
        image = whole['image']
        picture: Frame = decode_compressed(image) if hasattr(image, 'format') else decode(image)
        kept_ns, confidence = self._confidence
        mask = np.array(decode(whole['mask']).pixels)
        shown = confidence if kept_ns == stamp else None
        age = (self.get_clock().now().nanoseconds - stamp) * 1e-6
        # By a recorded clock that this process does not follow the age says nothing.
        ages = {'age': age} if 0.0 <= age < 60_000.0 else {}
        self._entities.add(ViewFrame(stamp, picture, mask, shown, ages))
        self._lens = image.header.frame_id
        self._place()
        self.frames += 1

    def _place(self) -> None:
        """Where the camera is on the vehicle, once TF says so."""
        if self._placed or self._transforms is None or not self._vehicle:
            return
        mount = self._transforms.lookup(self._vehicle, self._lens)
        if mount is not None and self._entities is not None:
            self._entities.camera(mount)
            self._placed = True

    def _on_lines(self, message: Any) -> None:
        if self._entities is None or not message.markers:
            return
        labels = {m.id: m.text for m in message.markers if m.ns == LABELS}
        strips = []
        for marker in message.markers:
            if marker.ns == LINES and marker.points:
                self._vehicle = self._vehicle or marker.header.frame_id
                points = np.array([(p.x, p.y, p.z) for p in marker.points])
                strips.append(LineStrip(points, _rgb(marker.color), labels.get(marker.id, '')))
        self._entities.at(stamp_ns(message.markers[0]))
        self._entities.lines(strips)

    def _on_ego_lane(self, message: Path) -> None:
        if self._entities is None:
            return
        places = [p.pose.position for p in message.poses]
        self._entities.at(stamp_ns(message))
        self._entities.ego_lane(np.array([(p.x, p.y, p.z) for p in places]).reshape(-1, 3))

    def _on_points(self, message: PointCloud2) -> None:
        if self._entities is None:
            return
        points = from_cloud(message)
        self._entities.at(stamp_ns(message))
        self._entities.lane_points(xyz_of(points), points['class'].copy(), 'vehicle/camera')

    def _on_map(self, message: PointCloud2) -> None:
        if self._entities is None:
            return
        offsets = {field.name: field.offset for field in message.fields}
        kind = np.dtype(
            {
                'names': ['x', 'y', 'z', 'class'],
                'formats': ['<f4', '<f4', '<f4', 'u1'],
                'offsets': [offsets[name] for name in ('x', 'y', 'z', 'class')],
                'itemsize': message.point_step,
            }
        )
        points = np.frombuffer(message.data, kind)
        self._entities.at(stamp_ns(message))
        self._entities.lane_map(xyz_of(points), points['class'].copy())

    def _on_odometry(self, message: Odometry) -> None:
        if self._entities is None:
            return
        self._vehicle = message.child_frame_id
        pose = message.pose.pose
        self._entities.at(stamp_ns(message))
        self._entities.pose(Pose.of_message(pose.position, pose.orientation).matrix())

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        if self._entities is None:
            return
        for status in message.status:
            if not status.name.startswith(f'{self._name.strip("/")}: segmentation'):
                continue
            for item in status.values:
                stage, _, percentile = item.key.rpartition('_ms_')
                if percentile == 'p50':
                    self._entities.plot(f'latency_ms/{stage}', float(item.value))
                elif item.key.startswith('frames_'):
                    self._entities.plot(f'counts/{item.key}', float(item.value))


def _rgb(colour: Any) -> tuple[int, int, int]:
    return round(255 * colour.r), round(255 * colour.g), round(255 * colour.b)


@contextmanager
def live_view(node_name: str, odometry: str, wait_s: float = 10.0) -> Iterator[LiveView]:
    """A client in the ROS graph that the environment names. Raises `InputError`."""
    with named_graph():
        client = LiveView(node_name, odometry, wait_s)
        with spinning(client):
            yield client
