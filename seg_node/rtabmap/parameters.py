"""Parameters of RTAB-Map for each way of mapping; docs/rtabmap.md has what was measured of them.

Imported by a launch file, so only the standard library is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MODES = ('raw', 'lane_rgb', 'lanes_only', 'road_only', 'drop_classes')
"""`raw`: the camera's own pictures; the others are the node's `rtabmap.mode`."""
_NODE_EVERY_M = 8.0
"""Nodes further apart leave holes in a map of 20 m range."""
_OWN_RATE_HZ = 1.0
_BY_MODE: dict[str, dict[str, str]] = {
    'lane_rgb': {'Mem/ImageCompressionFormat': '.png'},  # JPEG blurs the class colours
    # A live grid otherwise takes flat paint for obstacles, or leaves it out.
    'lanes_only': {
        'Grid/DepthDecimation': '1',
        'Grid/NormalsSegmentation': 'false',
        'Grid/MaxGroundHeight': '0.3',
    },
}
_DILATE_PX = {'lanes_only': 3}
"""Corners of a marking lie on its edge: with these they keep their depth, and loops close."""


@dataclass(frozen=True)
class Mapping:
    """What a user chooses of it.

    depth_as_mask: features only where depth is left; None: as the mode closes most loops.
    range_max_m: points further away are left out of grids; 0: none are. max_speed: of the
    vehicle, m/s. depth_far_m: depth from there on is unknown (a simulator's sky); 0: none is.
    dilate_px: pixels by which the classes are widened; None: by mode.
    """

    mode: str = 'raw'
    depth_as_mask: bool | None = None
    range_max_m: float = 20.0
    max_speed: float = 8.0
    depth_far_m: float = 1000.0
    dilate_px: int | None = None

    def node(self) -> dict[str, str | int | float]:
        """Parameters of the node seg_node. Those of its parameter file that are not here stay."""
        mode = 'off' if self.mode == 'raw' else self.mode
        dilate = _DILATE_PX.get(self.mode) if self.dilate_px is None else self.dilate_px
        values: dict[str, str | int | float] = {'rtabmap.mode': mode}
        if dilate is not None:
            values['rtabmap.dilate_px'] = dilate
        return {**values, 'depth_far_m': self.depth_far_m}

    def odometry(self) -> dict[str, str]:
        """RTAB-Map's parameters of its odometry, which looks at the camera's own pictures."""
        return {'Vis/MaxDepth': self._max_depth} if self.depth_far_m else {}

    def rtabmap(self) -> dict[str, str]:
        """RTAB-Map's parameters."""
        mask = self.mode == 'lanes_only' if self.depth_as_mask is None else self.depth_as_mask
        as_mask = 'true' if mask else 'false'
        far = {'Vis/MaxDepth': self._max_depth, 'Kp/MaxDepth': self._max_depth}
        masks = {'Vis/DepthAsMask': as_mask, 'Mem/DepthAsMask': as_mask}
        rate = max(_OWN_RATE_HZ, self.max_speed / _NODE_EVERY_M)
        return {
            **({} if self.mode == 'raw' and self.depth_as_mask is None else masks),
            **(far if self.depth_far_m else {}),
            'Grid/RangeMax': f'{self.range_max_m:g}',
            'Rtabmap/DetectionRate': f'{math.ceil(rate * 100) / 100:g}',
            **_BY_MODE.get(self.mode, {}),
        }

    @property
    def _max_depth(self) -> str:
        return f'{0.999 * self.depth_far_m:g}'


def as_arguments(parameters: dict[str, str], further: str = '') -> str:
    """A command line of RTAB-Map's programs; what stands in `further` comes last and wins."""
    words = ' '.join(f'--{name} {value}' for name, value in parameters.items())
    return f'{words} {further}'.strip()
