"""Camera sensors: which are due, one render for those that look from one place, encoding.

Images are BGRA, rows top to bottom.  Depth is coded in 24 bits, R lowest:
``metres = (R + 256 G + 65536 B) / (2^24 - 1) * 1000``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from seg_node_sim.scene import FAR, Body, Camera, CameraPost, CarlaPose, Town, Weather
from seg_node_sim.server.actors import Actor
from seg_node_sim.server.blueprints import Attributes
from seg_node_sim.server.snapshot import header
from seg_node_sim.server.streams import Stream
from seg_node_sim.server.versions import SensorIds

if TYPE_CHECKING:
    from seg_node_sim.render import Renderer

_IMAGE = struct.Struct('<IIf')
PASS_OF = {
    'sensor.camera.rgb': 'rgb',
    'sensor.camera.depth': 'depth',
    'sensor.camera.semantic_segmentation': 'semantic',
    'sensor.camera.instance_segmentation': 'instance',
}


def camera_of(attributes: Attributes, frame_s: float, is_rgb: bool) -> Camera:
    """The renderer's camera for a blueprint's attributes.

    Lens distortion belongs to all cameras; noise, blur and exposure to the RGB camera.
    CARLA's default lens_k of -1 (with lens_kcube 0) is a lens without distortion.
    """
    lens_k, lens_kcube = attributes.number('lens_k', -1.0), attributes.number('lens_kcube')
    post = CameraPost(
        lens_k=0.0 if lens_k == -1.0 else lens_k, lens_kcube=lens_kcube, frame_s=frame_s
    )
    if is_rgb and attributes.flag('enable_postprocess_effects'):
        post = replace(
            post,
            noise=attributes.number('noise_stddev'),
            motion_blur=attributes.number('motion_blur_intensity'),
            exposure=attributes.number('exposure_compensation'),
            vignette=min(1.0, attributes.number('lens_circle_multiplier')),
            seed=attributes.integer('noise_seed') & 0xFFFFFFFF,  # numpy's have no sign
        )
    return Camera(
        attributes.integer('image_size_x', 800),
        attributes.integer('image_size_y', 600),
        attributes.number('fov', 90.0),
        post,
    )


def encode_rgb(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) BGR -> uint8 (H, W, 4) BGRA."""
    bgra: np.ndarray = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    return bgra


def encode_depth(metres: np.ndarray) -> np.ndarray:
    """float32 (H, W) metres -> uint8 (H, W, 4); error <= 3e-5 m, clipped to 0..1000 m."""
    scaled = np.multiply(metres, (2**24 - 1) / FAR, dtype=np.float64)
    np.clip(scaled, 0.0, 2.0**24 - 1, out=scaled)
    code = np.rint(scaled, out=scaled).astype(np.uint32)
    code <<= 8
    code |= 255
    # Most significant byte first gives B, G, R, A.
    bgra: np.ndarray = code.byteswap(inplace=True).view(np.uint8).reshape(*metres.shape, 4)
    return bgra


def encode_semantic(tags: np.ndarray) -> np.ndarray:
    """uint8 (H, W) tags -> uint8 (H, W, 4), tag in R."""
    zero = np.zeros_like(tags)
    bgra: np.ndarray = cv2.merge([zero, zero, tags, np.full_like(tags, 255)])
    return bgra


def encode_instance(ids: np.ndarray, tags: np.ndarray) -> np.ndarray:
    """uint16 (H, W) ids and uint8 (H, W) tags -> R = tag, G = low byte, B = high byte."""
    low = (ids & 255).astype(np.uint8)
    high = (ids >> 8).astype(np.uint8)
    bgra: np.ndarray = cv2.merge([high, low, tags, np.full_like(tags, 255)])
    return bgra


_ENCODERS: dict[str, Callable[[dict[str, np.ndarray]], np.ndarray]] = {
    'rgb': lambda images: encode_rgb(images['rgb']),
    'depth': lambda images: encode_depth(images['depth']),
    'semantic': lambda images: encode_semantic(images['semantic']),
    'instance': lambda images: encode_instance(images['instance'], images['semantic']),
}


