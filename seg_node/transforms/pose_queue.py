"""Frames that wait for their pose: none is placed by a guess."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from seg_node.transforms.poses import OdometryTrack, Pose

T = TypeVar('T')


@dataclass(frozen=True)
class Placed(Generic[T]):
    """A frame whose wait is over: with its pose, or with the cause and the reason it has none."""

    item: T
    pose: Pose | None = None
    cause: str = ''
    reason: str = ''


class PoseQueue(Generic[T]):
    """First in, first out; at most `keep` frames wait, older ones go without a pose."""

    def __init__(self, track: OdometryTrack, keep: int = 60) -> None:
        self.track = track
        self._keep = keep
        self._waiting: deque[tuple[int, T]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, stamp_ns: int, item: T) -> None:
        """Let a frame wait."""
        self._waiting.append((stamp_ns, item))

    def clear(self) -> None:
        """Forget the frames that wait."""
        self._waiting.clear()

    def ready(self) -> Iterator[Placed[T]]:
        """The frames whose wait is over, in order."""
        while self._waiting:
            placed = self._place(*self._waiting[0])
            if placed is None and len(self._waiting) > self._keep:
                reason = f'{self._keep} frames wait for odometry: is the topic right?'
                placed = Placed(self._waiting[0][1], None, 'no_odometry', reason)
            if placed is None:
                return
            self._waiting.popleft()
            yield placed

    def _place(self, stamp_ns: int, item: T) -> Placed[T] | None:
        if self.track.state == 'jumped':
            return Placed(item, None, 'jumped', self.track.problem)
        latest = self.track.latest_ns()
        if latest is None or stamp_ns > latest:
            return None
        pose = self.track.at(stamp_ns)
        if pose is None:
            reason = 'odometry has no pose at the stamps of the frames'
            return Placed(item, None, 'no_pose', reason)
        return Placed(item, pose)
