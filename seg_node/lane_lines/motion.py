"""How the vehicle moved between two frames, by odometry that may lag behind them."""

from __future__ import annotations

import threading

from seg_node.lane_lines.line import Double
from seg_node.lane_lines.tracker import Motion
from seg_node.transforms import OdometryTrack, Pose

_AHEAD_S = 0.3
"""Odometry is often a message or two younger than the frame; its last motion goes on so long."""


class MotionMeter:
    """Takes poses as they come, gives the motion between stamps. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._track = OdometryTrack()

    @property
    def state(self) -> str:
        """`missing`, `good` or `jumped`."""
        return self._track.state

    def add(self, stamp_ns: int, pose: Pose) -> None:
        """Take one pose; after a jump or a clock that went back it is the first of a new way."""
        with self._lock:
            if not self._track.add(stamp_ns, pose):
                self._track.reset()
                self._track.add(stamp_ns, pose)

    def between(self, before_ns: int, after_ns: int) -> Motion | None:
        """The motion between two stamps; None where one of the poses is not known."""
        with self._lock:
            before, after = self._pose(before_ns), self._pose(after_ns)
        return None if before is None or after is None else Motion.between(before, after)

    def reset(self) -> None:
        """Forget every pose."""
        with self._lock:
            self._track.reset()

    def _pose(self, stamp_ns: int) -> Double | None:
        pose = self._track.at(stamp_ns) or self._track.ahead(stamp_ns, _AHEAD_S)
        return None if pose is None else pose.matrix()
