"""The ROS source node `carla_source`: a drive in CARLA as camera topics, /clock, odometry and TF.

The drive itself runs in a child process (client/remote.py). When the server goes away the node
waits for it, spawns the vehicle where it was, and goes on; stamps never go back.
"""

from __future__ import annotations

import threading
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter

from seg_node.errors import ConfigError
from seg_node.ros.parameters import ParameterSet
from seg_node_sim.client.carla_api import require_carla
from seg_node_sim.client.drive import DriveRequest, Tick, TownPlace
from seg_node_sim.client.errors import ServerError
from seg_node_sim.client.frames_ros import SimClock
from seg_node_sim.client.remote import DriveProcess
from seg_node_sim.client.weather import parse_weather
from seg_node_sim.ros.outputs import Outputs
from seg_node_sim.ros.parameters import SourceSettings

_WAIT_FOR_SERVER_S = 1e6
_PAUSE_S = 0.2
_LOOK_S = 0.5


class CarlaSource(Node):
    """Publishes what a rig sees; see docs/carla.md for topics and frames."""

    def __init__(self, **options: Any) -> None:
        super().__init__('carla_source', **options)
        require_carla()
        parameters = ParameterSet(self, (SourceSettings,))
        self._declared = parameters.items
        self._settings = parameters.of(SourceSettings)
        rig = self._settings.request.rig
        if rig.skipped:
            self.get_logger().warning(f'rig: left out: {", ".join(sorted(set(rig.skipped)))}')
        self._outputs = Outputs(self, rig, self._settings.sky_depth)
        self._clock_source = SimClock()
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._drive: DriveProcess | None = None
        self._place: TownPlace | None = None
        self._thread = threading.Thread(target=self._run, name='drive')
        self.add_on_set_parameters_callback(self._on_set_parameters)
        # On a clock of its own: /clock stands still when this node has failed.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_LOOK_S, self._raise_failure, clock=steady)

    def start(self) -> None:
        """Begin to drive."""
        self._outputs.publish_mounts()
        self._thread.start()

    def stop(self) -> None:
        """End the drive; everything spawned is destroyed."""
        self._stopping.set()
        drive = self._drive
        if drive is not None:
            drive.interrupt()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._drive_once()
        except Exception as error:  # raised again where it ends the process
            self._failure = error

    def _drive_once(self) -> None:
        log = self.get_logger()
        request = self._settings.request
        if self._place is not None:
            request = request.model_copy(update={'resume_at': self._place, 'fresh': False})
        self._drive = DriveProcess(request, self._settings.pace, _WAIT_FOR_SERVER_S, log.info)
        if self._stopping.is_set():  # stop() may have come before there was a drive to interrupt
            return
        try:
            with self._drive as drive:
                assert drive.ready is not None
                log.info(f'driving in {drive.ready.town}, CARLA {drive.ready.server_version}')
                self._publish_ticks(drive, request)
        except ServerError as error:
            if not self._stopping.is_set():
                log.warning(f'{error}; connecting again')
                self._stopping.wait(_PAUSE_S)

    def _publish_ticks(self, drive: DriveProcess, request: DriveRequest) -> None:
        assert drive.ready is not None
        town = drive.ready.town
        for tick in drive:
            if self._stopping.is_set():
                return
            self._place = TownPlace(town=town, pose=tick.ego.pose)
            self._publish(tick, 1.0 / request.fps)

    def _publish(self, tick: Tick, delta_s: float) -> None:
        self._outputs.publish(tick, self._clock_source.stamp_ns(tick.elapsed_s, delta_s))

    def _raise_failure(self) -> None:
        # In the executor's thread, so that the process ends with this one line and status 1.
        if self._failure is not None:
            raise self._failure

    def _on_set_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        for parameter in changed:
            item = self._declared.get(parameter.name)
            if item is not None and not item.live:
                reason = f'{parameter.name}: cannot change while driving; restart the node'
                return SetParametersResult(successful=False, reason=reason)
            if parameter.name == 'weather':
                try:
                    parse_weather(parameter.value)
                except ConfigError as error:
                    return SetParametersResult(successful=False, reason=str(error))
                if self._drive is not None:
                    self._drive.change_weather(parameter.value)
        return SetParametersResult(successful=True)


def main(args: list[str] | None = None) -> int:
    """Entry of `ros2 run seg_node carla_source`."""
    from seg_node.ros.process import run_node

    return run_node(CarlaSource, args)


if __name__ == '__main__':
    raise SystemExit(main())
