"""Width and height of a picture, and the ways to fit one size into another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seg_node.errors import ConfigError

ResizePolicy = Literal['stretch', 'letterbox']
"""How a camera picture is fitted to the network: both axes scaled, or one scale and grey bars."""
Interpolation = Literal['linear', 'area']
"""How a camera picture's pixels are blended on the way in, as `cv2.resize` does."""


@dataclass(frozen=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ConfigError(f'size: expected at least 1x1, got {self}')

    def __str__(self) -> str:
        return f'{self.width}x{self.height}'

    @classmethod
    def of(cls, image: npt.NDArray[np.generic]) -> Size:
        """Size of an image (H, W) or (H, W, C)."""
        return cls(image.shape[1], image.shape[0])

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read `WIDTHxHEIGHT`; raises `ConfigError`."""
        parts = text.lower().split('x')
        if len(parts) != 2 or not all(p.isdigit() and int(p) > 0 for p in parts):
            raise ConfigError(f'size: expected WIDTHxHEIGHT like 1280x720, got {text!r}')
        return cls(int(parts[0]), int(parts[1]))
