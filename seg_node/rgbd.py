"""RGB-D for mapping: what a mask does to colour and depth, and how whole sets come together.

RTAB-Map reads no masks; it drops features where depth is 0. So the mask acts through the depth
image, or is painted in place of the colours.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.classes import ClassSet
from seg_node.depth import Depth, reduce_any, size_ratio
from seg_node.errors import ConfigError
from seg_node.points import select

Array = npt.NDArray[np.uint8]
Mode = Literal['off', 'lane_rgb', 'lanes_only', 'road_only', 'drop_classes']
MODES = ('off', 'lane_rgb', 'lanes_only', 'road_only', 'drop_classes')

# fmt: off
LANE_NAMES = frozenset((
    'lane_marking', 'lane_line', 'lane_lines', 'lane_mark', 'road_line', 'road_marking',
    'roadline', 'roadlines', 'double_line', 'dashed_line', 'single_line', 'solid_line', 'lane',
))
ROAD_NAMES = frozenset((
    'road', 'ego_lane', 'main_lane', 'other_lane', 'alternate_lane', 'drivable',
))
# fmt: on


def _ids(classes: ClassSet, names: Sequence[str], usual: frozenset[str], what: str) -> set[int]:
    if names:
        return {classes.id_of(name) for name in names}
    found = {
        i
        for i, name in enumerate(classes.names)
        if name.lower().replace(' ', '_').replace('-', '_') in usual
    }
    if not found:
        raise ConfigError(
            f'{what}: none of the classes {", ".join(classes.names)} has a usual name; '
            'name them by parameter'
        )
    return found


def lane_ids(classes: ClassSet, names: Sequence[str] = ()) -> tuple[int, ...]:
    """Ids of the lane-marking classes: of `names`, else of every usual name.

    Raises `ConfigError` when there is none.
    """
    return tuple(sorted(_ids(classes, names, LANE_NAMES, 'lane-marking classes')))


def road_ids(classes: ClassSet) -> tuple[int, ...]:
    """Ids of the road with what is painted on it. Raises `ConfigError` when there is no road."""
    road = _ids(classes, (), ROAD_NAMES, 'road classes')
    painted = {i for i, name in enumerate(classes.names) if name in LANE_NAMES}
    return tuple(sorted(road | painted))


@dataclass(frozen=True)
class RgbdMode:
    """One mode made ready for a model's classes.

    `acts_on`: ids of the classes that are kept (`lanes_only`, `road_only`), dropped
    (`drop_classes`) or painted last (`lane_rgb`); they are widened by `dilate_px` RGB pixels.
    """

    mode: Mode
    classes: ClassSet
    acts_on: tuple[int, ...]
    dilate_px: int = 0

    @classmethod
    def of(
        cls, mode: Mode, classes: ClassSet, drop: Sequence[str] = (), dilate_px: int = 0
    ) -> RgbdMode:
        """The mode for a model. Raises `ConfigError` when the model lacks what the mode needs."""
        if mode not in MODES or mode == 'off':
            raise ConfigError(f'rtabmap.mode: expected one of {", ".join(MODES[1:])}, got {mode}')
        if dilate_px < 0:
            raise ConfigError(f'rtabmap.dilate_px: expected 0 or more, got {dilate_px}')
        if mode == 'drop_classes':
            if not drop:
                raise ConfigError(
                    'rtabmap.drop_classes: expected at least one class name with mode drop_classes'
                )
            ids = tuple(sorted({classes.id_of(name) for name in drop}))
        else:
            ids = road_ids(classes) if mode == 'road_only' else lane_ids(classes)
        return cls(mode, classes, ids, dilate_px)

    @property
    def replaces_rgb(self) -> bool:
        """Whether the colours are the painted mask instead of the camera's."""
        return self.mode == 'lane_rgb'

    def paint(self, mask: Array) -> Array:
        """uint8 (H, W, 3) BGR: `mask` (uint8 (H, W), class ids) in class colours on black."""
        if self.dilate_px:
            lanes = np.where(select(mask, self.acts_on) > 0, mask, 0).astype(np.uint8)
            wide = self._dilated(lanes)
            mask = np.where(wide > 0, wide, mask).astype(np.uint8)
        return self.classes.colourize(mask)

    def cut(self, depth: Depth, mask: Array) -> Depth:
        """The depth that this mode lets through; the same object in `lane_rgb`.

        depth: of the mask's size or smaller by one integer ratio; a depth pixel counts as of the
        classes when any mask pixel under it does. Raises `FrameError` for other sizes.
        """
        ratio = size_ratio((mask.shape[0], mask.shape[1]), depth.shape)
        if self.replaces_rgb:
            return depth
        chosen = reduce_any(self._dilated(select(mask, self.acts_on)), ratio)
        if self.mode == 'drop_classes':
            chosen = np.asarray(cv2.bitwise_not(chosen), np.uint8)
        return depth.cut(chosen)

    def _dilated(self, selected: Array) -> Array:
        if not self.dilate_px:
            return selected
        side = 2 * self.dilate_px + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        return np.asarray(cv2.dilate(selected, kernel), np.uint8)


