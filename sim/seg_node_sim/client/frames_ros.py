"""Names, stamps and pixels of a drive as ROS has them; shared by the source node and bags."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from seg_node_sim.client import images
from seg_node_sim.client.rig import CameraKind, CameraSpec

MAP_FRAME = 'map'
SkyDepth = Literal['unknown', 'far']
"""What a depth image says of the sky: 0, or the far plane's 1000 m as ros-bridge has it."""
SKY_DEPTHS: tuple[SkyDepth, ...] = ('unknown', 'far')
ENCODINGS: dict[CameraKind, str] = {
    'rgb': 'bgr8',
    'depth': '32FC1',
    'semantic': 'mono8',
    'instance': 'mono16',
}
_DECODERS = {
    'rgb': images.bgr,
    'depth': images.depth_metres,
    'semantic': images.semantic,
    'instance': images.instance_ids,
}


def topic(role_name: str, *parts: str) -> str:
    """`/carla/<role>/...`, as ros-bridge and native CARLA name their topics."""
    return '/'.join(('/carla', role_name, *parts))


def camera_frame(role_name: str, camera: str) -> str:
    """TF frame of a camera's optical axes."""
    return f'{role_name}/{camera}'


def pixels(spec: CameraSpec, bgra: np.ndarray, sky: SkyDepth = 'unknown') -> np.ndarray:
    """An image of CARLA as the array that `ENCODINGS[spec.kind]` stands for."""
    decoded = _DECODERS[spec.kind](bgra)
    return images.without_sky(decoded) if (spec.kind, sky) == ('depth', 'unknown') else decoded


@dataclass
class SimClock:
    """Simulated time that never goes back, though a new episode begins again at 0."""

    _offset_s: float = field(default=0.0)
    _last_s: float = field(default=-1.0)

    def stamp_ns(self, elapsed_s: float, delta_s: float) -> int:
        """Stamp of a frame `elapsed_s` into its episode, `delta_s` after the frame before."""
        time_s = elapsed_s + self._offset_s
        if time_s <= self._last_s:
            self._offset_s = self._last_s + delta_s - elapsed_s
            time_s = elapsed_s + self._offset_s
        self._last_s = time_s
        return round(time_s * 1e6) * 1000  # microseconds: elapsed_s carries rounding noise
