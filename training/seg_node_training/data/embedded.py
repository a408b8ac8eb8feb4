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

from seg_node.class_map import load_class_map
from seg_node.errors import ConfigError
from seg_node_training.data.targets import UNKNOWN

U8 = npt.NDArray[np.uint8]
PASSES = frozenset({'rgb', 'semantic'})
OVERSIZE = 2
"""Frames are rendered larger and shrunk by area, as a real lens blurs."""


def _renderer_revision() -> str:
    """Hash of the sources that decide what a frame looks like, for the cache."""
    import seg_node_sim

    root = Path(str(seg_node_sim.__file__)).parent
    sources = [p for part in ('maps', 'render') for p in (root / part).rglob('*.py')]
    sources += [root / 'scene.py', root / 'client' / 'lane_types.py', Path(__file__)]
    sources = sorted(p for p in sources if p.is_file())
    return hashlib.sha256(b''.join(p.read_bytes() for p in sources)).hexdigest()[:12]


@dataclass(frozen=True)
class EmbeddedSet:
    """`count` frames from random places, cameras, weathers and traffic of the embedded towns.

    Frame number n depends on (seed, n) alone. Loads give uint8 (H, W, 3) BGR and the target
    uint8 (2, H, W), planes road (with markings) and lane marking, 0..254; with `labels`
    `lane_types` uint8 (1, H, W), ids of the six-class model.

    towns: of those to drive, by default all, or `City`, whose pavements look like its roads
    (`seg_node_sim.maps.city`). looks: how many looks each town has; they are the town's seeds.
    """

    name: str
    count: int
    seed: int = 0
    towns: tuple[str, ...] = ()
    width: int = 640
    height: int = 360
    labels: str = 'lane'
    looks: int = 1
    revision: str = field(default_factory=_renderer_revision)

    def sources(self) -> list[int]:
        """Frame numbers, grouped by town so that each town is built once."""
        if self.count < 1:
            raise ConfigError(f'data set {self.name}: expected a limit of at least 1 frame')
        return sorted(range(self.count), key=lambda n: n % len(self._scenes))

    @cached_property
    def _scenes(self) -> tuple[tuple[str, int], ...]:
        """Towns and their seeds."""
        from seg_node_sim.maps import town_names, training_towns

        known = (*town_names(), *training_towns())
        unknown = sorted(set(self.towns) - set(known))
        if unknown:
            raise ConfigError(
                f'data set {self.name}: town {", ".join(unknown)}: expected one of '
                f'{", ".join(known)}'
            )
        towns = self.towns or town_names()
        return tuple((town, look) for look in range(self.looks) for town in towns)

    @cached_property
    def _renderers(self) -> dict[tuple[str, int] | str, Any]:
        return {}

    def _renderer(self, scene: tuple[str, int]) -> Any:
        from seg_node_sim.maps import load_town
        from seg_node_sim.render import Renderer

        if scene not in self._renderers:
            self._renderers.clear()  # one town in memory is enough: frames come grouped
            town = load_town(*scene)
            self._renderers[scene] = (town, Renderer(town))
        return self._renderers[scene]

    def _lane_types(self, town: Any) -> Any:
        from seg_node_sim.client.lane_types import LaneTypes

        key = f'{town.name} lane types'
        if key not in self._renderers:
            self._renderers[key] = LaneTypes(town.xodr)
        return self._renderers[key]

    def load(self, number: int) -> tuple[U8, U8]:
        """Picture and target of frame `number`."""
        rng = np.random.default_rng((self.seed, number))
        town, renderer = self._renderer(self._scenes[number % len(self._scenes)])
        own, pose, bodies = (_city_place if town.style == 'city' else _place)(town, rng)
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
    plane: U8 = np.round(cover * 254).astype(np.uint8)
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
    from seg_node_sim.scene import Body, CarlaPose

    spots = town.spawn_points
    own = spots[int(rng.integers(len(spots)))]
    mount = CarlaPose(
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
        pose = CarlaPose(spot.x, spot.y, max(0.0, spot.z - 0.5), 0.0, spot.yaw, 0.0)
        bodies.append(
            Body(
                actor_id=index + 1,
                blueprint=kinds[int(rng.integers(len(kinds)))],
                pose=pose,
                extent=(2.3, 0.95, 0.75),
                colour=_any_colour(rng),
            )
        )
    return own, own.compose(mount), bodies


_OWN_CARS = (
    ('vehicle.tesla.model3', (2.40, 0.95, 0.74), 14),
    ('vehicle.audi.a2', (1.85, 0.90, 0.77), 14),
    ('vehicle.nissan.patrol', (2.30, 0.97, 0.92), 14),
    ('vehicle.volkswagen.t2', (2.24, 1.03, 1.02), 14),
    ('vehicle.ford.mustang', (2.36, 0.95, 0.65), 14),
    ('vehicle.tesla.cybertruck', (2.80, 1.05, 0.95), 14),
    ('vehicle.mercedes.sprinter', (2.95, 1.00, 1.28), 14),
    ('vehicle.carlamotors.carlacola', (2.60, 1.30, 1.24), 15),
)
"""Blueprint, half sizes in metres and CARLA tag of what the camera may sit in: for bonnets."""


def _any_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue


def _paint(rng: np.random.Generator) -> tuple[int, int, int]:
    """A car's colour: mostly white, grey or black, at times a dull tint."""
    grey = float(rng.choice([230, 190, 130, 80, 40, 20])) * float(rng.uniform(0.85, 1.1))
    tint = rng.uniform(-1.0, 1.0, 3) * float(rng.choice([4.0, 4.0, 45.0]))
    red, green, blue = np.clip(grey + tint, 0, 255).astype(int).tolist()
    return red, green, blue


def _city_place(town: Any, rng: np.random.Generator) -> tuple[Any, Any, list[Any]]:
    """As `_place`; mostly from inside a vehicle, over its bonnet, and with people about."""
    from seg_node_sim.scene import Body, CarlaPose

    own, pose, bodies = _place(town, rng)
    if rng.random() < 0.65:
        blueprint, size, tag = _OWN_CARS[int(rng.integers(len(_OWN_CARS)))]
        x, y, z = (float(v * rng.uniform(0.92, 1.08)) for v in size)
        extent = (x, y, z)
        bodies.append(Body(
            9000, blueprint, CarlaPose(own.x, own.y, 0.0, 0.0, own.yaw, 0.0), extent,
            _paint(rng), tag,
        ))  # fmt: skip
        height = 2.0 * extent[2]
        mount = CarlaPose(
            float(rng.uniform(-0.05, 0.25)) * extent[0],
            float(rng.uniform(-0.45, 0.45)) * extent[1],
            float(rng.uniform(0.78, 0.97)) * height,
            float(rng.uniform(-9, 1)),
            float(rng.normal(0, 4)),
            float(rng.normal(0, 1)),
        )
        pose = CarlaPose(own.x, own.y, 0.0, 0.0, own.yaw, 0.0).compose(mount)
    for index in range(int(rng.integers(0, 7))):
        # Beside the carriageway, now and then on it.
        aside = CarlaPose(
            float(rng.uniform(6, 40)), float(rng.choice([-1, 1]) * rng.uniform(3, 8))
        )
        spot = own.compose(aside)
        turn = float(rng.uniform(0, 360))
        half = (0.22, 0.22, float(rng.uniform(0.6, 0.95)))
        bodies.append(Body(
            9001 + index, f'walker.pedestrian.{index + 1:04d}',
            CarlaPose(spot.x, spot.y, 0.08, 0.0, turn, 0.0), half,
            _any_colour(rng), 12,
        ))  # fmt: skip
    return own, pose, bodies