@dataclass
class Shot:
    """One render: a camera at a pose, and the streams that want its passes."""

    camera: Camera
    pose: CarlaPose
    takers: list[tuple[str, Actor, Stream]]

    @property
    def passes(self) -> frozenset[str]:
        """The passes to render; instance ids are sent with tags."""
        names = {name for name, _, _ in self.takers}
        return frozenset(names | {'semantic'} if 'instance' in names else names)


def plan_shots(sensors: Sequence[Actor], frame_s: float) -> list[Shot]:
    """Group cameras so that equal pose and intrinsics are rendered once."""
    shots: list[Shot] = []
    rgb_first = sorted(sensors, key=lambda s: PASS_OF[s.description.id] != 'rgb')
    for sensor in rgb_first:
        name = PASS_OF[sensor.description.id]
        camera = camera_of(sensor.attributes, frame_s, name == 'rgb')
        if sensor.stream is None:
            continue  # nobody can listen to it
        taker = (name, sensor, sensor.stream)
        for shot in shots:
            if shot.pose == sensor.pose and _shares(shot.camera, camera, name):
                shot.takers.append(taker)
                break
        else:
            shots.append(Shot(camera, sensor.pose, [taker]))
    return shots


def _shares(shot: Camera, camera: Camera, name: str) -> bool:
    if name == 'rgb':
        return shot == camera
    same_size = (shot.width, shot.height, shot.fov) == (camera.width, camera.height, camera.fov)
    lens = (shot.post.lens_k, shot.post.lens_kcube) == (camera.post.lens_k, camera.post.lens_kcube)
    return same_size and lens


def _build(town: Town) -> Renderer:
    from seg_node_sim.render import Renderer

    renderer = Renderer(town)
    # The first picture compiles; a client's call must not wait for that later.
    renderer.render(
        Camera(32, 18), CarlaPose(z=2.0), (), Weather(), frozenset(PASS_OF.values()), 0.0
    )
    return renderer


def _close(built: Future[Renderer]) -> None:
    if not built.cancelled() and built.exception() is None:
        built.result().close()


class CameraRig:
    """Renders and sends the images of all cameras that are due in one tick."""

    def __init__(self, town: Town, ids: SensorIds, workers: ThreadPoolExecutor) -> None:
        self._town = town
        self._ids = ids
        self._workers = workers
        self._building: Future[Renderer] | None = None

    def prepare(self) -> None:
        """Begin to build the renderer, beside the world; a world without cameras needs none."""
        if self._building is None:
            self._building = self._workers.submit(_build, self._town)

    def renderer(self, limit_s: float | None = None) -> Renderer:
        """The renderer, as soon as it is there. Raises `TimeoutError` after `limit_s`."""
        self.prepare()
        assert self._building is not None
        try:
            return self._building.result(limit_s)
        except FutureTimeout:  # Python 3.10 has two errors of one name
            raise TimeoutError from None

    def close(self) -> None:
        """End the renderer's threads, once it is built."""
        if self._building is not None:
            self._building.add_done_callback(_close)
            self._building = None

    def send(
        self,
        sensors: Sequence[Actor],
        bodies: Sequence[Body],
        weather: Weather,
        frame: int,
        time_s: float,
        frame_s: float,
        skip_busy: bool,
    ) -> None:
        """Renders every camera that is due and sends the images: header, width, height, fov, BGRA.

        `time_s`: simulated time; `frame_s`: length of the step, for motion blur; `skip_busy`: a
        session that has not read its last image misses this one.
        """
        for shot in plan_shots(sensors, frame_s):
            images = self.renderer().render(
                shot.camera, shot.pose, bodies, weather, shot.passes, time_s
            )
            coded = self._encode(images, {name for name, _, _ in shot.takers})
            for name, sensor, stream in shot.takers:
                camera = shot.camera
                head = header(getattr(self._ids, name), frame, time_s, sensor.pose)
                size = _IMAGE.pack(camera.width, camera.height, camera.fov)
                pixels = np.ascontiguousarray(coded[name])
                stream.send([head + size, pixels.data.cast('B')], skip_busy=skip_busy)

    def _encode(self, images: dict[str, np.ndarray], passes: set[str]) -> dict[str, np.ndarray]:
        names = sorted(passes)
        coded = self._workers.map(lambda name: _ENCODERS[name](images), names)
        return dict(zip(names, coded))
