"""Pictures for any weather, camera and pose that the server lets through."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator

import numpy as np
from fuzzing import NUMBERS, TEXTS, Case, Target

from seg_node.errors import InputError
from seg_node_sim.maps import load_town
from seg_node_sim.render import Renderer
from seg_node_sim.scene import PASSES, Body, Camera, CarlaPose, Weather
from seg_node_sim.server import wire
from seg_node_sim.server.blueprints import BlueprintLibrary
from seg_node_sim.server.cameras import camera_of
from seg_node_sim.server.ranging import Lidar, radar

_SIZES = ('1', '2', '17', '64', '200')


def _text(rng: random.Random) -> str:
    return str(rng.choice((*NUMBERS, *TEXTS, rng.uniform(-200.0, 200.0))))


@contextlib.contextmanager
def opened() -> Iterator[Case]:
    town, library = load_town('Parking'), BlueprintLibrary()
    renderer = Renderer(town)
    # The first picture compiles; a case must not be timed with that.
    renderer.render(Camera(32, 18), CarlaPose(z=2.0), (), Weather(), PASSES, 0.0)

    def attributes_of(name: str, rng: random.Random) -> object:
        blueprint = next(b for b in library if b.id == name)
        chosen = rng.sample(blueprint.attributes, 3)
        values = {a.id: _text(rng) for a in chosen if not a.id.startswith('image_size')}
        if 'camera' in name:
            values |= {f'image_size_{axis}': rng.choice(_SIZES) for axis in 'xy'}
        described = tuple((key, 4, text) for key, text in values.items())
        return library.check(wire.ActorDescription(1, name, described))[1]

    def pose_of(rng: random.Random) -> CarlaPose:
        if rng.random() < 0.7:
            at = rng.choice(town.spawn_points)
            return CarlaPose(
                at.x, at.y, rng.uniform(0.0, 5.0), *(rng.uniform(-180, 180) for _ in 'abc')
            )
        return wire.decode_transform([[rng.choice(NUMBERS) for _ in 'xyz'] for _ in 'ab'])

    def case(rng: random.Random) -> None:
        weather, pose = Weather(), CarlaPose(z=2.0)
        with contextlib.suppress(InputError):
            pose = pose_of(rng)
        with contextlib.suppress(InputError):
            values = [rng.choice((*NUMBERS, rng.uniform(-10, 110))) for _ in range(14)]
            values = [v if math.isfinite(v) else 50.0 for v in values]
            weather = wire.decode_weather(values)
        bodies = [
            Body(
                7,
                'vehicle.audi.tt',
                pose.compose(CarlaPose(x=rng.uniform(0.5, 30.0))),
                (2.0, 0.9, 0.7),
            )
        ]

        def draw(camera, at, passes):
            return renderer.render(camera, at, bodies, weather, passes, rng.uniform(0.0, 1e6))

        with contextlib.suppress(InputError):
            attributes = attributes_of('sensor.camera.rgb', rng)
            camera = camera_of(attributes, 0.05, is_rgb=True)
            pictures = draw(camera, pose, PASSES)
            assert all(p.shape[:2] == (camera.height, camera.width) for p in pictures.values())
            depth = pictures['depth']
            assert np.isfinite(depth).all() and depth.min() >= 0.0 and depth.max() <= 1000.0
        noise = np.random.default_rng(1)
        if rng.random() < 0.2:
            with contextlib.suppress(InputError):
                lidar = Lidar(attributes_of('sensor.lidar.ray_cast', rng), noise)
                payload = lidar.measure(draw, pose, 0.05, semantic=False)
                assert payload is None or len(payload) % 4 == 0
            with contextlib.suppress(InputError):
                attributes = attributes_of('sensor.other.radar', rng)
                still = (0.0, 0.0, 0.0)
                echoes = radar(attributes, noise, draw, pose, 0.05, still, {})
                assert np.isfinite(np.frombuffer(echoes, np.float32)).all()

    try:
        yield case
    finally:
        renderer.close()


TARGET = Target('carla_pictures', opened, short=15, grows_mb=400.0, slow_s=120.0)
