"""The node `seg_node`: camera frames in, lane masks out, as a managed (lifecycle) node."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from seg_node.errors import ConfigError, SegNodeError
from seg_node.frames import Frame, decode, decode_compressed
from seg_node.geometry import Size
from seg_node.mailbox import FrameAccount
from seg_node.model.loader import LoadedModel, load_model
from seg_node.pipeline import Segmentation, Segmenter
from seg_node.ros import dds, diagnostics, parameters, rgbd_parameters
from seg_node.ros.camera_info import image_size
from seg_node.ros.outputs import Outputs
from seg_node.ros.qos import create_subscription
from seg_node.ros.rgbd import Mapping
from seg_node.ros.worker import Steps, Worker
from seg_node.timing import Recorder

_MAP_QUEUE = 10
INPUT_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT
)
"""A few deep, so that what the mailbox supersedes is counted rather than lost in the reader."""
ALL_PARAMETERS = (*parameters.PARAMETERS, *rgbd_parameters.PARAMETERS)
_REPORT_EVERY_S = 2.0
_FRAME_PROBLEM_S = 10.0
"""How long one bad frame keeps the diagnostics at WARN."""


class SegNode(LifecycleNode):
    """Subscribes `image` and `camera_info`; see docs/node.md for topics and parameters."""

    def __init__(self, **options: Any) -> None:
        super().__init__('seg_node', **options)
        parameters.declare(self, ALL_PARAMETERS)
        self._settings = parameters.read(self)
        self._account = FrameAccount()
        self._recorder = Recorder()
        self._rates = diagnostics.Rates()
        self._problem = ''
        self._frame_problem = ''
        self._frame_problem_at = -math.inf
        self._problem_lock = threading.Lock()
        self._reported: dict[str, float] = {}
        self._loaded: LoadedModel | None = None
        self._outputs: Outputs | None = None
        self._mapping: Mapping | None = None
        self._worker: Worker | None = None
        self._camera_info: CameraInfo | None = None
        self._inputs: list[Any] = []
        self._labels_sent = False
        self._transport = dds.inspect()
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # Not by ROS time: the report must come also while /clock stands still.
        self._timer = self.create_timer(
            self._settings.diagnostics_period_s,
            self._diagnose,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        if self._transport.fit:
            self.get_logger().info(self._transport.message)
        else:
            self.get_logger().warning(self._transport.message)

    # -- lifecycle ---------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the model, create the publishers."""
        try:
            self._settings = parameters.read(self)
            mapping = rgbd_parameters.read(self)
            rgbd_parameters.check_output_size(mapping, self._settings.output_size)
            self.get_logger().info(f'loading model {self._settings.model or "(shipped)"} …')
            loaded = load_model(self._settings.model or None, self._settings.run_options())
            self._check_thresholds(loaded, self._settings.thresholds)
            self._outputs = Outputs(self, mapping.place)
            self._mapping = Mapping(self, mapping, loaded.runner.spec.classes, self._report)
            self._mapping.open()
        except (SegNodeError, ValueError) as error:
            return self._refuse(str(error))
        self._loaded = loaded
        self._labels_sent = False
        self._set_problem('')
        self._describe(loaded)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker and subscribe."""
        assert self._loaded is not None
        segmenter = Segmenter(self._loaded.runner, self._settings.output_size)
        self._apply_thresholds(segmenter, self._settings.thresholds)
        compressed = self._settings.image_transport == 'compressed'
        steps = Steps(
            decode=decode_compressed if compressed else decode,
            age_ms=self._age_ms,
            max_age_ms=lambda: self._settings.max_frame_age_ms,
            publish=self._publish,
            publish_late=self._publish_late,
            report=self._report,
        )
        # A controller wants the newest frame; a map wants every one.
        every = self._mapping is not None and self._mapping.wants_every_frame
        waiting = self._settings.queue_size or (_MAP_QUEUE if every else 1)
        self._worker = Worker(segmenter, steps, self._account, self._recorder, waiting)
        result = super().on_activate(state)
        self._worker.start()
        try:
            self._subscribe(CompressedImage if compressed else Image)
        except (SegNodeError, ValueError) as error:
            self._stop_taking()
            super().on_deactivate(state)
            self._complain(str(error))
            return TransitionCallbackReturn.FAILURE
        self.get_logger().info('active: waiting for frames on ' + self._inputs[0].topic_name)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop taking frames; the model stays loaded."""
        self._stop_taking()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the model and the publishers."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop everything."""
        self._stop_taking()
        self._release()
        return super().on_shutdown(state)

    def start(self) -> None:
        """Configure and activate, when `autostart` says so."""
        if not self._settings.autostart:
            self.get_logger().info('autostart is off: waiting to be configured')
        elif self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def stop(self) -> None:
        """Settle the frame in hand before the node is destroyed."""
        self._stop_taking()

    def _subscribe(self, kind: Any) -> None:
        for message, topic, callback in (
            (kind, 'image', self._on_image),
            (CameraInfo, 'camera_info', self._on_camera_info),
        ):
            self._inputs.append(create_subscription(self, message, topic, callback, INPUT_QOS))
        if self._mapping is not None:
            self._mapping.subscribe(INPUT_QOS)

    def _stop_taking(self) -> None:
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._inputs.clear()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        if self._mapping is not None:
            self._mapping.unsubscribe()

    def _release(self) -> None:
        if self._outputs is not None:
            for publisher in self._outputs.all_publishers():
                self.destroy_lifecycle_publisher(publisher)
        if self._mapping is not None:
            self._mapping.close()
        self._outputs, self._mapping, self._loaded, self._camera_info = None, None, None, None

    def _refuse(self, problem: str) -> TransitionCallbackReturn:
        self._complain(problem)
        self._release()
        return TransitionCallbackReturn.FAILURE

    def _complain(self, problem: str) -> None:
        self.get_logger().error(problem)
        self._set_problem(problem)

    def _describe(self, loaded: LoadedModel) -> None:
        runner, log = loaded.runner, self.get_logger()
        for candidate in loaded.measured:
            log.info(f'precision auto: {candidate.precision} {candidate.median_ms:.2f} ms')
        log.info(
            f'model {runner.spec.name}: {runner.backend} {runner.precision}, '
            f'{runner.threads} threads, {runner.network}, loaded in {loaded.load_s:.2f} s, '
            f'warm-up {loaded.warmup_s * 1e3:.0f} ms'
        )

    # -- frames ------------------------------------------------------------------------------

    def _on_image(self, message: Any) -> None:
        if self._worker is not None:
            self._worker.put(message)

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message
        if self._mapping is not None:
            self._mapping.on_camera_info(message)

    def _age_ms(self, message: Any) -> float:
        stamp = Time.from_msg(message.header.stamp, clock_type=self.get_clock().clock_type)
        age: Duration = self.get_clock().now() - stamp
        return float(age.nanoseconds) / 1e6

    def _publish(self, message: Any, frame: Frame, result: Segmentation) -> None:
        assert self._outputs is not None
        info = self._camera_info
        if info is not None and image_size(info) != Size(frame.width, frame.height):
            self._report(
                'camera_info',
                f'camera_info: expected {frame.width}x{frame.height} as the image has, '
                f'got {image_size(info)}; not passed on',
            )
            info = None
        if not self._labels_sent:
            self._outputs.publish_labels(result.runner.spec.classes, message.header)
            self._labels_sent = True
        self._outputs.publish(message.header, result, info)

    def _publish_late(self, message: Any, frame: Frame, result: Segmentation) -> None:
        assert self._outputs is not None
        settings = self._settings
        if self._mapping is not None:
            self._mapping.on_result(message, frame, result)
        self._outputs.publish_overlay(
            message.header, frame, result, settings.overlay_alpha, settings.jpeg_quality
        )

    # -- what the node says of itself --------------------------------------------------------

    def _report(self, cause: str, problem: str) -> None:
        now = time.monotonic()
        with self._problem_lock:
            self._frame_problem, self._frame_problem_at = problem, now
        # Throttled by cause: rclpy's own throttle would let one cause hide the others.
        if now - self._reported.get(cause, -math.inf) >= _REPORT_EVERY_S:
            self._reported[cause] = now
            self.get_logger().warning(problem)

    def _set_problem(self, problem: str) -> None:
        with self._problem_lock:
            self._problem = problem

    def _diagnose(self) -> None:
        details = {'transport': self._transport.message}
        if self._loaded is not None:
            runner = self._loaded.runner
            details |= {
                'model': runner.spec.name,
                'backend': runner.backend,
                'precision': runner.precision,
                'threads': str(runner.threads),
                'network_size': str(runner.network),
            }
        with self._problem_lock:
            recent = time.monotonic() - self._frame_problem_at < _FRAME_PROBLEM_S
            problem = self._problem or (self._frame_problem if recent else '')
        state = self._state_machine.current_state[1]
        condition = diagnostics.Condition(state, problem, details)
        name = f'{self.get_fully_qualified_name().lstrip("/")}: segmentation'
        found = diagnostics.status(name, condition, self._account, self._recorder, self._rates)
        statuses = [found]
        if self._mapping is not None and self._mapping.active:
            statuses.append(self._mapping.status(name.replace(': segmentation', ': mapping')))
        self._diagnostics.publish(diagnostics.array(self.get_clock().now().to_msg(), *statuses))

    # -- parameters that change while running ------------------------------------------------

    def _on_set_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        declared = {item.name: item for item in ALL_PARAMETERS}
        for parameter in changed:
            item = declared.get(parameter.name)
            if item is None:
                continue
            problem = item.problem(parameter.value)
            if problem is None and not item.live and self._loaded is not None:
                problem = f'{item.name}: read when the node is configured; clean up first'
            if problem is None and item.name == 'thresholds':
                problem = self._threshold_problem(tuple(parameter.value or ()))
            if problem is not None:
                return SetParametersResult(successful=False, reason=problem)
        values = {p.name: p.value for p in changed if p.name in declared}
        if 'thresholds' in values:
            values['thresholds'] = tuple(values['thresholds'] or ())
        live = {name: value for name, value in values.items() if declared[name].live}
        self._settings = parameters.changed(self._settings, live)
        if 'thresholds' in values and self._worker is not None:
            self._apply_thresholds(self._worker.segmenter, values['thresholds'])
        return SetParametersResult(successful=True)

    def _threshold_problem(self, thresholds: tuple[int, ...]) -> str | None:
        try:
            if self._loaded is not None:
                self._check_thresholds(self._loaded, thresholds)
        except ConfigError as error:
            return str(error)
        return None

    @staticmethod
    def _check_thresholds(loaded: LoadedModel, thresholds: tuple[int, ...]) -> None:
        spec = loaded.runner.spec
        if not thresholds:
            return
        if spec.head != 'sigmoid':
            raise ConfigError(f'thresholds: model {spec.name} decides by the largest score')
        if len(thresholds) != len(spec.thresholds) or not all(1 <= t <= 255 for t in thresholds):
            raise ConfigError(
                f'thresholds: expected {len(spec.thresholds)} values from 1 to 255, '
                f'got {list(thresholds)}'
            )

    @staticmethod
    def _apply_thresholds(segmenter: Segmenter, thresholds: tuple[int, ...]) -> None:
        segmenter.decider.thresholds = thresholds or segmenter.runner.spec.thresholds


def main(args: list[str] | None = None) -> int:
    """Entry of `ros2 run seg_node seg_node`."""
    from seg_node.ros.process import run_node

    return run_node(SegNode, args)


if __name__ == '__main__':
    raise SystemExit(main())
