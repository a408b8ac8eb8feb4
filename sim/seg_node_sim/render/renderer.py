"""The renderer: one visibility pass a camera, and what every sensor at that place sees of it."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from seg_node_sim.maps.opendrive import parse
from seg_node_sim.render import atmosphere, lens, noise, sprites
from seg_node_sim.render.atmosphere import Air, air, tone_curve
from seg_node_sim.render.finish import develop, mirror_rows
from seg_node_sim.render.ground import build_ground
from seg_node_sim.render.inputs import Buffers, Light, Textures, Things, Tiles, View, view_of
from seg_node_sim.render.raster import raster
from seg_node_sim.render.scenery import build_scenery
from seg_node_sim.render.shade import shade_rows
from seg_node_sim.render.shadows import Lamps, Shadows
from seg_node_sim.render.site import Parked
from seg_node_sim.render.stage import Stage
from seg_node_sim.render.wear import look
from seg_node_sim.scene import FAR, PASSES, Body, Camera, CarlaPose, Town, Weather

BANDS = 8
TOP = 16.0  # the brightest radiance that the tone curve tells from white
LOW_BEAM = 0x3  # position lamps and low beam, as in carla.VehicleLightState
FIRST_PARKED = 65000  # instance ids of parked cars go down from here


class Renderer:
    """Draws one town. Not for concurrent calls; it has its own threads.

    threads: how many bands of rows are drawn at once; by default two, or one on a single core.
    auto_lights: bodies whose light state is 0 get low beams in the dark (CARLA leaves them dark).
    wear: how worn the paint is, 0 to 1; by default as the town's look has it.
    """

    def __init__(
        self,
        town: Town,
        threads: int | None = None,
        auto_lights: bool = True,
        wear: float | None = None,
    ) -> None:
        self.town = town
        self._auto_lights = auto_lights
        opendrive = parse(town.xodr, town.name)
        style = look(town.name, town.seed, town.style)
        if wear is not None:
            style = replace(style, wear=wear)
        ground = build_ground(opendrive, town.style, style)
        level0, level1, level2, level3, level4 = ground.levels
        self._tiles = Tiles(
            level0=level0,
            level1=level1,
            level2=level2,
            level3=level3,
            level4=level4,
            tile_at=ground.index,
            x0=ground.origin[0],
            y0=ground.origin[1],
            look=style.numbers(ground.raised),
            raised=ground.raised,
            kerb=style.kerb_height,
        )
        scenery = build_scenery(opendrive, town.style, style.seed)
        parked = [_body(car, FIRST_PARKED - k) for k, car in enumerate(scenery.parked)]
        self._stage = Stage(scenery, parked)
        self._shadows = Shadows(scenery, parked)
        self._lamps = Lamps(scenery)
        self._textures = Textures(
            rough=noise.fractal(256, 1.2, 11, 3.0),
            fine=noise.speckle(256, 12),
            worn=noise.wear(256, 13),
            clouds=noise.fractal(256, 1.7, 14, 2.0),
            atlas=sprites.atlas(),
        )
        self._rain = lens.rain_layer()
        self._curve = tone_curve(top=TOP)
        self._pool = ThreadPoolExecutor(threads or min(2, os.cpu_count() or 1), 'render')
        self._last: tuple[object, dict[str, np.ndarray]] | None = None

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=True)

    def render(
        self,
        camera: Camera,
        pose: CarlaPose,
        bodies: Sequence[Body],
        weather: Weather,
        passes: Iterable[str],
        time_s: float,
    ) -> dict[str, np.ndarray]:
        """What a camera at `pose` sees; only the passes asked for.

        rgb: uint8 (H, W, 3), BGR. semantic: uint8 (H, W), CARLA tags since 0.9.14. depth: float32
        (H, W), metres along the optical axis, 1000 for the sky. instance: uint16 (H, W), actor ids
        (scenery has ids of its own from 32768 up; 0 none). Do not write into the arrays: another
        sensor of the same place may get the same ones. ValueError for an unknown pass.
        """
        names = frozenset(passes)
        if not names <= PASSES:
            raise ValueError(f'passes: expected a subset of {sorted(PASSES)}, got {sorted(names)}')
        key = (camera, pose, tuple(bodies), weather, time_s)
        if self._last is not None and self._last[0] == key and names <= self._last[1].keys():
            return {name: self._last[1][name] for name in names}
        result = self._draw(camera, pose, bodies, weather, time_s, 'rgb' in names)
        self._last = (key, result)
        return {name: result[name] for name in names}

    def _draw(
        self,
        camera: Camera,
        pose: CarlaPose,
        bodies: Sequence[Body],
        weather: Weather,
        time_s: float,
        rgb: bool,
    ) -> dict[str, np.ndarray]:
        height, width = camera.height, camera.width
        air_now = air(weather, time_s)
        if self._auto_lights and air_now.lamps > 0.4:
            bodies = [b if b.lights else replace(b, lights=LOW_BEAM) for b in bodies]
        view = view_of(camera, pose)
        stage = self._stage
        count = stage.set_up(view, height, width, bodies, time_s)
        full = (height, width) if rgb else (1, 1)
        frame = Buffers(
            zbuffer=np.full((height, width), FAR, np.float32),
            owner=np.full((height, width), -1, np.int32),
            semantic=np.empty((height, width), np.uint8),
            depth=np.empty((height, width), np.float32),
            instance=np.empty((height, width), np.uint16),
            linear=np.empty((*full, 3), np.float32),
            mirrors=np.empty(full, np.float32),
        )
        at = _focus(view)
        windows = self._shadows.windows(air_now.sun, air_now.shadows if rgb else 0.0, at, bodies)
        beams, place = self._lamps.beams(at, bodies, air_now.lamps)
        light = Light(
            air_now.env, windows.near, windows.far, windows.where, self._lamps.map, beams, place
        )
        things = Things(stage.table, stage.codes)

        def band(first: int, last: int) -> None:
            raster(
                first, last, stage.screen, stage.owners, count, view, stage.table, stage.codes,
                self._textures.atlas, frame.zbuffer, frame.owner,
            )  # fmt: skip
            shade_rows(first, last, view, self._tiles, things, light, self._textures, frame, rgb)

        self._bands(band, height)
        out = {'semantic': frame.semantic, 'depth': frame.depth, 'instance': frame.instance}
        if rgb:
            out['rgb'] = self._finish(camera, bodies, pose, air_now, time_s, view, frame)
        post = camera.post
        if post.lens_k or post.lens_kcube:
            out = lens.distort(camera, out)
        if rgb and post.noise > 0.0:
            out['rgb'] = lens.sensor_noise(out['rgb'], post, time_s)
        return out

    def _finish(
        self,
        camera: Camera,
        bodies: Sequence[Body],
        pose: CarlaPose,
        light: Air,
        time_s: float,
        view: View,
        frame: Buffers,
    ) -> np.ndarray:
        """Everything between the light that comes in and the picture that goes out."""
        env, height, post = light.env, camera.height, camera.post
        linear = frame.linear
        if env[atmosphere.WET] > 0.0:
            clouds = self._textures.clouds
            self._bands(lambda a, b: mirror_rows(a, b, view, frame, env, clouds), height)
        if light.lamps > 0.0:
            lens.bloom(linear, 0.10 * light.lamps)
        if env[atmosphere.RAIN] > 0.02:
            sky = env[atmosphere.HORIZON : atmosphere.HORIZON + 3][::-1]
            drops = sky * env[atmosphere.EXPOSURE] * 1.1
            lens.falling_rain(linear, self._rain, float(env[atmosphere.RAIN]), time_s, drops)
        if post.motion_blur > 0.0:
            velocity = _own_velocity(pose, bodies)
            linear = lens.motion_blur(
                linear, frame.depth, camera, velocity, post.motion_blur * post.frame_s
            )
        if post.vignette > 0.0:
            lens.vignette(linear, post.vignette)
        if post.exposure:
            linear *= np.float32(2.0**post.exposure)
        picture = np.empty((height, camera.width, 3), np.uint8)
        self._bands(
            lambda a, b: develop(a, b, linear, frame.owner, self._curve, TOP, picture), height
        )
        return picture

    def _bands(self, work: Callable[[int, int], None], height: int) -> None:
        edges = np.linspace(0, height, BANDS + 1).astype(int).tolist()
        jobs = [self._pool.submit(work, a, b) for a, b in itertools.pairwise(edges)]
        for job in jobs:
            job.result()


def _focus(view: View) -> tuple[float, float]:
    """Where detail of light is wanted: some way ahead of the camera."""
    forward = math.hypot(view.forward_x, view.forward_y)
    ahead = 30.0 if forward > 0.3 else 0.0
    return view.x + ahead * view.forward_x, view.y + ahead * view.forward_y


def _own_velocity(pose: CarlaPose, bodies: Sequence[Body]) -> np.ndarray:
    """Velocity of the body that carries the camera, float (3,) in camera axes; 0 for none."""
    best, nearest = np.zeros(3), 4.0
    for body in bodies:
        away = math.dist((pose.x, pose.y), (body.pose.x, body.pose.y))
        if away < nearest:
            best, nearest = np.array(body.velocity), away
    return pose.matrix()[:3, :3].T @ best


def _body(car: Parked, number: int) -> Body:
    shown = [round(255.0 * v ** (1 / 2.2)) for v in car.colour]
    pose = CarlaPose(car.x, car.y, 0.0, 0.0, math.degrees(car.yaw), 0.0)
    return Body(number, car.blueprint, pose, car.extent, (shown[0], shown[1], shown[2]), 14)
