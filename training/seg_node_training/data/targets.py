"""From what data sets know to what a head is trained on and scored by.

Lane data sets give two planes, road (with markings) and lane marking; id data sets give one plane
of class ids. A recipe's classes and head decide what becomes of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from seg_node.errors import ConfigError

U8 = npt.NDArray[np.uint8]

UNKNOWN = 255
"""Code of an unknown pixel in the uint8 targets; 0..254 is a probability times 254."""

Encode = Callable[[U8], U8]

PLANE_CLASSES = {'lane': (0, 1), 'marking': (1,)}
"""Class sets that are made of the planes road and lane marking, and of which of them."""


def lane_ids(planes: U8) -> U8:
    """uint8 (H, W) ids 0 background, 1 road, 2 marking from planes uint8 (2, H, W).

    255 where a plane that the set knows is unknown. A set that knows only road has ids 0 and 1.
    """
    road, lane = planes
    ids = np.where(road > 127, 1, 0).astype(np.uint8)
    ids[road == UNKNOWN] = UNKNOWN
    if np.any(lane != UNKNOWN):
        ids[lane == UNKNOWN] = UNKNOWN
        ids[(lane > 127) & (lane != UNKNOWN)] = 2
    return ids


def ids_of(target: U8, classes: str) -> U8:
    """Class ids uint8 (H, W), 255 unknown, of any target of a recipe with `classes`."""
    if classes == 'lane':
        return lane_ids(target)
    if classes == 'marking':
        lane = target[1]
        return np.where(lane == UNKNOWN, UNKNOWN, lane > 127).astype(np.uint8)
    ids: U8 = target[0]
    return ids


def encoder(classes: str, head: str) -> Encode:
    """What turns a set's target into the loss's: planes (K, H, W) or ids (1, H, W)."""
    if classes in PLANE_CLASSES and head == 'sigmoid':
        chosen = PLANE_CLASSES[classes]
        return lambda target: target[list(chosen)]
    if head == 'softmax':
        return lambda target: ids_of(target, classes)[None]
    raise ConfigError(
        f'recipe: classes {classes!r} are ids that exclude each other; expected head softmax'
    )


def truth_planes(target: U8, classes: str, names: tuple[str, ...]) -> dict[str, U8]:
    """Truth of each foreground class: uint8 (H, W), 0..254 probability, 255 unknown."""
    if classes in PLANE_CLASSES:
        return {n: target[i] for n, i in zip(names[1:], PLANE_CLASSES[classes])}
    ids = target[0]
    return {
        name: np.select([ids == UNKNOWN, ids == index], [UNKNOWN, 254], 0).astype(np.uint8)
        for index, name in enumerate(names[1:], 1)
    }


def found_planes(
    ids: U8, classes: str, names: tuple[str, ...]
) -> dict[str, npt.NDArray[np.bool_]]:
    """bool (H, W) of each foreground class; of the lane classes road includes markings."""
    if classes == 'lane':
        return {names[1]: (ids == 1) | (ids == 2), names[2]: ids == 2}
    return {name: ids == index for index, name in enumerate(names[1:], 1)}
