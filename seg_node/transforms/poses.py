"""Rigid poses, and the odometry between whose messages the pose of a frame lies."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from seg_node.errors import ConfigError

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

Float = npt.NDArray[np.float64]

OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Rotation (3, 3) from the optical frame (x right, y down) to the body frame (x forward, y left);
REP-103, "Suffix Frames"."""


@dataclass(frozen=True)
class Pose:
    """A rigid transform: own frame -> parent frame.

    `translation`: 3 metres; `quaternion`: unit (x, y, z, w), as in `geometry_msgs/Pose`.
    """

    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quaternion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        values = (*self.translation, *self.quaternion)
        norm = math.sqrt(sum(q * q for q in self.quaternion))
        if not all(map(math.isfinite, values)) or abs(norm - 1.0) > 0.05:
            raise ConfigError(
                f'pose: expected finite metres and a unit quaternion, got {self.translation} '
                f'and {self.quaternion}'
            )
        unit = tuple(q / norm for q in self.quaternion)
        object.__setattr__(self, 'quaternion', unit)

    @classmethod
    def of_euler(
        cls, x: float, y: float, z: float, roll: float = 0.0, pitch: float = 0.0, yaw: float = 0.0
    ) -> Pose:
        """From metres and REP-103 angles in radians about the fixed axes x, y, z."""
        from scipy.spatial.transform import Rotation

        return cls._of((x, y, z), Rotation.from_euler('xyz', (roll, pitch, yaw)))

    @classmethod
    def of_message(cls, translation: Any, rotation: Any) -> Pose:
        """From geometry_msgs' Vector3 or Point, and Quaternion. Raises `ConfigError`."""
        x, y, z, w = rotation.x, rotation.y, rotation.z, rotation.w
        return cls((translation.x, translation.y, translation.z), (x, y, z, w))

    @classmethod
    def of_matrix(cls, matrix: Float) -> Pose:
        """From a rigid (4, 4) matrix."""
        from scipy.spatial.transform import Rotation

        m = np.asarray(matrix, np.float64)
        return cls._of(m[:3, 3], Rotation.from_matrix(m[:3, :3]))

    @classmethod
    def _of(cls, translation: Iterable[float], rotation: Rotation) -> Pose:
        x, y, z = map(float, translation)
        i, j, k, w = map(float, rotation.as_quat())
        sign = -1.0 if w < 0.0 else 1.0  # of the two that mean one rotation (old scipy cannot)
        return cls((x, y, z), (sign * i, sign * j, sign * k, sign * w))

    @property
    def rotation(self) -> Rotation:
        """The rotation as scipy has it. Loaded here: a node that knows no pose needs no scipy."""
        from scipy.spatial.transform import Rotation

        return Rotation.from_quat(self.quaternion)

    def matrix(self) -> Float:
        """float64 (4, 4)."""
        m = np.eye(4)
        m[:3, :3] = self.rotation.as_matrix()
        m[:3, 3] = self.translation
        return m

    def distance(self, other: Pose) -> float:
        """Metres between the two origins."""
        return math.dist(self.translation, other.translation)

    def angle(self, other: Pose) -> float:
        """Radians of the rotation between the two."""
        return float((self.rotation.inv() * other.rotation).magnitude())

    def between(self, other: Pose, part: float) -> Pose:
        """`part` (0..1) of the way to `other`: linear in place, slerp in rotation (Shoemake)."""
        from scipy.spatial.transform import Rotation, Slerp

        turns = Slerp((0.0, 1.0), Rotation.concatenate((self.rotation, other.rotation)))
        ends = np.array((self.translation, other.translation))
        return Pose._of((1 - part) * ends[0] + part * ends[1], turns(part))


def optical_mount(mount: Pose) -> Float:
    """float64 (4, 4) optical frame -> vehicle frame, for a camera body mounted at `mount`."""
    m = mount.matrix()
    m[:3, :3] = m[:3, :3] @ OPTICAL
    return m


@dataclass(frozen=True)
class MotionLimits:
    """What counts as a jump: a pose further from the expected one than these allow.

    Expected is the last velocity going on, give or take `acceleration_mps2`; no velocity may be
    above `speed_mps`, no rotation faster than `turn_rps`. After a jump the poses are believed
    again when they fit the last good one within `patience_s`; later than that nobody can tell, and
    only a reset helps.
    """

    speed_mps: float = 70.0
    acceleration_mps2: float = 20.0
    turn_rps: float = 3.0
    slack_m: float = 0.5
    slack_rad: float = 0.2
    patience_s: float = 1.0
    gap_s: float = 0.5
    """No pose is interpolated between messages further apart than this."""


