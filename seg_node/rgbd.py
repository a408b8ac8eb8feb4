"""RGB-D for mapping: what a mask does to colour and depth.

RTAB-Map reads no masks; it drops features where depth is 0. So the mask acts through the depth
image, or is painted in place of the colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.camera.depth import Depth, reduce_any, size_ratio
from seg_node.camera.points import select
from seg_node.class_names import Meaning, meaning
from seg_node.classes import ClassSet
from seg_node.errors import ConfigError

Array = npt.NDArray[np.uint8]
Mode = Literal['off', 'lane_rgb', 'lanes_only', 'road_only', 'drop_classes']
MODES = ('off', 'lane_rgb', 'lanes_only', 'road_only', 'drop_classes')


def lane_ids(classes: ClassSet, names: Sequence[str] = ()) -> tuple[int, ...]:
    """Ids of the lane-marking classes: of `names`, else of every class that is paint by its name.

    Raises `ConfigError` when there is none.
    """
    if names:
        return tuple(sorted({classes.id_of(name) for name in names}))
    return _of_meaning(classes, 'marking', 'lane-marking classes')


def road_ids(classes: ClassSet) -> tuple[int, ...]:
    """Ids of the road with what is painted on it. Raises `ConfigError` when there is no road."""
    road = _of_meaning(classes, 'road', 'road classes')
    painted = [i for i, name in enumerate(classes.names) if meaning(name) == 'marking']
    return tuple(sorted({*road, *painted}))


def _of_meaning(classes: ClassSet, sought: Meaning, what: str) -> tuple[int, ...]:
    ids = tuple(i for i, name in enumerate(classes.names) if meaning(name) == sought)
    if not ids:
        raise ConfigError(
            f'{what}: none of the classes {", ".join(classes.names)} has a usual name; '
            'name them by parameter'
        )
    return ids


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
            try:
                ids = tuple(sorted({classes.id_of(name) for name in drop}))
            except ConfigError as error:
                raise ConfigError(f'rtabmap.drop_classes: {error} of the model') from None
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
