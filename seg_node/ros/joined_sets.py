"""Frames joined with the camera_info and the depth of their stamp, for outputs that need all.

The mask goes out first; the last part of a set to come lets the set out, be it the frame (on the
worker's thread) or a late depth image.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from seg_node.camera.depth import Depth, decode_depth_image
from seg_node.camera.ground import GroundPlane
from seg_node.errors import ConfigError, FrameError, cause_line
from seg_node.joining import SetCounts, StampSynchronizer
from seg_node.ros import diagnostics
from seg_node.ros.guard import Report
from seg_node.ros.mapping_settings import MappingSettings
from seg_node.ros.outputs.output import Output, SetOutput
from seg_node.ros.qos import create_subscription
from seg_node.ros.rig import Inputs
from seg_node.ros.segmented import JoinedFrame, KeptFrame, SegmentedFrame
from seg_node.ros.transforms import Transforms
from seg_node.stamps import stamp_ns
from seg_node.timing import Recorder, Stopwatch


@dataclass(frozen=True)
class SetState:
    """How the sets fared: `outcomes` of the whole ones by name, parts lost, the last problem."""

    counts: SetCounts
    outcomes: dict[str, int]
    missing: tuple[str, ...]
    problem: str


class JoinedSets(Output):
    """The output that feeds the set outputs of one camera.

    Every frame offered ends in a set, as a lost part, or is pending; every set as `published`, or
    under its cause; frames that no set output wants are `unread`. `report` gets each refused set.
    """

    late = True

    def __init__(
        self, node: Any, settings: MappingSettings, outputs: Sequence[SetOutput], report: Report
    ) -> None:
        self._node = node
        self._settings = settings
        self._outputs = tuple(outputs)
        self._report = report
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        self._problem = ''
        self._recorder = Recorder()
        self._transforms: Transforms | None = None
        self._subscriptions: list[Any] = []
        parts = ('image', 'camera_info', *(('depth',) if settings.takes_depth else ()))
        self._sync = StampSynchronizer(parts, settings.sync_tolerance_ns, settings.sync_queue)

    @property
    def read(self) -> bool:
        """Whether anybody reads a set output."""
        return any(output.read for output in self._outputs)

    # -- inputs ------------------------------------------------------------------------------

    def subscribe(self, inputs: Inputs, qos: QoSProfile) -> None:
        """Subscribe depth, and TF where the ground plane comes from it."""
        if self._settings.takes_depth:
            topics: tuple[tuple[Any, str, Any], ...] = (
                (Image, inputs.depth, self._on_depth),
                (CameraInfo, inputs.depth_info, self._on_depth_info),
            )
            self._subscriptions += [
                create_subscription(self._node, kind, topic, take, qos, self._report)
                for kind, topic, take in topics
            ]
        if self._settings.points_source == 'ground' and self._settings.ground is None:
            try:
                self._transforms = Transforms(self._node)
                self._subscriptions += self._transforms.subscriptions
            except ConfigError as error:
                # Said in the sets' status only: most users have no use for lane points.
                self._problem = f'camera_height_m: {error}'

    def unsubscribe(self) -> None:
        """Take nothing more; what is pending is given up."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        self._sync.clear()
        for output in self._outputs:
            output.rest()

    def tend(self) -> None:
        """Let outputs look after topics of their own; see `SetOutput.tend`."""
        for output in self._outputs:
            output.tend()

    def on_camera_info(self, message: CameraInfo) -> None:
        """Take a camera_info."""
        self._offer('camera_info', stamp_ns(message), message)

    def take(self, frame: SegmentedFrame) -> None:
        """Take a segmented frame; its mask is copied, for the segmenter goes on using it."""
        scores = any(output.needs_scores and output.read for output in self._outputs)
        self._offer('image', stamp_ns(frame.message), frame.kept(scores=scores))

    def pass_by(self) -> None:
        """A frame went by that no set output wants."""
        with self._lock:
            self._outcomes['unread'] += 1

    def _on_depth(self, message: Image) -> None:
        self._offer('depth', stamp_ns(message), message)

    def _on_depth_info(self, message: CameraInfo) -> None:
        self._sync.require('depth_info')
        self._offer('depth_info', stamp_ns(message), message)

    # -- sets --------------------------------------------------------------------------------

    def _offer(self, part: str, stamp: int, item: Any) -> None:
        parts = self._sync.offer(part, stamp, item)
        if parts is None:
            return
        with self._lock:  # sets go out one after the other
            try:
                watch = Stopwatch()
                self._let_out(parts, watch)
                self._recorder.add_stages(watch)
                self._outcomes['published'] += 1
                self._problem = ''
            except Exception as error:
                cause = getattr(error, 'cause', 'config' if _ours(error) else 'internal')
                self._outcomes[cause] += 1
                self._problem = cause_line(error)
                self._report(cause, self._problem)

    def _let_out(self, parts: dict[str, Any], watch: Stopwatch) -> None:
        depth: Depth | None = None
        if 'depth' in parts:
            settings = self._settings
            depth = decode_depth_image(parts['depth'], settings.depth_coding)
            depth = depth.without_far(settings.depth_far_m)
        whole = JoinedFrame(parts['image'], parts['camera_info'], depth, parts.get('depth_info'))
        for output in self._outputs:
            if not output.read:
                continue
            if output.needs_range and whole.range_source is None:
                whole = whole.ranged(self._range_source(whole.frame, depth))
            output.take(whole)
            watch.lap(output.stage)

    def _range_source(self, frame: KeptFrame, depth: Depth | None) -> Depth | GroundPlane:
        if depth is not None and self._settings.points_source == 'depth':
            return depth
        if self._settings.ground is not None:
            return self._settings.ground
        camera, ground = frame.header.frame_id, self._settings.ground_frame
        plane = self._transforms.ground_plane(ground, camera) if self._transforms else None
        if plane is None:
            raise FrameError(
                'camera_height',
                f'lane points: camera_height_m is 0 and TF knows no way from {camera} to '
                f'{ground}: set camera_height_m, or lane_points.source to depth or off',
            )
        return plane

    # -- what it says of itself --------------------------------------------------------------

    def state(self) -> SetState:
        """The account at one instant."""
        with self._lock:
            outcomes, problem = dict(self._outcomes), self._problem
        return SetState(self._sync.counts(), outcomes, self._sync.missing(), problem)

    def statuses(self, name: str) -> list[DiagnosticStatus]:
        """What outputs have to say of themselves; `name` is the camera's."""
        return [status for output in self._outputs if (status := output.status(name)) is not None]

    def status(self, name: str) -> DiagnosticStatus:
        """The account for /diagnostics."""
        state = self.state()
        values: dict[str, Any] = {'mode': self._settings.mode, 'sets_whole': state.counts.sets}
        values['points_source'] = self._settings.points_source
        values |= {f'sets_{outcome}': n for outcome, n in sorted(state.outcomes.items())}
        for part in self._sync.parts:
            values[f'{part}_offered'] = state.counts.offered.get(part, 0)
            values[f'{part}_without_set'] = state.counts.lost.get(part, 0)
            values[f'{part}_pending'] = state.counts.pending.get(part, 0)
        values |= diagnostics.stage_values(self._recorder)
        return diagnostics.status(name, *self._verdict(state), values)

    def _verdict(self, state: SetState) -> tuple[bytes, str]:
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
        tolerance = self._settings.sync_tolerance_ms
        expected = f'within {tolerance:g} ms' if tolerance else 'equal'
        return (
            f'stamps of {", ".join(self._sync.parts)} never met (expected {expected}): '
            'see sync_tolerance_ms'
        )


def _ours(error: Exception) -> bool:
    return isinstance(error, FrameError | ConfigError)
