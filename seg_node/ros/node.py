"""The node `seg_node`: camera frames in, lane masks out, as a managed (lifecycle) node."""

from __future__ import annotations

import math
import threading
import time
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.time import Time
from std_srvs.srv import Trigger

from seg_node import transport
from seg_node.errors import ConfigError, SegNodeError, cause_line
from seg_node.mailbox import Mailboxes
from seg_node.model.loader import LoadedModel
from seg_node.ros import diagnostics, outputs, rig
from seg_node.ros.camera import CameraHost, CameraInput
from seg_node.ros.declared import declared
from seg_node.ros.engine import Engine, ModelChoice
from seg_node.ros.frame_loop import FrameLoop
from seg_node.ros.guard import guarded
from seg_node.ros.mapping_settings import MappingSettings
from seg_node.ros.node_settings import NodeSettings
from seg_node.ros.parameters import ParameterSet, warn_of_unknown
from seg_node.ros.reload_service import ReloadService

SETTINGS = (NodeSettings, *outputs.settings_kinds(), MappingSettings)
"""All parameters of the node."""
_REPORT_EVERY_S = 2.0
_FRAME_PROBLEM_S = 10.0
"""How long one bad frame keeps the diagnostics at WARN."""
_PATIENCE_S = 5.0
"""After so long without frames the node says what is missing."""


