"""From frames and odometry to a lane map: the steps that the node and a bag's builder share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from seg_node.errors import SegNodeError, cause_line
from seg_node.lane_map.lane_map import Evidence, LaneMap
from seg_node.timing import Recorder, Stopwatch
from seg_node.transforms import OdometryTrack, Pose, PoseQueue

T = TypeVar('T')
Double = npt.NDArray[np.float64]
Seen = tuple[npt.NDArray[np.void], Evidence | None]
"""Lane points of a frame in its optical frame, dtype `POINT`, and its evidence where there is."""


@dataclass
class Mapper(Generic[T]):
    """Lets frames wait for their pose and adds them to `lane_map`; thread-safe it is not.

    mount: of a frame, float64 (4, 4), optical frame -> the frame that odometry moves. see: what is
    in it, with its stages timed. placed: told of each frame that was added, with its odometry and
    its camera's pose. lost: told the cause and the reason why a frame was not. jumped: told why a
    pose does not fit those before. `counts`: `added`, and `lost_CAUSE`. Whatever `mount` and `see`
    raise, that frame is lost and the next ones are not.
    """

    lane_map: LaneMap
    mount: Callable[[T], Double]
    see: Callable[[T, Stopwatch], Seen]
    placed: Callable[[T, Pose, Double], object]
    lost: Callable[[str, str], object]
    jumped: Callable[[str], object] = lambda problem: None
    counts: Counter[str] = field(default_factory=Counter)
    recorder: Recorder = field(default_factory=Recorder)
    track: OdometryTrack = field(default_factory=OdometryTrack)

    def __post_init__(self) -> None:
        self._queue: PoseQueue[T] = PoseQueue(self.track)

    @property
    def waiting(self) -> int:
        """Frames without a pose yet."""
        return len(self._queue)

    def put(self, stamp_ns: int, frame: T) -> None:
        """Take a frame; it is added as soon as odometry has passed its stamp."""
        self._queue.put(stamp_ns, frame)
        self._work()

    def move(self, stamp_ns: int, pose: Pose) -> None:
        """Take one pose of odometry; where it does not fit those before, nothing is added."""
        if not self.track.add(stamp_ns, pose):
            self.jumped(self.track.problem)
        self._work()

    def reset(self) -> None:
        """Forget the map, the poses and what waits; the counts stay."""
        self.lane_map.reset()
        self.track.reset()
        self._queue.clear()

    def _work(self) -> None:
        for placed in self._queue.ready():
            if placed.pose is None:
                self._lose(placed.cause, placed.reason)
                continue
            try:
                self._add(placed.item, placed.pose)
            except Exception as error:  # one frame must not end the map of a whole drive
                ours = isinstance(error, SegNodeError)
                cause = getattr(error, 'cause', 'input' if ours else 'internal')
                self._lose(cause, cause_line(error))

    def _add(self, frame: T, pose: Pose) -> None:
        camera: Double = pose.matrix() @ self.mount(frame)
        watch = Stopwatch()
        points, view = self.see(frame, watch)
        self.lane_map.update(points, camera, view)
        watch.lap('update')
        self.recorder.add_stages(watch)
        self.counts['added'] += 1
        self.placed(frame, pose, camera)

    def _lose(self, cause: str, reason: str) -> None:
        self.counts[f'lost_{cause}'] += 1
        self.lost(cause, reason)
