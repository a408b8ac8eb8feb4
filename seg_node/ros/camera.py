"""One camera of the node: its topics in and out, its frames' way, and the account of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from seg_node.camera.size import Size
from seg_node.classes import ClassSet
from seg_node.errors import BackendError, FrameError, cause_line
from seg_node.images.frames import Frame, decode, decode_compressed
from seg_node.mailbox import FrameAccount
from seg_node.ros import diagnostics, outputs, waiting
from seg_node.ros.camera_info import image_size
from seg_node.ros.camera_tables import CameraTables
from seg_node.ros.engine import Engine
from seg_node.ros.guard import Report, guarded
from seg_node.ros.joined_sets import JoinedSets
from seg_node.ros.mapping_settings import MappingSettings
from seg_node.ros.node_settings import NodeSettings
from seg_node.ros.outputs.output import Output, SetOutput
from seg_node.ros.outputs.site import CameraSite
from seg_node.ros.parameters import ParameterSet
from seg_node.ros.qos import create_subscription
from seg_node.ros.rig import Inputs
from seg_node.ros.segmented import SegmentedFrame
from seg_node.stamps import stamp_ns
from seg_node.timing import Recorder, Stopwatch

INPUT_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT
)
"""A few deep, so that what the mailbox supersedes is counted rather than lost in the reader."""
MAP_QUEUE = 10
"""Frames that may wait where a map is built: it wants every one, a controller the newest."""
_HELD_S = 0.5
"""How long the last unread frame is worth segmenting for somebody who comes to read."""


@dataclass(frozen=True)
class CameraHost:
    """What a camera needs of its node.

    `age_ms(message)` by the node's clock; `report(cause, line)` for each frame that is lost.
    """

    node: Any
    parameters: ParameterSet
    age_ms: Callable[[Any], float]
    report: Report
    info: Callable[[str], None]


class CameraInput:
    """Between a camera's topics and its outputs. Every frame ends in exactly one account.

    Its name is '' for a node's only camera, whose outputs are `~/mask` and so on; another has
    `~/<name>/mask` and so on.
    """

    def __init__(self, inputs: Inputs, host: CameraHost) -> None:
        self.name = inputs.name
        self.account = FrameAccount()
        self.recorder = Recorder()
        self._host = host
        self._rates = diagnostics.Rates()
        self._inputs = inputs
        self._site: CameraSite | None = None
        self._outputs: tuple[Output, ...] = ()
        self._sets: JoinedSets | None = None
        self._subscriptions: list[Any] = []
        self._put: Callable[[Any], Any] | None = None
        self._held: tuple[Any, float] | None = None
        self._camera_info: CameraInfo | None = None
        self._begun = False

    # -- life --------------------------------------------------------------------------------

    def open(self, classes: ClassSet) -> None:
        """Create the outputs. Raises `ConfigError` for what the model or ROS cannot do."""
        host, mapping = self._host, self._host.parameters.of(MappingSettings)
        place = 'segmentation' if mapping.nav2 else '~'
        below = f'/{self.name}' if self.name else ''
        self._site = CameraSite(
            node=host.node,
            prefix=f'~{below}',
            place=f'{place}{below}',
            classes=classes,
            parameters=host.parameters,
            tables=CameraTables(mapping.max_range_m),
            on_change=guarded(host.report, 'readers', self.on_readers),
            info=host.info,
        )
        created = list(outputs.create_all(self._site))
        sets = [output for output in created if isinstance(output, SetOutput)]
        self._sets = JoinedSets(host.node, mapping, sets, host.report)
        every = [*(output for output in created if isinstance(output, Output)), self._sets]
        self._outputs = tuple(sorted(every, key=lambda output: output.late))
        self._begun = False

    def close(self) -> None:
        """Destroy the outputs."""
        if self._site is not None:
            self._site.close()
        self._site, self._sets, self._outputs = None, None, ()
        self._camera_info = None

    @property
    def queue_size(self) -> int:
        """Frames that may wait."""
        every = self._host.parameters.of(MappingSettings).rgbd
        chosen = self._host.parameters.of(NodeSettings).queue_size
        return chosen or (MAP_QUEUE if every else 1)

    def subscribe(self, put: Callable[[Any], Any]) -> None:
        """Take frames from now on, and hand them to `put`, which gives back what it supersedes.

        Raises `ConfigError` for an impossible QoS.
        """
        self._put = put
        compressed = self._host.parameters.of(NodeSettings).image_transport == 'compressed'
        topics: list[tuple[Any, str, Callable[[Any], None]]] = [
            (CompressedImage if compressed else Image, self._inputs.image, self.on_image),
            (CameraInfo, self._inputs.camera_info, self.on_camera_info),
        ]
        node = self._host.node
        plain = node.resolve_topic_name(topics[0][1])
        if compressed and not plain.endswith('/compressed'):
            # image_transport's name, beside the plain one that a remapping may mean as it stands.
            topics.append((CompressedImage, f'{plain}/compressed', self.on_image))
        for kind, topic, take in topics:
            self._subscriptions.append(
                create_subscription(node, kind, topic, take, INPUT_QOS, self._host.report)
            )
        assert self._sets is not None
        self._sets.subscribe(self._inputs, INPUT_QOS)

    def unsubscribe(self) -> None:
        """Take nothing more."""
        for subscription in self._subscriptions:
            self._host.node.destroy_subscription(subscription)
        self._subscriptions.clear()
        self._put, self._held = None, None
        if self._sets is not None:
            self._sets.unsubscribe()

    @property
    def topics(self) -> tuple[tuple[str, Any], ...]:
        """Names and types of the topics that frames come on."""
        return tuple(
            (s.topic_name, s.msg_type) for s in self._subscriptions if s.msg_type is not CameraInfo
        )

    def what_is_missing(self) -> str:
        """One line where frames or their camera_info have not come; '' where they have."""
        node, received = self._host.node, self.account.counts().received
        if not received:
            images = [s for s in self._subscriptions if s.msg_type is not CameraInfo]
            known = [s for s in images if node.count_publishers(s.topic_name)]
            return 'no frame yet: ' + waiting.why_nothing_comes(node, (known or images)[0])
        if self._camera_info is None:
            info = next(s for s in self._subscriptions if s.msg_type is CameraInfo)
            reason = waiting.why_nothing_comes(node, info)
            return f'frames come without camera_info: {reason}'
        return ''

    @property
    def wanted(self) -> bool:
        """Whether frames are segmented: somebody reads, or the node is not lazy."""
        if not self._host.parameters.of(NodeSettings).lazy:
            return True
        return any(output.read for output in self._outputs)

    # -- on the executor's thread ------------------------------------------------------------

    def on_image(self, message: Any) -> None:
        """A frame has come."""
        if self._put is None:
            return
        self.account.received()
        if not self._begun:
            self._begun = True
            for output in self._outputs:
                output.begin(message.header)
        self._tend()
        if self.wanted:
            self._held = None
            self._hand_in(message)
        else:
            self.account.unread()
            self._held = message, time.monotonic()

    def on_readers(self) -> None:
        """Readers have come or gone: the last frame that nobody read may be wanted now."""
        self._tend()
        held = self._held
        if held is None or self._put is None or not self.wanted:
            return
        self._held = None
        if time.monotonic() - held[1] < _HELD_S:
            self.account.asked_for()
            self._hand_in(held[0])

    def on_camera_info(self, message: CameraInfo) -> None:
        """A calibration has come."""
        self._camera_info = message
        if self._sets is not None:
            self._sets.on_camera_info(message)

    def _tend(self) -> None:
        if self._sets is not None and self._put is not None:
            self._sets.tend()

    def _hand_in(self, message: Any) -> None:
        assert self._put is not None
        superseded = self._put(message)
        if superseded is message:
            self.account.rejected('inactive')
        elif superseded is not None:
            self.account.superseded()

    # -- on a thread of the loop ---------------------------------------------------------------

    def process(self, message: Any, engine: Engine, worker: int = 0) -> None:
        """One frame's way: decode, segment, then every output that somebody reads."""
        report = self._host.report
        try:
            frame = self._segmented(message, engine, worker)
        except Exception as error:  # the node lives on, whatever a frame does
            cause = error.cause if isinstance(error, FrameError) else _cause(error)
            self.account.rejected(cause)
            report(cause, cause_line(error))
            return
        if frame is None:
            return
        try:
            self.recorder.add('frame_age', self._host.age_ms(message))
            self._publish(frame, late=True)
        except Exception as error:  # the mask is out: the frame counts as published
            report('internal', cause_line(error))

    def _segmented(self, message: Any, engine: Engine, worker: int) -> SegmentedFrame | None:
        limit = self._host.parameters.of(NodeSettings).max_frame_age_ms
        if limit and (age := self._host.age_ms(message)) > limit:
            self.account.stale()
            self._host.report('stale', f'frame is {age:.0f} ms old, the limit is {limit:.0f} ms')
            return None
        watch = Stopwatch()
        picture = decode_compressed(message) if hasattr(message, 'format') else decode(message)
        watch.lap('decode')
        segmentation = engine.segment(self.name, picture, watch, stamp_ns(message), worker)
        frame = SegmentedFrame(message, picture, segmentation, self._info_for(picture))
        self._publish(frame, late=False)
        watch.lap('publish')
        self.account.published()
        self.recorder.add_stages(watch)
        return frame

    def _publish(self, frame: SegmentedFrame, *, late: bool) -> None:
        for output in self._outputs:
            if output.late is late:
                if output.read:
                    output.take(frame)
                else:
                    output.pass_by()

    def _info_for(self, picture: Frame) -> CameraInfo | None:
        info, size = self._camera_info, Size(picture.width, picture.height)
        if info is None or image_size(info) == size:
            return info
        self._host.report(
            'camera_info',
            f'camera_info: expected {size} as the image has, got {image_size(info)}; '
            'not passed on',
        )
        return None

    # -- what it says of itself --------------------------------------------------------------

    def statuses(self, node: str, condition: diagnostics.Condition) -> list[DiagnosticStatus]:
        """Its statuses for /diagnostics; `node` is the node's full name."""
        name = f'{node}/{self.name}' if self.name else node
        report = diagnostics.camera_status(
            f'{name}: segmentation', condition, self.account, self.recorder, self._rates
        )
        statuses = [report]
        if self._sets is not None and self._host.parameters.of(MappingSettings).active:
            statuses.append(self._sets.status(f'{name}: mapping'))
        if self._sets is not None:
            statuses += self._sets.statuses(name)
        return statuses


def _cause(error: Exception) -> str:
    return 'backend' if isinstance(error, BackendError) else 'internal'
