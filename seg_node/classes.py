"""Class ids, names and colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from seg_node.class_names import normalised
from seg_node.errors import ConfigError

UNLABELED = 255
"""Id of pixels without a label; ignored everywhere."""

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class ClassSet:
    """Class names and RGB colours in id order; id 0 is the background."""

    names: tuple[str, ...]
    colours: tuple[Rgb, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.colours) or len(self.names) < 2:
            raise ConfigError(
                f'class set: expected a colour for each of at least 2 classes, '
                f'got {len(self.names)} names and {len(self.colours)} colours'
            )

    def __len__(self) -> int:
        return len(self.names)

    def id_of(self, name: str) -> int:
        """Id of the class `name`, in any spelling; the exact one first.

        Raises `ConfigError` when there is none of that name.
        """
        if name in self.names:
            return self.names.index(name)
        plain = normalised(name)
        for class_id, known in enumerate(self.names):
            if normalised(known) == plain:
                return class_id
        raise ConfigError(f'class {name!r}: expected one of {", ".join(self.names)}')

    @cached_property
    def palette_bgr(self) -> npt.NDArray[np.uint8]:
        """uint8 (256, 3): BGR colour of every id; black for ids without a class."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self)] = np.asarray(self.colours, np.uint8)[:, ::-1]
        return table

    def colourize(self, mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Paint `mask` (uint8 (H, W), class ids) as uint8 (H, W, 3) BGR."""
        return np.take(self.palette_bgr, mask, axis=0)


LANE = ClassSet(
    ('background', 'road', 'lane_marking'), ((0, 0, 0), (128, 64, 128), (157, 234, 50))
)
"""The lane model's classes; colours as CARLA's palette."""

LANE_TYPES = ClassSet(
    ('background', 'ego_lane', 'other_lane', 'double_line', 'dashed_line', 'single_line'),
    ((0, 0, 0), (0, 128, 0), (128, 64, 128), (255, 160, 0), (255, 255, 0), (255, 255, 255)),
)
"""The lane-type model's six classes."""