@dataclass(frozen=True)
class SetCounts:
    """What became of the parts offered: `sets` complete ones, and `lost` parts by name."""

    offered: dict[str, int]
    sets: int
    lost: dict[str, int]
    pending: dict[str, int]


@dataclass
class _Slot:
    """Buffer of one part, oldest first."""

    items: deque[tuple[int, Any]] = field(default_factory=deque)

    def nearest(self, stamp: int, tolerance: int) -> tuple[int, Any] | None:
        """The item closest to `stamp` within `tolerance`, all in ns."""
        best = min(self.items, key=lambda item: abs(item[0] - stamp), default=None)
        return best if best is not None and abs(best[0] - stamp) <= tolerance else None


class StampSynchronizer:
    """Brings parts with one stamp together: a set is whole or absent. Thread-safe.

    `parts`: names, the first is the leader, whose stamp a set has. `tolerance_ns`: how far the
    other stamps may be from the leader's; 0 asks for equal stamps, as ROS's TimeSynchronizer.
    `keep`: items a part may hold while it waits. Every item offered is used in exactly one set,
    or lost, or pending: offered = sets + lost + pending, for every part.
    """

    def __init__(self, parts: Sequence[str], tolerance_ns: int = 0, keep: int = 10) -> None:
        if tolerance_ns < 0 or keep < 1:
            raise ConfigError(
                f'synchronisation: expected tolerance >= 0 and queue >= 1, got {tolerance_ns} '
                f'and {keep}'
            )
        self._lock = threading.Lock()
        self._leader = parts[0]
        self._slots = {name: _Slot() for name in parts}
        self._tolerance = tolerance_ns
        self._keep = keep
        self._offered: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._sets = 0

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts of a set."""
        return tuple(self._slots)

    def require(self, part: str) -> None:
        """From now on a set needs `part` too; nothing changes where it is one already."""
        with self._lock:
            self._slots.setdefault(part, _Slot())

    def offer(self, part: str, stamp_ns: int, item: Any) -> dict[str, Any] | None:
        """Hand in one part; the whole set, by part name, when this completes one.

        Parts older than the set are given up: their stamps have passed.
        """
        with self._lock:
            slot = self._slots[part]
            self._offered[part] += 1
            if any(stamp == stamp_ns for stamp, _ in slot.items):
                self._lost[part] += 1  # the same stamp twice: the first stays
                return None
            slot.items.append((stamp_ns, item))
            found = self._match(part, stamp_ns)
            if found is None:
                if len(slot.items) > self._keep:
                    slot.items.popleft()
                    self._lost[part] += 1
                return None
            return self._take(found)

    def counts(self) -> SetCounts:
        """The account at one instant."""
        with self._lock:
            pending = {name: len(slot.items) for name, slot in self._slots.items()}
            return SetCounts(dict(self._offered), self._sets, dict(self._lost), pending)

    def missing(self) -> tuple[str, ...]:
        """Parts of which nothing has ever come."""
        with self._lock:
            return tuple(name for name in self._slots if not self._offered[name])

    def clear(self) -> None:
        """Give up everything that is pending."""
        with self._lock:
            for name, slot in self._slots.items():
                self._lost[name] += len(slot.items)
                slot.items.clear()

    def _match(self, part: str, stamp_ns: int) -> dict[str, tuple[int, Any]] | None:
        leaders = self._slots[self._leader].items
        if part != self._leader:
            leaders = deque(x for x in leaders if abs(x[0] - stamp_ns) <= self._tolerance)
        else:
            leaders = deque(x for x in leaders if x[0] == stamp_ns)
        for leader in sorted(leaders, key=lambda x: abs(x[0] - stamp_ns)):
            found: dict[str, tuple[int, Any]] = {self._leader: leader}
            for name, slot in self._slots.items():
                if name == self._leader:
                    continue
                best = slot.nearest(leader[0], self._tolerance)
                if best is None:
                    break
                found[name] = best
            else:
                return found
        return None

    def _take(self, found: Mapping[str, tuple[int, Any]]) -> dict[str, Any]:
        self._sets += 1
        horizon = found[self._leader][0] - self._tolerance
        for name, (stamp, _) in found.items():
            slot = self._slots[name]
            limit = min(stamp, horizon) if name != self._leader else stamp
            stay = deque(x for x in slot.items if x[0] != stamp and x[0] >= limit)
            self._lost[name] += len(slot.items) - 1 - len(stay)
            slot.items = stay
        return {name: item for name, (_, item) in found.items()}
