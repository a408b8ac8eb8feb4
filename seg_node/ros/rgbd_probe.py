"""In RTAB-Map's place: sends a camera with depth through the node and counts the whole sets.

`python -m seg_node.ros.rgbd_probe` runs the node in a process of its own, sends frames at a fixed
rate and takes the answers as RTAB-Map does: exact stamps, its encodings, its rule of sizes, its
QoS. It exits with 0 only when every set of every consumer came whole.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from seg_node.camera.size import Size
from seg_node.errors import InputError, SegNodeError
from seg_node.files import write_json
from seg_node.images.frames import fill_image
from seg_node.progress import track
from seg_node.ros.play_node import pinhole_camera_info
from seg_node.ros.session import ensure_running, node_process, private_graph, spinning
from seg_node.stamps import stamp_ns
from seg_node.timing import percentiles

RTABMAP_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
"""rtabmap.launch.py with qos:=1, whose topic queue is 10 deep."""
_RGB = frozenset({'mono8', 'mono16', 'bgr8', 'rgb8', 'bgra8', 'rgba8'})
_DEPTH = frozenset({'16UC1', '32FC1'})
_PARTS = (
    (Image, 'rgb/image'),
    (CameraInfo, 'rgb/camera_info'),
    (Image, 'depth/image'),
    (CameraInfo, 'depth/camera_info'),
)


class ExactConsumer:
    """Takes sets of equal stamps, as `message_filters::TimeSynchronizer` does for RTAB-Map.

    Not by `StampSynchronizer`, which gives up what is older than a whole set: `incomplete` keeps
    it by stamp, for that is what is counted here.

    `on_set(stamp_ns, set)` gets each whole set, by the parts' topic names below `prefix`.
    """

    def __init__(
        self, node: Node, prefix: str, on_set: Callable[[int, dict[str, Any]], None]
    ) -> None:
        self.incomplete: dict[int, dict[str, Any]] = defaultdict(dict)
        self._on_set = on_set
        for kind, name in _PARTS:
            node.create_subscription(kind, f'{prefix}/{name}', self._taker(name), RTABMAP_QOS)

    def _taker(self, name: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            stamp = stamp_ns(message)
            parts = self.incomplete[stamp]
            parts[name] = message
            if len(parts) == len(_PARTS):
                del self.incomplete[stamp]
                self._on_set(stamp, parts)

        return take


def refusal(whole: dict[str, Any]) -> str:
    """Why RTAB-Map would refuse a set; '' when it would take it."""
    rgb, depth = whole['rgb/image'], whole['depth/image']
    headers = [message.header for message in whole.values()]
    if any(header != headers[0] for header in headers):
        return 'headers differ'
    if rgb.encoding not in _RGB or depth.encoding not in _DEPTH:
        return f'encodings {rgb.encoding} and {depth.encoding}'
    ratio = rgb.width // max(1, depth.width)
    if (rgb.width, rgb.height) != (depth.width * ratio, depth.height * ratio):
        return f'sizes {rgb.width}x{rgb.height} and {depth.width}x{depth.height}'
    for image, name in ((rgb, 'rgb'), (depth, 'depth')):
        info = whole[f'{name}/camera_info']
        if (info.width, info.height) != (image.width, image.height) or not info.k[0] > 0.0:
            return f'{name}/camera_info does not fit its image'
    return ''


class RgbdProbe(Node):
    """A camera with depth, and consumers of the sets."""

    def __init__(self, consumers: int, prefix: str = '/seg_node') -> None:
        super().__init__('rgbd_probe')
        self.sent: dict[int, float] = {}
        self.sets: list[dict[int, float]] = [{} for _ in range(consumers)]
        self.masks: dict[int, float] = {}
        self.refused: list[str] = []
        self.diagnostics: dict[str, str] = {}
        self._lock = threading.Lock()
        create = self.create_publisher
        self._senders = {
            'image': create(Image, 'image', RTABMAP_QOS),
            'camera_info': create(CameraInfo, 'camera_info', RTABMAP_QOS),
            'depth': create(Image, 'depth/image', RTABMAP_QOS),
            'depth_info': create(CameraInfo, 'depth/camera_info', RTABMAP_QOS),
        }
        self.consumers = [
            ExactConsumer(self, f'{prefix}/rgbd', self._counter(i)) for i in range(consumers)
        ]
        self.create_subscription(Image, f'{prefix}/mask', self._on_mask, RTABMAP_QOS)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _counter(self, number: int) -> Callable[[int, dict[str, Any]], None]:
        def count(stamp: int, whole: dict[str, Any]) -> None:
            reason = refusal(whole)
            with self._lock:
                if reason:
                    self.refused.append(reason)
                self.sets[number][stamp] = time.perf_counter()

        return count

    def _on_mask(self, message: Image) -> None:
        with self._lock:
            self.masks[stamp_ns(message)] = time.perf_counter()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith((': mapping', ': segmentation')):
                self.diagnostics |= {item.key: item.value for item in status.values}

    def send(self, bgr: np.ndarray, depth: np.ndarray) -> int:
        """Send one set; its stamp in ns."""
        now = self.get_clock().now()
        header = Header(stamp=now.to_msg(), frame_id='camera_optical_frame')
        infos = [pinhole_camera_info(Size.of(array), 90.0) for array in (bgr, depth)]
        for info in infos:
            info.header = header
        messages = {
            'camera_info': infos[0],
            'depth_info': infos[1],
            'depth': fill_image(Image(header=header), depth, '32FC1'),
            'image': fill_image(Image(header=header), bgr, 'bgr8'),
        }
        with self._lock:
            self.sent[int(now.nanoseconds)] = time.perf_counter()
        for name, message in messages.items():
            self._senders[name].publish(message)
        return int(now.nanoseconds)

    def connect(self, check: Callable[[], None], bgr: np.ndarray, depth: np.ndarray) -> None:
        """Send until every consumer has had a set and the mask; then forget them."""
        end = time.monotonic() + 60.0
        while not (all(self.sets) and self.masks):
            check()
            if time.monotonic() > end:
                raise InputError('rgbd probe: expected sets of the node, none came in 60 s')
            self.send(bgr, depth)
            time.sleep(0.2)
        time.sleep(0.5)
        with self._lock:
            self.sent.clear()
            self.masks.clear()
            for sets in self.sets:
                sets.clear()
            for consumer in self.consumers:
                consumer.incomplete.clear()


def figures(probe: RgbdProbe) -> dict[str, Any]:
    """What came of the frames sent."""
    sent = probe.sent
    whole = [sum(stamp in sets for stamp in sent) for sets in probe.sets]
    added = [
        (sets[s] - probe.masks[s]) * 1e3 for sets in probe.sets for s in sets if s in probe.masks
    ]
    node = probe.diagnostics
    return {
        'sent': len(sent),
        'whole_sets': whole,
        'in_parts': [len(c.incomplete) for c in probe.consumers],
        'refused': sorted(set(probe.refused)),
        'mask_ms': percentiles((probe.masks[s] - sent[s]) * 1e3 for s in probe.masks if s in sent),
        'set_after_mask_ms': percentiles(added),
        'node_rgbd_ms': {p: float(node.get(f'rgbd_ms_{p}', 'nan')) for p in ('p50', 'p95')},
        'node_counts': {k: v for k, v in node.items() if k.startswith(('sets_', 'frames_'))},
    }


def scene(number: int, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """A road with one moving stripe, uint8 (H, W, 3) BGR, and its depth, float32 (H, W) metres."""
    bgr = np.full((size.height, size.width, 3), 90, np.uint8)
    left = size.width // 2 + 3 * (number % 20)
    bgr[size.height // 2 :, left : left + 12] = 230
    rows = np.arange(size.height, dtype=np.float32)[:, None] - size.height / 2 + 1
    depth = np.where(rows > 0, 1.6 * size.width / 2 / np.maximum(rows, 1), 0).astype(np.float32)
    return bgr, np.broadcast_to(depth, (size.height, size.width)).copy()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Drive the probe; its figures."""
    size = Size.parse(options.size)
    arguments = ['--ros-args', '-p', f'rtabmap.mode:={options.mode}']
    if options.model:
        arguments += ['-p', f'model:={options.model}']
    with tempfile.TemporaryDirectory() as folder, private_graph():
        log = Path(folder) / 'seg_node.log'
        with node_process('seg_node.ros.node', arguments, log) as process:
            probe = RgbdProbe(options.consumers)
            with spinning(probe):
                scenes = [scene(i, size) for i in range(20)]
                probe.connect(lambda: ensure_running(process, log), *scenes[0])
                due = time.monotonic()
                for i in track(range(round(options.seconds * options.rate)), 'sets'):
                    time.sleep(max(0.0, due - time.monotonic()))
                    probe.send(*scenes[i % len(scenes)])
                    due += 1.0 / options.rate
                end = time.monotonic() + 3.0
                while time.monotonic() < end:
                    time.sleep(0.1)  # the last answers and the next /diagnostics
                ensure_running(process, log)
                return figures(probe)


def main() -> int:
    """Print the figures; 0 when every set came whole."""
    parser = argparse.ArgumentParser(
        prog='python -m seg_node.ros.rgbd_probe',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--seconds', type=float, default=60.0)
    parser.add_argument('--rate', type=float, default=20.0, help='frames a second')
    parser.add_argument('--size', default='640x360', help='WIDTHxHEIGHT')
    parser.add_argument('--consumers', type=int, default=3)
    parser.add_argument('--mode', default='lanes_only', help='rtabmap.mode of the node')
    parser.add_argument('--model', default='', help='model file; default: the one that ships')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write figures')
    options = parser.parse_args()
    try:
        result = run(options)
    except SegNodeError as error:
        print(f'error: {error}')
        return 1
    for name, value in result.items():
        print(f'{name}: {value}')
    if options.json:
        write_json(options.json, result)
    whole = all(count == result['sent'] for count in result['whole_sets'])
    return 0 if whole and not result['refused'] else 1


if __name__ == '__main__':
    raise SystemExit(main())
