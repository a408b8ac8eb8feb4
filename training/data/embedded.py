"""The embedded world as a data set: rendered frames with exact labels, as many as asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.classes import load_class_map
from seg_node.errors import ConfigError
from seg_node_training.losses import UNKNOWN

U8 = npt.NDArray[np.uint8]
PASSES = frozenset({'rgb', 'semantic'})
OVERSIZE = 2
"""Frames are rendered larger and shrunk by area, as a real lens blurs."""


def _renderer_revision() -> str:
    """Hash of the sources that decide what a frame looks like, for the cache."""
    import seg_node_sim

    root = Path(str(seg_node_sim.__file__)).parent
    found = sorted(p for part in ('maps', 'render') for p in (root / part).glob('*.py'))
    return hashlib.sha256(b''.join(p.read_bytes() for p in found)).hexdigest()[:12]


@dataclass(frozen=True)
class EmbeddedSet:
    """`count` frames from random places, cameras, weathers and traffic of the embedded towns.

    Frame number n depends on (seed, n) alone. Loads give uint8 (H, W, 3) BGR and the target
    uint8 (2, H, W), planes road (with markings) and lane marking, 0..254; with `labels`
    `lane_types` uint8 (1, H, W), ids of the six-class model.
    """

    name: str
    count: int
    seed: int = 0
    towns: tuple[str, ...] = ()
    width: int = 640
    height: int = 360
    labels: str = 'lane'
    revision: str = field(default_factory=_renderer_revision)

    def sources(self) -> list[int]:
        """Frame numbers, grouped by town so that each town is built once."""
        if self.count < 1:
            raise ConfigError(f'data set {self.name}: expected a limit of at least 1 frame')
        return sorted(range(self.count), key=lambda n: n % len(self._towns))

    @cached_property
    def _towns(self) -> tuple[str, ...]:
        from seg_node_sim.maps import town_names

        unknown = sorted(set(self.towns) - set(town_names()))
        if unknown:
            raise ConfigError(
                f'data set {self.name}: town {", ".join(unknown)}: expected one of '
                f'{", ".join(town_names())}'
            )
        return self.towns or town_names()

    @cached_property
    def _renderers(self) -> dict[str, Any]:
        return {}

    def _renderer(self, town_name: str) -> Any:
        from seg_node_sim.maps import load_town
        from seg_node_sim.render import Renderer

        if town_name not in self._renderers:
            self._renderers.clear()  # one town in memory is enough: frames come grouped
            town = load_town(town_name)
            self._renderers[town_name] = (town, Renderer(town))
        return self._renderers[town_name]

    def _lane_types(self, town: Any) -> Any:
        from seg_node_sim.client.lane_types import LaneTypes

        key = f'{town.name} lane types'
        if key not in self._renderers:
            self._renderers[key] = LaneTypes(town.xodr)
        return self._renderers[key]

    def load(self, number: int) -> tuple[U8, U8]:
        """Picture and target of frame `number`."""
        rng = np.random.default_rng((self.seed, number))
        town, renderer = self._renderer(self._towns[number % len(self._towns)])
        own, pose, bodies = _place(town, rng)
        camera = _camera(self.width * OVERSIZE, self.height * OVERSIZE, rng)
        passes = PASSES | {'depth'} if self.labels == 'lane_types' else PASSES
        moment = float(rng.uniform(0, 100))
        seen = renderer.render(camera, pose, bodies, _weather(rng), passes, moment)
        size = (self.width, self.height)
        image = cv2.resize(seen['rgb'], size, interpolation=cv2.INTER_AREA)
        if self.labels == 'lane_types':
            ids = self._lane_types(town).label(
                _spec(camera), pose, own, seen['semantic'], seen['depth']
            )
            return image, cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST)[None]
        ids = load_class_map('carla_0_9_14').apply_ids(seen['semantic'])
        return image, np.stack([_share(ids > 0, ids, size), _share(ids == 2, ids, size)])


def _share(chosen: npt.NDArray[np.bool_], ids: U8, size: tuple[int, int]) -> U8:
    """Soft target plane: the share of each pixel that belongs to the class, unknown left out."""
    known = ids != UNKNOWN
    cover = cv2.resize((chosen & known).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    plane = np.round(cover * 254).astype(np.uint8)
    seen = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    plane[seen < 0.5] = UNKNOWN
    return plane


def _camera(width: int, height: int, rng: np.random.Generator) -> Any:
    from seg_node_sim.scene import Camera, CameraPost

    post = CameraPost(
        exposure=float(rng.uniform(-0.8, 0.6)),
        vignette=float(rng.uniform(0, 0.3)),
        seed=int(rng.integers(2**31)),
    )
    return Camera(width, height, float(rng.uniform(50, 110)), post)


def _weather(rng: np.random.Generator) -> Any:
    from seg_node_sim.scene import Weather

    wet = rng.random() < 0.25
    return Weather(
        cloudiness=float(rng.uniform(0, 100)),
        precipitation=float(rng.uniform(0, 80)) if wet else 0.0,
        precipitation_deposits=float(rng.uniform(0, 90)) if wet else 0.0,
        sun_azimuth_angle=float(rng.uniform(0, 360)),
        sun_altitude_angle=float(rng.uniform(5, 85)),
        fog_density=float(rng.uniform(0, 30)) if rng.random() < 0.3 else 2.0,
    )


def _spec(camera: Any) -> Any:
    """The same camera as the capture's code describes it."""
    from seg_node_sim.client.rig import CameraSpec

    return CameraSpec(
        type='sensor.camera.rgb',
        id='rgb',
        image_size_x=camera.width,
        image_size_y=camera.height,
        fov=camera.fov,
    )


def _place(town: Any, rng: np.random.Generator) -> tuple[Any, Any, list[Any]]:
    """Pose of a vehicle on a lane, of a camera on it, and other vehicles about."""
    from seg_node_sim.scene import Body, Pose

    spots = town.spawn_points
    own = spots[int(rng.integers(len(spots)))]
    mount = Pose(
        float(rng.uniform(-4, 4)),
        float(rng.normal(0, 0.5)),
        float(rng.uniform(1.1, 2.4)),
        float(rng.uniform(-12, 3)),
        float(rng.normal(0, 6)),
        float(rng.normal(0, 1)),
    )
    bodies = []
    kinds = ('vehicle.tesla.model3', 'vehicle.audi.a2', 'vehicle.volkswagen.t2')
    for index in range(int(rng.integers(0, 14))):
        spot = spots[int(rng.integers(len(spots)))]
        near = np.hypot(spot.x - own.x, spot.y - own.y)
        if near < 8 or near > 120:
            continue
        pose = Pose(spot.x, spot.y, max(0.0, spot.z - 0.5), 0.0, spot.yaw, 0.0)
        bodies.append(
            Body(
                actor_id=index + 1,
                blueprint=kinds[int(rng.integers(len(kinds)))],
                pose=pose,
                extent=(2.3, 0.95, 0.75),
                colour=tuple(int(c) for c in rng.integers(0, 256, 3)),
            )
        )
    return own, own.compose(mount), bodies