OdometryState = Literal['missing', 'good', 'jumped']


class OdometryTrack:
    """The last seconds of odometry; gives the pose at a stamp, but never across a jump."""

    def __init__(self, limits: MotionLimits | None = None, keep: int = 400) -> None:
        self.limits = limits or MotionLimits()
        self.state: OdometryState = 'missing'
        self.jumps = 0
        self.problem = ''
        self._poses: deque[tuple[int, Pose]] = deque(maxlen=keep)

    def add(self, stamp_ns: int, pose: Pose) -> bool:
        """Take one message; False when it does not fit the last good one."""
        if self._poses:
            last_ns, last = self._poses[-1]
            if stamp_ns == last_ns:
                return True
            elapsed = (stamp_ns - last_ns) * 1e-9
            if not self._fits(elapsed, last, pose):
                if self.state != 'jumped':
                    self.jumps += 1
                    self.problem = self._describe(elapsed, last, pose)
                self.state = 'jumped'
                return False
        self._poses.append((stamp_ns, pose))
        self.state, self.problem = 'good', ''
        return True

    def reset(self) -> None:
        """Forget everything: the next pose is the first."""
        self._poses.clear()
        self.state, self.problem = 'missing', ''

    def latest_ns(self) -> int | None:
        """Stamp of the newest good pose."""
        return self._poses[-1][0] if self._poses else None

    def at(self, stamp_ns: int) -> Pose | None:
        """The pose at a stamp, interpolated; None outside of what is known or in a gap."""
        before: tuple[int, Pose] | None = None
        for after in reversed(self._poses):
            if after[0] == stamp_ns:
                return after[1]
            if after[0] < stamp_ns:
                if before is None or before[0] - after[0] > self.limits.gap_s * 1e9:
                    return None
                part = (stamp_ns - after[0]) / (before[0] - after[0])
                return after[1].between(before[1], part)
            before = after
        return None

    def ahead(self, stamp_ns: int, limit_s: float) -> Pose | None:
        """The pose at most `limit_s` after the newest, if its motion goes on; None beyond."""
        if len(self._poses) < 2 or self.state != 'good':
            return None
        (before_ns, before), (last_ns, last) = self._poses[-2], self._poses[-1]
        elapsed, further = (last_ns - before_ns) * 1e-9, (stamp_ns - last_ns) * 1e-9
        if not 0.0 <= further <= limit_s or elapsed > self.limits.gap_s:
            return None
        part = further / elapsed
        turn = before.rotation.inv() * last.rotation
        way = np.subtract(last.translation, before.translation)
        step = last.rotation.apply(before.rotation.inv().apply(way)) * part
        from scipy.spatial.transform import Rotation

        turned = last.rotation * Rotation.from_rotvec(turn.as_rotvec() * part)
        return Pose._of(np.add(last.translation, step), turned)

    def _fits(self, elapsed: float, last: Pose, pose: Pose) -> bool:
        limits = self.limits
        if elapsed < 0.0 or (self.state == 'jumped' and elapsed > limits.patience_s):
            return False
        way = np.subtract(pose.translation, last.translation)
        velocity = self._velocity()
        if velocity is None:
            allowed, expected = limits.speed_mps * elapsed, np.zeros(3)
        else:
            allowed, expected = 0.5 * limits.acceleration_mps2 * elapsed**2, velocity * elapsed
        return bool(
            np.linalg.norm(way - expected) <= allowed + limits.slack_m
            and np.linalg.norm(way) <= limits.speed_mps * elapsed + limits.slack_m
            and last.angle(pose) <= limits.turn_rps * elapsed + limits.slack_rad
        )

    def _velocity(self) -> Float | None:
        """float64 (3,) m/s between the two newest good poses; None after a pause."""
        if len(self._poses) < 2:
            return None
        (before_ns, before), (last_ns, last) = self._poses[-2], self._poses[-1]
        elapsed = (last_ns - before_ns) * 1e-9
        if elapsed > self.limits.gap_s:
            return None
        velocity: Float = np.subtract(last.translation, before.translation) / elapsed
        return velocity

    def _describe(self, elapsed: float, last: Pose, pose: Pose) -> str:
        if elapsed < 0.0:
            return f'odometry: time went back by {-elapsed:.3f} s'
        return (
            f'odometry jumped {last.distance(pose):.2f} m and '
            f'{math.degrees(last.angle(pose)):.1f} degrees in {elapsed:.3f} s, '
            'more than the motion before it explains'
        )