class SegNode(LifecycleNode):
    """Subscribes `image` and `camera_info`; see docs/node.md for topics and parameters."""

    def __init__(self, **options: Any) -> None:
        super().__init__('seg_node', **options)
        self._declared = ParameterSet(self, SETTINGS)
        warn_of_unknown(self, self._declared.items.values(), _names_of_lane_map)
        inputs = rig.cameras(self, self._settings.cameras)
        host = CameraHost(self, self._declared, self._age_ms, self._report, self.get_logger().info)
        self._cameras = {camera.name: CameraInput(camera, host) for camera in inputs}
        self._problem = ''
        self._frame_problem = ''
        self._frame_problem_at = -math.inf
        self._problem_lock = threading.Lock()
        self._reported: dict[str, float] = {}
        self._engine: Engine | None = None
        self._boxes: Mailboxes[Any] | None = None
        self._loop: FrameLoop | None = None
        self._left_behind = False
        self._patience: Any = None
        self._transport = transport.inspect()
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._reloading = ReloadService(self, self._on_reload, self._report)
        # Not by ROS time: the report must come also while /clock stands still.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        period = self._settings.diagnostics_period_s
        diagnose = guarded(self._report, 'diagnostics', self._diagnose)
        self._timer = self.create_timer(period, diagnose, clock=self._steady)
        if self._transport.fit:
            self.get_logger().info(self._transport.message)
        else:
            self.get_logger().warning(self._transport.message)

    @property
    def _settings(self) -> NodeSettings:
        return self._declared.of(NodeSettings)

    # -- lifecycle ---------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the model, create the publishers."""
        try:
            self._declared.read_all()
            settings = self._settings
            self._declared.of(MappingSettings).check_output_size(settings.output_size)
            settings.scheduling().apply()  # before the runtime starts its threads
            self.get_logger().info(f'loading model {settings.model or "(shipped)"} …')
            options = settings.run_options(len(self._cameras))
            choice = ModelChoice(settings.model or None, options, settings.output_size)
            self._engine = Engine(choice, settings.decision(), self._on_fallback)
            for camera in self._cameras.values():
                camera.open(self._engine.loaded.runner.spec.classes)
        except Exception as error:
            self._complain(cause_line(error))
            self._release()
            return TransitionCallbackReturn.FAILURE
        self._left_behind = False
        self._set_problem('')
        self._describe(self._engine.loaded)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the loop and subscribe."""
        result = super().on_activate(state)
        try:
            if self._left_behind:
                raise ConfigError('inference still hangs: clean up and configure again')
            self._start_taking()
        except Exception as error:
            self._stop_taking()
            super().on_deactivate(state)
            self._complain(cause_line(error))
            return TransitionCallbackReturn.FAILURE
        self._set_problem('')
        topics = ', '.join(camera.topics[0][0] for camera in self._cameras.values())
        self.get_logger().info(f'active: waiting for frames on {topics}')
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
        self._reloading.close()

    def _start_taking(self) -> None:
        assert self._engine is not None
        boxes = Mailboxes[Any]({c.name: c.queue_size for c in self._cameras.values()})
        engine = self._engine
        self._boxes = boxes
        self._loop = FrameLoop(
            boxes,
            lambda worker, name, message: self._cameras[name].process(message, engine, worker),
            self._report,
            engine.workers,
        )
        self._loop.start()
        for name, camera in self._cameras.items():
            camera.subscribe(partial(boxes.put, name))
        look = guarded(self._report, 'waiting', self._say_what_is_missing)
        self._patience = self.create_timer(_PATIENCE_S, look, clock=self._steady)

    def _stop_taking(self) -> None:
        if self._patience is not None:
            self.destroy_timer(self._patience)
            self._patience = None
        for camera in self._cameras.values():
            camera.unsubscribe()
        if self._boxes is not None:
            for name, _ in self._boxes.close():
                self._cameras[name].account.rejected('inactive')
        if self._loop is not None and not self._loop.stop(self._settings.watchdog_s):
            self._left_behind = True
            self._complain('inference hangs: the frame in hand is left behind')
        self._boxes, self._loop = None, None

    def _release(self) -> None:
        for camera in self._cameras.values():
            camera.close()
        self._engine = None

    def _complain(self, problem: str) -> None:
        self.get_logger().error(problem)
        self._set_problem(problem)

    def _describe(self, loaded: LoadedModel) -> None:
        runner, log = loaded.runner, self.get_logger()
        for candidate in loaded.measured:
            log.info(f'precision auto: {candidate.precision} {candidate.median_ms:.2f} ms')
        at_once = len(loaded.runners)
        streams = f' for {at_once} frames at a time' if at_once > 1 else ''
        log.info(
            f'model {runner.spec.name}: {runner.backend} {runner.precision}, '
            f'{runner.threads} threads{streams}, {runner.network}, '
            f'loaded in {loaded.load_s:.2f} s, warm-up {loaded.warmup_s * 1e3:.0f} ms'
        )

    # -- the model while it runs -------------------------------------------------------------

    def _on_reload(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Load the file anew, on the service's thread; frames go on meanwhile."""
        engine = self._engine
        if engine is None:
            response.success, response.message = False, 'no model is loaded: configure first'
            return response
        try:
            loaded = engine.reload()
        except Exception as error:
            response.success, response.message = False, cause_line(error)
            self.get_logger().error(f'reload_model: {response.message}; the running model stays')
            return response
        self._set_problem('')
        self._describe(loaded)
        response.success = True
        response.message = f'{loaded.runner.spec.name} from {loaded.path}'
        return response

    def _on_fallback(self, line: str) -> None:
        self.get_logger().error(line)
        self._set_problem(line)

    # -- what the node says of itself --------------------------------------------------------

    def _age_ms(self, message: Any) -> float:
        stamp = Time.from_msg(message.header.stamp, clock_type=self.get_clock().clock_type)
        age: Duration = self.get_clock().now() - stamp
        return float(age.nanoseconds) / 1e6

    def _say_what_is_missing(self) -> None:
        self.destroy_timer(self._patience)
        self._patience = None
        for camera in self._cameras.values():
            line = camera.what_is_missing()
            if line:
                self.get_logger().warning(line)

    def _report(self, cause: str, problem: str) -> None:
        if not self.context.ok():
            return  # told to stop: what is in work has nobody to publish to
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
        if self._engine is not None:
            runner = self._engine.loaded.runner
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
        broken = self._loop.trouble(self._settings.watchdog_s) if self._loop is not None else ''
        state = self._state_machine.current_state[1]
        condition = diagnostics.Condition(state, problem, details, broken)
        name = self.get_fully_qualified_name().lstrip('/')
        statuses = [
            status
            for camera in self._cameras.values()
            for status in camera.statuses(name, condition)
        ]
        self._diagnostics.publish(diagnostics.array(self.get_clock().now().to_msg(), *statuses))

    # -- parameters that change while running ------------------------------------------------

    def _on_set_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        values = {parameter.name: parameter.value for parameter in changed}
        for name, value in values.items():
            problem = self._declared.problem(name, value, fixed=self._engine is not None)
            if problem is not None:
                return SetParametersResult(successful=False, reason=problem)
        try:
            current = self._declared.replaced(values)
            if self._engine is not None:
                self._engine.decision = current[NodeSettings].decision()
        except SegNodeError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._declared.put(current)
        return SetParametersResult(successful=True)


def _names_of_lane_map() -> list[str]:
    from seg_node.ros.lane_map_parameters import LaneMapSettings  # loads scipy, so not for all

    return [item.name for item in declared(LaneMapSettings)]


def main(args: list[str] | None = None) -> int:
    """Entry of `ros2 run seg_node seg_node`."""
    from seg_node.ros.process import run_node

    return run_node(SegNode, args)


if __name__ == '__main__':
    raise SystemExit(main())
