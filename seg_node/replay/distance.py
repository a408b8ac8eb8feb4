"""How far away each pixel is, in bands."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seg_node.camera.depth import Depth
from seg_node.errors import ConfigError

Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Bands:
    """Distance bands between ascending `edges_m`: [0, e1), [e1, e2), … [en, infinity) metres."""

    edges_m: tuple[float, ...]

    def __post_init__(self) -> None:
        if any(a >= b for a, b in zip((0.0, *self.edges_m), self.edges_m)):
            raise ConfigError(f'--bands: expected ascending metres, got {list(self.edges_m)}')

    @classmethod
    def parse(cls, text: str) -> Bands:
        """Read `10,20,40`. Raises `ConfigError`."""
        try:
            return cls(tuple(float(part) for part in text.split(',') if part.strip()))
        except ValueError:
            raise ConfigError(f'--bands: expected metres like 10,20,40, got {text!r}') from None

    def __len__(self) -> int:
        return len(self.edges_m) + 1

    @property
    def labels(self) -> tuple[str, ...]:
        """Names for people, e.g. `0-10 m`."""
        lows = (0.0, *self.edges_m)
        closed = [f'{low:g}-{high:g} m' for low, high in zip(lows, self.edges_m)]
        return (*closed, f'{lows[-1]:g}+ m')

    def of(self, depth: Depth) -> Array:
        """uint8 (H, W): band of every pixel; `len(self)` where the depth is unknown."""
        pixels = depth.pixels
        metres = depth.encoding == '32FC1'
        edges = [np.float32(e) if metres else math.ceil(e * 1000) for e in self.edges_m]
        band = np.zeros(pixels.shape, np.uint8)
        for edge in edges:
            band += (pixels >= edge).view(np.uint8)
        known = pixels > 0  # false for NaN as well
        if metres:
            known &= pixels < np.float32(np.inf)
        np.copyto(band, np.uint8(len(self)), where=np.logical_not(known, out=known))
        return band
